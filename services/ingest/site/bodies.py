"""The fields of a posted form, in whatever encoding its page is written.

Source: WHATWG HTML, form submission; a page in Shift_JIS sends CP932 bytes, and signs that this lacks as `&#…;`.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from html import unescape
from itertools import chain
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from services.ingest.sources.base import Unreadable
from services.ingest.sources.bodies import BETWEEN, form_pairs, plain_form
from shared.codec import check_json
from shared.errors import FieldFault, ProblemError, pointer

URLENCODED, MULTIPART, JSON, TEXT = (
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "application/json",
    "text/plain",
)
PLAIN_POSTS = frozenset({URLENCODED, MULTIPART})
"""What a browser sends by itself when a form is submitted, and no script sends without need."""
CHARSET_FIELD = "_charset_"
MAX_FIELDS, MAX_NAME = 200, 256

EUC = "euc_jp"
_CODECS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "utf-8",
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "x-sjis", "windows-31j", "ms932", "cp932", "ms_kanji"), "cp932"),
    **dict.fromkeys(("euc-jp", "euc_jp", "x-euc-jp", "eucjp"), EUC),
    **dict.fromkeys(("iso-2022-jp", "iso2022_jp", "csiso2022jp"), "iso2022_jp"),
}
_ESCAPED = re.compile(r"&#[0-9]{1,7};")
# Not behind the prefixes of half-width kana and of JIS X 0212, which mean something else.
_EUC_SIGN = re.compile(rb"(?<![\x8e\x8f])(?<!\x8f[\xa1-\xfe])[\xa1-\xfe][\xa1-\xfe]")
_HALF_WIDTH_KANA = re.compile(r"[｡-ﾟ]")
_IN_QUOTES = re.compile(rb'"[^"]*"')
_FILE = re.compile(rb"[;\s]filename\*=", re.IGNORECASE)
_BETWEEN = BETWEEN.decode()
_QUOTED = ((b"%22", b'"'), (b"%0D", b"\r"), (b"%0A", b"\n"))

Pairs = list[tuple[str, Any]]
"""Names with values in the order sent: texts, of JSON also numbers, booleans and lists of those."""
_Bytes = Sequence[tuple[bytes, bytes]]


def fields_of(content_type: str, body: bytes) -> Pairs:
    """The fields of a form's body; uploaded files are left out.

    Raises ProblemError: 415 for another media type, 400 `invalid_json` or `invalid_form`, 422 for too many fields.
    """
    media_type, declared = _read_type(content_type)
    if media_type == URLENCODED and declared in (None, "utf-8") and (plain := _plain_fields(body)) is not None:
        return plain
    if media_type == JSON or (media_type == TEXT and body.lstrip()[:1] == b"{"):
        return _json_fields(body)
    try:
        if media_type == URLENCODED:
            pairs: _Bytes = form_pairs(body)
        elif media_type == MULTIPART:
            pairs = _parts(content_type, body)
        elif media_type == TEXT:
            pairs = _lines(body)
        else:
            raise ProblemError(415, "unsupported_media_type", f"Expected {URLENCODED}, {MULTIPART} or {JSON}.")
    except Unreadable as error:
        raise _too_many() if "fields" in str(error) else _unreadable(str(error)) from None
    _check_count(len(pairs))
    return _decoded(pairs, _candidates(declared, body, pairs))


@lru_cache(maxsize=64)
def _read_type(content_type: str) -> tuple[str, str | None]:
    """The media type, and the codec of the charset it declares, if it declares one that is known."""
    declared = None
    if "charset" in content_type.lower():
        _, options = parse_options_header(content_type)
        declared = _CODECS.get(options.get(b"charset", b"").decode("latin-1").strip().lower())
    return content_type.partition(";")[0].strip().lower(), declared


def _plain_fields(body: bytes) -> Pairs | None:
    """What browsers send of a page in UTF-8, decoded in one go; None where it takes a closer look."""
    plain = plain_form(body)
    # In the body itself, which is full of percent signs, an escape is looked for three times as long.
    if plain is None or b"\x1b" in plain or b"_charset_" in plain:
        return None
    try:
        # No more cells than it takes to see that they are too many.
        cells = plain.decode().split(_BETWEEN, 2 * MAX_FIELDS)
    except UnicodeDecodeError:
        return None
    names = cells[::2]
    if len(cells) > 2 * MAX_FIELDS or max(map(len, names)) > MAX_NAME:
        return None
    return list(zip(names, cells[1::2], strict=True))


def _json_fields(body: bytes) -> Pairs:
    value = check_json(body.removeprefix(b"\xef\xbb\xbf"))
    if not isinstance(value, dict):
        raise ProblemError(422, "invalid_fields", "A form in JSON is an object of its fields.")
    pairs: Pairs = []
    for name, content in value.items():
        if isinstance(content, list):
            pairs += [(name, one) for one in content]
        else:
            pairs.append((name, content))
    _check_count(len(pairs))
    nested = [
        FieldFault(pointer([name]), "expected a text, a number or a list of those") for name, one in pairs if _deep(one)
    ]
    if nested:
        raise ProblemError(422, "invalid_fields", "A form's fields are not nested.", nested)
    return [(_checked(name), one) for name, one in pairs if one is not None]


def _lines(body: bytes) -> list[tuple[bytes, bytes]]:
    """A form as text: a line `name=value` for each field; a line without `=` goes on with the value before it."""
    pairs: list[tuple[bytes, bytes]] = []
    for line in body.splitlines():
        name, sign, value = line.partition(b"=")
        if name and sign:
            pairs.append((name, value))
        elif pairs:
            pairs[-1] = (pairs[-1][0], pairs[-1][1] + b"\n" + line)
    return [(name, value.rstrip(b"\n")) for name, value in pairs]


def _deep(value: Any) -> bool:
    return isinstance(value, (dict, list))


def _check_count(count: int) -> None:
    if count > MAX_FIELDS:
        raise _too_many()


def _too_many() -> ProblemError:
    return ProblemError(422, "invalid_fields", f"A form has at most {MAX_FIELDS} fields.")


def _unreadable(detail: str) -> ProblemError:
    return ProblemError(400, "invalid_form", f"The form cannot be read: {detail}.")


def _candidates(declared: str | None, body: bytes, pairs: _Bytes) -> list[str]:
    """The encodings a form may be in before UTF-8 is tried: what `_charset_` says, what the header says, and the one of
    escape sequences where there are any.
    """
    found = []
    if b"_charset_" in body:
        named = (_CODECS.get(value.decode("latin-1").strip().lower()) for name, value in pairs if name == b"_charset_")
        found = [codec for codec in named if codec is not None]
    if declared is not None:
        found.append(declared)
    if b"\x1b" in b"".join(chain.from_iterable(pairs)):
        found.append("iso2022_jp")
    return found


def _decoded(pairs: _Bytes, candidates: Sequence[str]) -> Pairs:
    """All of a form is in one encoding: the first that fits."""
    for codec in (*candidates, "utf-8"):
        texts = _strictly(pairs, codec)
        if texts is not None:
            return texts
    fitting = [texts for codec in ("cp932", EUC) if (texts := _strictly(pairs, codec)) is not None]
    if fitting:
        # EUC-JP read as CP932 is full of half-width kana; the other way round hardly anything fits.
        return min(fitting, key=_half_width)
    # A person's inquiry is not lost for one broken sign.
    return [(_checked(name.decode("utf-8", "replace")), value.decode("utf-8", "replace")) for name, value in pairs]


def _strictly(pairs: _Bytes, codec: str) -> Pairs | None:
    try:
        if codec == "utf-8":
            return [(_called(name, codec), value.decode()) for name, value in pairs]
        texts = [(_called(name, codec), _decode(value, codec)) for name, value in pairs]
    except UnicodeDecodeError:
        return None
    return [(name, _ESCAPED.sub(_unescaped, value) if "&#" in value else value) for name, value in texts]


@lru_cache(maxsize=4_096)
def _called(name: bytes, codec: str) -> str:
    return _checked(_decode(name, codec))


def _checked(name: str) -> str:
    if len(name) > MAX_NAME:
        raise ProblemError(422, "invalid_fields", f"The name of a field has at most {MAX_NAME} characters.")
    return name


def _half_width(pairs: Pairs) -> int:
    return sum(len(_HALF_WIDTH_KANA.findall(part)) for pair in pairs for part in pair)


def _decode(raw: bytes, codec: str) -> str:
    return _from_euc(raw) if codec == EUC else raw.decode(codec)


def _from_euc(raw: bytes) -> str:
    """EUC-JP as browsers write it: with the vendors' signs (①, 髙), which Python's codec lacks and its CP932 has.

    Both arrange the same table of 94 × 94 signs, so bytes are moved from one arrangement to the other.
    """
    try:
        return raw.decode(EUC)
    except UnicodeDecodeError:
        pass
    text, place = [], 0
    for found in _EUC_SIGN.finditer(raw):
        row, cell = found[0][0] - 0xA1, found[0][1] - 0xA1
        lead = row // 2 + (0x81 if row < 62 else 0xC1)
        trail = cell + (0x9F if row % 2 else 0x40 if cell < 63 else 0x41)
        text += [raw[place : found.start()].decode(EUC), bytes((lead, trail)).decode("cp932")]
        place = found.end()
    return "".join([*text, raw[place:].decode(EUC)])


def _unescaped(found: "re.Match[str]") -> str:
    return unescape(found[0])


def _parts(content_type: str, body: bytes) -> list[tuple[bytes, bytes]]:
    """The parts of a multipart body that are no files."""
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise _unreadable("the header names no boundary")
    reader = _Parts()
    try:
        parser = MultipartParser(boundary, reader.callbacks())  # type: ignore[arg-type]
        parser.write(body)
        parser.finalize()
    except FormParserError:
        raise _unreadable("broken multipart") from None
    if not reader.ended:
        raise _unreadable("the multipart body ends early")
    return reader.pairs


class _Parts:
    """Collects what the parser tells of each part."""

    def __init__(self) -> None:
        self.pairs: list[tuple[bytes, bytes]] = []
        self.ended = False
        self._disposition = b""
        self._header = b""
        self._line = b""
        self._value: list[bytes] = []

    def callbacks(self) -> dict[str, Any]:
        """What MultipartParser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._grow("_header", data[start:end]),
            "on_header_value": lambda data, start, end: self._grow("_line", data[start:end]),
            "on_header_end": self._header_end,
            "on_part_data": lambda data, start, end: self._value.append(data[start:end]),
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        self._disposition, self._value = b"", []

    def _grow(self, name: str, data: bytes) -> None:
        setattr(self, name, getattr(self, name) + data)

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._line
        self._header = self._line = b""

    def _end(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"filename" in options or _FILE.search(_IN_QUOTES.sub(b"", self._disposition)):
            return
        if b"name" not in options:
            raise _unreadable("a part of it has no name that can be read")
        self.pairs.append((_unquoted(options[b"name"], _QUOTED), b"".join(self._value)))
        _check_count(len(self.pairs))

    def _finish(self) -> None:
        self.ended = True


def _unquoted(name: bytes, escapes: Iterable[tuple[bytes, bytes]]) -> bytes:
    for escape, sign in escapes:
        name = name.replace(escape, sign)
    return name
