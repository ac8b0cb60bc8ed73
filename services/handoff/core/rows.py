"""The rows of an extraction: what stands in them."""

from collections.abc import Mapping
from typing import Any

from services.handoff.core.handoff import Handoff
from services.handoff.core.rules import Rule
from services.handoff.core.state import LeadState, ModelState
from shared.clock import to_rfc3339
from shared.spreadsheet import Cell

COLUMNS = (
    "lead_id email phone name company department job_title industry score engagement fit grade level cell stage reasons"
    " rule queue owner crossed_at handed_over_at respond_by handoff_id"
).split()
_ATTRIBUTES = "name company department job_title industry".split()


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


def event_cells(data: Mapping[str, Any]) -> list[Cell]:
    """The data of a `lead.qualified.v1` as a row, in the order of COLUMNS; what is not of its shape is left empty."""
    lead, handoff = _dict(data.get("lead")), _dict(data.get("handoff"))
    reasons = data.get("reasons")
    listed = [_dict(reason) for reason in reasons] if isinstance(reasons, list) else []
    known = {
        **data,
        **{name: _dict(lead.get("attributes")).get(name) for name in _ATTRIBUTES},
        **{name: _dict(lead.get("identifiers")).get(name) for name in ("email", "phone")},
        **{name: handoff.get(name) for name in ("queue", "owner", "respond_by")},
        "lead_id": lead.get("id"),
        "handoff_id": handoff.get("id"),
        "reasons": "; ".join(f"{reason.get('rule')} {reason.get('points')}" for reason in listed),
    }
    return [_plain(known.get(name)) for name in COLUMNS]


def _plain(value: Any) -> Cell:
    return value if isinstance(value, (str, float, int)) else None


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
