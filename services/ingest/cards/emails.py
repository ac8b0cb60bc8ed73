"""E-mail addresses as cards have them: several in one cell, with names around them, unreadable ones."""

import re
from typing import NamedTuple

from shared.identity import is_shared_mailbox, is_unreadable, normalise_email

_APART = re.compile(r"[\s;,、/|<>()「」\[\]]+|または|又は")
_PLAIN = re.compile(r"[a-zA-Z0-9_.+-]+@[a-zA-Z0-9.-]*[a-zA-Z0-9]")
_LABEL = re.compile(r"^(?:mailto|e-?mail|mail|メール)\s*[::]\s*", re.IGNORECASE)
_QUOTES = "\"'`“”‘’."


class Addresses(NamedTuple):
    """What a cell holds: addresses of one person, shared mailboxes, addresses with unreadable signs, and other text."""

    personal: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    faulty: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    """Names and remarks that stand around an address."""


def read_addresses(text: str) -> Addresses:
    """The addresses of a cell, each once, in their order. Takes text after NFKC."""
    if _PLAIN.fullmatch(text):
        kind, address = _judge(text)
        return Addresses(**{kind: (address,)})
    found: dict[str, list[str]] = {"personal": [], "shared": [], "unreadable": [], "faulty": [], "beside": []}
    pieces = [piece for word in _APART.split(text) if (piece := _LABEL.sub("", word.strip(_QUOTES)))]
    for piece in pieces:
        kind, address = _judge(piece)
        if kind == "faulty" and "@" not in piece and len(pieces) > 1 and "@" in text:
            kind = "beside"
        if address not in found[kind]:
            found[kind].append(address)
    return Addresses(**{kind: tuple(addresses) for kind, addresses in found.items()})


def _judge(piece: str) -> tuple[str, str]:
    if is_unreadable(piece):
        return "unreadable", piece
    try:
        address = normalise_email(piece)
    except ValueError:
        return "faulty", piece
    return ("shared" if is_shared_mailbox(address) else "personal"), address
