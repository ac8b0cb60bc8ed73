"""CSV that a spreadsheet may open: nothing in it runs, and Windows' Japanese code page is one of its encodings."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Literal

Encoding = Literal["utf-8-sig", "utf-8", "cp932"]
Cell = str | float | int | None

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
"""What makes spreadsheets read a text as a formula, full-width forms included. Source: OWASP, CSV Injection."""

# Unicode has two characters each for these; Windows' Japanese code page knows one of them.
_TO_CP932 = str.maketrans({"〜": "～", "−": "－", "‖": "∥", "—": "―", "¢": "￠", "£": "￡", "¬": "￢"})
_UNKNOWN = "〓"
"""Japanese printing's mark for a character that is not in the case."""


def header(columns: Sequence[str], encoding: Encoding) -> bytes:
    """The first line, with the byte order mark where the encoding has one."""
    return _lines([columns]).encode(encoding)


def lines(rows: Iterable[Sequence[Cell]], encoding: Encoding) -> bytes:
    """Rows as lines that follow the header."""
    text = _lines([[safe(cell) for cell in row] for row in rows])
    if encoding == "cp932":
        return _to_cp932(text)
    return text.encode("utf-8")


def charset(encoding: Encoding) -> str:
    """What an answer says of it."""
    return "Shift_JIS" if encoding == "cp932" else "utf-8"


def safe(cell: Cell) -> Cell:
    """A text that a spreadsheet would run is shown as text by an apostrophe before it; numbers stay numbers."""
    if isinstance(cell, str) and cell.lstrip(" \u3000\n").startswith(_FORMULA):
        return f"'{cell}"
    return cell


def _lines(rows: Iterable[Sequence[Cell]]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerows(rows)
    return written.getvalue()


def _to_cp932(text: str) -> bytes:
    try:
        return text.translate(_TO_CP932).encode("cp932")
    except UnicodeEncodeError:
        return "".join(map(_known_to_cp932, text.translate(_TO_CP932))).encode("cp932")


def _known_to_cp932(character: str) -> str:
    try:
        character.encode("cp932")
    except UnicodeEncodeError:
        return _UNKNOWN
    return character
