"""The rows of an extraction: what stands in them, and how they become CSV that a spreadsheet may open."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from services.handoff.core.handoff import Handoff
from services.handoff.core.rules import Rule
from services.handoff.core.state import LeadState, ModelState
from shared.clock import to_rfc3339

Encoding = Literal["utf-8-sig", "utf-8", "cp932"]
Cell = str | float | int | None

COLUMNS = (
    "lead_id email phone name company department job_title industry score engagement fit grade level cell stage reasons"
    " rule queue owner crossed_at handed_over_at respond_by handoff_id"
).split()
_ATTRIBUTES = "name company department job_title industry".split()
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
"""What makes spreadsheets read a text as a formula, full-width forms included. Source: OWASP, CSV Injection."""

# Unicode has two characters each for these; Windows' Japanese code page knows one of them.
_TO_CP932 = str.maketrans({"〜": "～", "−": "－", "‖": "∥", "—": "―", "¢": "￠", "£": "￡", "¬": "￢"})
_UNKNOWN = "〓"
"""Japanese printing's mark for a character that is not in the case."""


def cells(rule: Rule, state: LeadState, model: ModelState, handoff: Handoff | None) -> list[Cell]:
    """One lead as a row, in the order of COLUMNS; a lead on a list has no handoff."""
    return [
        handoff.lead_id if handoff is not None else state.lead_id,
        _text(state.identifiers.get("email")),
        _text(state.identifiers.get("phone")),
        *(_text(state.attributes.get(name)) for name in _ATTRIBUTES),
        model.score,
        model.engagement,
        model.fit,
        model.grade,
        model.level,
        model.cell,
        model.stage,
        "; ".join(f"{reason.get('rule')} {reason.get('points')}" for reason in model.reasons),
        rule.id,
        rule.to.name,
        *_of(handoff),
    ]


def _of(handoff: Handoff | None) -> list[Cell]:
    if handoff is None:
        return [None] * 5
    instants = (handoff.crossed_at, handoff.handed_over_at, handoff.respond_by)
    return [handoff.owner, *(to_rfc3339(one) if one is not None else None for one in instants), handoff.id]


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def header(encoding: Encoding) -> bytes:
    """The first line, with the byte order mark where the encoding has one."""
    return _lines([COLUMNS]).encode(encoding)


def lines(rows: Iterable[Sequence[Cell]], encoding: Encoding) -> bytes:
    """Rows as lines that follow the header."""
    text = _lines([[_safe(cell) for cell in row] for row in rows])
    if encoding == "cp932":
        return _to_cp932(text)
    return text.encode("utf-8")


def _lines(rows: Iterable[Sequence[Cell]]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerows(rows)
    return written.getvalue()


def _safe(cell: Cell) -> Cell:
    """A text that a spreadsheet would run is shown as text by an apostrophe before it; numbers stay numbers."""
    if isinstance(cell, str) and cell.lstrip(" \u3000\n").startswith(_FORMULA):
        return f"'{cell}"
    return cell


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
