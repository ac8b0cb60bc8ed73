"""What handoff publishes: qualified leads and the outcomes of handoffs."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from services.handoff.core.rules import Rule
from services.handoff.core.seen import SeenLead
from shared.clock import to_rfc3339
from shared.events import HANDOFF_OUTCOME, QUALIFIED, cloud_event_headers
from shared.outbox import OutboxRow
from shared.topics import HANDOFF_OUTCOMES, QUALIFIED_LEADS

SOURCE = "kizashi/handoff"
IMMEDIATE = "immediate"


def qualified(lead: SeenLead, rule: Rule, cycle: int, handed_over_at: datetime) -> OutboxRow:
    """The `qualified-leads` record of a new cycle."""
    name = rule.model or lead.primary
    state = lead.models[name]
    body = {
        "lead": {
            "id": lead.lead_id,
            "identifiers": lead.body.get("identifiers") or {},
            "attributes": lead.body.get("attributes") or {},
        },
        "rule": rule.id,
        "cycle": cycle,
        **{field: state.get(field) for field in ("score", "engagement", "fit", "grade", "level", "cell", "stage")},
        "model": {"name": name, "version": state.get("version")},
        "threshold": {"enter": rule.enter / 100, "leave": rule.leave / 100},
        "crossed_at": to_rfc3339(lead.evaluated_at),
        "handed_over_at": to_rfc3339(handed_over_at),
        "reasons": state["reasons"],
        "recent_activities": lead.body.get("recent_activities") or [],
        "handoff": {
            "id": rule.handoff_id(lead.lead_id, cycle),
            "queue": rule.queue,
            "owner": None,
            "mode": IMMEDIATE,
            "extraction": None,
            "respond_by": None,
        },
    }
    headers = cloud_event_headers(
        id_=f"{lead.lead_id}:{rule.id}:{cycle}",
        source=SOURCE,
        type_=QUALIFIED,
        time=lead.evaluated_at,
        key=lead.lead_id,
    )
    return OutboxRow(QUALIFIED_LEADS.name, lead.lead_id.encode(), orjson.dumps(body), headers)


@dataclass(frozen=True, slots=True)
class OutcomeOf:
    """One step of one handoff, to be told."""

    handoff_id: str
    lead_id: str
    rule: str
    cycle: int
    outcome: str
    at: datetime
    number: int
    by: str | None = None
    reason: str | None = None
    until: datetime | None = None


def outcome(told: OutcomeOf) -> OutboxRow:
    """The `handoff-outcomes` record of a step; `number` is its place in the handoff's history."""
    body: dict[str, Any] = {
        "handoff_id": told.handoff_id,
        "lead_id": told.lead_id,
        "rule": told.rule,
        "cycle": told.cycle,
        "outcome": told.outcome,
        "reason": told.reason,
        "until": to_rfc3339(told.until) if told.until else None,
        "by": told.by,
        "at": to_rfc3339(told.at),
    }
    headers = cloud_event_headers(
        id_=f"{told.handoff_id}:{told.number}", source=SOURCE, type_=HANDOFF_OUTCOME, time=told.at, key=told.lead_id
    )
    return OutboxRow(HANDOFF_OUTCOMES.name, told.lead_id.encode(), orjson.dumps(body), headers)
