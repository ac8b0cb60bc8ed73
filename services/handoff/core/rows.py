"""Qualified leads as rows of a file. Pure."""

from collections.abc import Mapping
from typing import Any

COLUMNS = (
    *("lead_id", "name", "company", "job_title", "email", "phone"),
    *("score", "engagement", "fit", "grade", "level", "stage", "rule", "cycle"),
    *("queue", "owner", "respond_by", "crossed_at", "handed_over_at", "handoff_id", "reasons"),
)


def row_of(data: Mapping[str, Any]) -> list[Any]:
    """The values of a `lead.qualified.v1` in the order of COLUMNS."""
    lead, handoff = _dict(data.get("lead")), _dict(data.get("handoff"))
    known = {
        **_dict(lead.get("attributes")),
        **_dict(lead.get("identifiers")),
        **{name: value for name, value in data.items() if name != "reasons"},
        **{name: handoff.get(name) for name in ("queue", "owner", "respond_by")},
        "lead_id": lead.get("id"),
        "handoff_id": handoff.get("id"),
        "reasons": _reasons(data.get("reasons")),
    }
    return [_flat(known.get(name)) for name in COLUMNS]


def _reasons(reasons: Any) -> str:
    listed = [_dict(reason) for reason in reasons] if isinstance(reasons, list) else []
    return "; ".join(f"{reason.get('rule')} {reason.get('points')}" for reason in listed)


def _flat(value: Any) -> Any:
    return None if isinstance(value, (dict, list)) else value


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
