"""Bodies to plain data: strict JSON, form fields with PHP's brackets, XML without its dangers."""

import re
from binascii import a2b_qp
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from xml.parsers import expat

from services.ingest.sources.base import Delivery, Unreadable
from shared.codec import JsonFault, decode

MAX_FIELDS = 10_000
MAX_VALUES = 1_000_000
"""Values in one JSON body: eight bytes each in the longest body, far less than any real one takes."""
_MAX_NESTING = 12
_LONGEST_KNOWN = 512
_ESCAPES = re.compile(rb"(?:%[0-9A-Fa-f]{2})+")
BETWEEN = b"\x00"
"""Stands between the cells of `plain_form`: no sign of any encoding has this byte, and no text that is kept."""
_QUOTED = bytes.maketrans(b"%+=&", b"= " + 2 * BETWEEN)
_TEXT = bytes(set(range(256)) - set(b"=&\r\n"))
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")


def json_body(delivery: Delivery) -> Any:
    """The body as JSON. Raises Unreadable."""
    body = delivery.body.removeprefix(b"\xef\xbb\xbf")
    if not body.strip():
        raise Unreadable("the body is empty")
    return _decoded(body)


def json_text(written: str) -> Any:
    """JSON that stands inside a form field. Raises Unreadable."""
    try:
        return _decoded(written.encode())
    except UnicodeEncodeError as error:
        raise Unreadable(str(error)) from None


def _decoded(body: bytes) -> Any:
    # Millions of empty objects fit into the longest body; they would take seconds and gigabytes.
    if len(body) > MAX_VALUES and body.count(b",") > MAX_VALUES:
        raise Unreadable(f"the body holds more than {MAX_VALUES:,} values")
    try:
        return decode(body)
    except JsonFault as error:
        raise Unreadable(str(error)) from None


def json_items(delivery: Delivery) -> list[Any]:
    """The items of a body that is an object or an array of them. Raises Unreadable."""
    value = json_body(delivery)
    return value if isinstance(value, list) else [value]


def form_pairs(body: bytes) -> list[tuple[bytes, bytes]]:
    """The fields of an urlencoded form in order, decoded to the bytes they stood for. Raises Unreadable."""
    if len(body) >= MAX_FIELDS and body.count(b"&") >= MAX_FIELDS:
        raise Unreadable(f"more than {MAX_FIELDS} form fields")
    plain = plain_form(body)
    if plain is None:
        return _any_pairs(body)
    cells = plain.split(BETWEEN)
    return list(zip(cells[::2], cells[1::2], strict=True))


def plain_form(body: bytes) -> bytes | None:
    """Names and values of an urlencoded form in turn, decoded, with BETWEEN between them; None for a body that is not
    quite as browsers write it.

    In a third of the time: quoted-printable is the same with another sign, and its reader takes no step of Python.
    """
    written = body.strip()
    signs = written.translate(None, _TEXT)
    if signs != b"=" + b"&=" * (len(signs) // 2) or written.endswith(b"%"):
        return None
    plain = a2b_qp(written.translate(_QUOTED))
    # An escape that is none leaves its sign behind; one of BETWEEN itself would part a cell in two.
    return plain if b"=" not in plain and plain.count(BETWEEN) == len(signs) else None


def _any_pairs(body: bytes) -> list[tuple[bytes, bytes]]:
    pairs = []
    for part in body.strip().replace(b"+", b" ").split(b"&"):
        if part:
            name, _, value = part.partition(b"=")
            called = _name(name) if len(name) <= _LONGEST_KNOWN else unquoted(name)
            pairs.append((called, _ESCAPES.sub(_unescaped, value) if b"%" in value else value))
    return pairs


def unquoted(text: bytes) -> bytes:
    """As `urllib.parse.unquote_to_bytes`, which takes half a millisecond for a form written in Japanese."""
    return _ESCAPES.sub(_unescaped, text) if b"%" in text else text


# Forms are sent again and again with the same names.
_name = lru_cache(maxsize=4_096)(unquoted)


def _unescaped(run: "re.Match[bytes]") -> bytes:
    return bytes.fromhex(run[0].replace(b"%", b"").decode("ascii"))


def form_text(value: bytes) -> str:
    """Form bytes as text: UTF-8, else the Shift_JIS that older Japanese pages send. Raises Unreadable."""
    for charset in ("utf-8", "cp932"):
        try:
            return value.decode(charset)
        except UnicodeDecodeError:
            continue
    raise Unreadable("a form field is neither UTF-8 nor Shift_JIS")


def form_body(delivery: Delivery) -> dict[str, Any]:
    """An urlencoded body as nested objects: `data[merges][FNAME]=x`, `a[]=1`. Raises Unreadable."""
    pairs = form_pairs(delivery.body)
    if not pairs:
        raise Unreadable("the body is empty")
    return nested([(form_text(name), form_text(value)) for name, value in pairs])


def nested(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Fields by PHP's rules: brackets nest, a repeated plain name makes a list. Raises Unreadable."""
    tree: dict[str, Any] = {}
    for name, value in pairs:
        head, bracket, _ = name.partition("[")
        keys = [head, *_BRACKETS.findall(name)] if bracket and head else [name]
        if len(keys) > _MAX_NESTING:
            raise Unreadable("form fields are nested too deep")
        _place(tree, keys, value)
    return tree


def _place(tree: dict[str, Any], keys: list[str], value: str) -> None:
    node = tree
    for key in keys[:-1]:
        inner = node.setdefault(key or str(len(node)), {})
        if not isinstance(inner, dict):
            raise Unreadable("a form field is both a value and a group")
        node = inner
    last = keys[-1] or str(len(node))
    before = node.get(last)
    if isinstance(before, dict):
        raise Unreadable("a form field is both a value and a group")
    if before is None:
        node[last] = value
    elif isinstance(before, list):
        before.append(value)
    else:
        node[last] = [before, value]


@dataclass(slots=True)
class Element:
    """An XML element: its name without namespace, attributes, text and children."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    text: str = ""
    children: list["Element"] = field(default_factory=list)

    def child(self, name: str) -> "Element | None":
        """The first child of that name."""
        return next((child for child in self.children if child.name == name), None)

    def value(self, name: str) -> str | None:
        """The text of the first child of that name, None if absent or empty."""
        child = self.child(name)
        return (child.text.strip() or None) if child else None


def xml_body(delivery: Delivery) -> Element:
    """The body as XML. A document type, and with it every entity, is refused. Raises Unreadable."""
    root = Element("")
    open_: list[Element] = [root]

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(open_) > 32:
            raise Unreadable("XML nested too deep")
        element = Element(_local(name), {_local(key): value for key, value in attributes.items()})
        open_[-1].children.append(element)
        open_.append(element)

    def end(_: str) -> None:
        open_.pop()

    def characters(data: str) -> None:
        open_[-1].text += data

    def refuse(*_: Any) -> None:
        raise Unreadable("XML with a document type is refused")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, characters
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(delivery.body, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable("broken XML") from None
    return root.children[0]


def _local(name: str) -> str:
    return name.rpartition(" ")[2]
