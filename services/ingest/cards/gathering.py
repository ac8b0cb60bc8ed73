"""What is put together for each card from the cells of its columns: its id, and the dict of its attributes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from services.ingest.cards.card import said_first
from services.ingest.cards.columns import Cells
from services.ingest.cards.options import CardOptions
from services.ingest.cards.plan import SEPARATOR

_NEXT = "\x1e"


def ids_of(said: Mapping[str, Cells], options: CardOptions) -> list[str]:
    """As `card.id_of`: of the names of the fields that say something, and of what they say."""
    names, rows = list(said), zip(*said.values(), strict=True)
    sometimes = [name for name in names if "" in said[name]]
    if not sometimes:
        head = _head(names, options)
        return [sha256(head + text).hexdigest() for text in _encoded(map(SEPARATOR.join, rows))]
    filled = list(zip(*(map(bool, said[name]) for name in sometimes), strict=True))
    heads = {}
    for pattern in set(filled):
        missing = {name for name, is_filled in zip(sometimes, pattern, strict=True) if not is_filled}
        heads[pattern] = _head((name for name in names if name not in missing), options)
    texts = _encoded(
        SEPARATOR.join(row if whole else filter(None, row)) for row, whole in zip(rows, map(all, filled), strict=True)
    )
    return [sha256(heads[pattern] + text).hexdigest() for pattern, text in zip(filled, texts, strict=True)]


def _head(names: Iterable[str], options: CardOptions) -> bytes:
    return f"{said_first(names, options)}{SEPARATOR}".encode()


def _encoded(texts: Iterable[str]) -> list[bytes]:
    # No common cell holds a control character.
    return _NEXT.join(texts).encode().split(_NEXT.encode())


def by_card(columns: dict[str, Cells], count: int) -> Iterator[dict[str, Any]]:
    """A dict for each card, of those columns that say something of it."""
    if not columns:
        return ({} for _ in range(count))
    names = tuple(columns)
    every = (dict(zip(names, cells, strict=True)) for cells in zip(*columns.values(), strict=True))
    sometimes = [name for name, column in columns.items() if "" in column]
    return _without_empty(every, sometimes) if sometimes else every


def _without_empty(every: Iterable[dict[str, Any]], sometimes: Sequence[str]) -> Iterator[dict[str, Any]]:
    for known in every:
        for name in sometimes:
            if not known[name]:
                del known[name]
        yield known
