"""What handoff publishes: qualified leads, and what became of them."""

from datetime import datetime
from fractions import Fraction
from functools import lru_cache
from typing import Any

from services.handoff.core.handoff import Handoff, Step, crossing_key
from services.handoff.core.rules import Recycling, Rule
from services.handoff.core.state import LeadState
from services.handoff.core.states import RECYCLED
from shared.clock import to_rfc3339
from shared.codec import encode
from shared.events import DESTINATION_DISABLED, HANDOFF_OUTCOME, QUALIFIED, OutboxRow, cloud_event_headers
from shared.topics import HANDOFF_OUTCOMES, LEAD_LIFECYCLE, QUALIFIED_LEADS

SOURCE = "kizashi/handoff"


def qualified(handoff: Handoff, rule: Rule, state: LeadState) -> OutboxRow:
    """The `qualified-leads` record of a handoff; its id follows from (lead, rule, cycle).

    A lead that was merged into another while it waited for its run keeps the id it crossed with; the state is the
    survivor's.
    """
    model = state.models[handoff.model]
    body = {
        "lead": {"id": handoff.lead_id, "identifiers": state.identifiers, "attributes": state.attributes},
        "rule": rule.id,
        "cycle": handoff.cycle,
        "score": model.score,
        "engagement": model.engagement,
        "fit": model.fit,
        "grade": model.grade,
        "level": model.level,
        "cell": model.cell,
        "stage": model.stage,
        "model": {"name": handoff.model, "version": model.version},
        "threshold": {"enter": _points(rule.enter), "leave": _points(rule.leave)},
        "crossed_at": to_rfc3339(handoff.crossed_at),
        "handed_over_at": _instant(handoff.handed_over_at),
        "reasons": model.reasons,
        "recent_activities": state.recent_activities,
        "handoff": {
            "id": handoff.id,
            "queue": handoff.queue,
            "owner": handoff.owner,
            "mode": handoff.mode,
            "extraction": handoff.extraction,
            "respond_by": _instant(handoff.respond_by),
        },
    }
    headers = cloud_event_headers(
        id_=crossing_key(handoff.lead_id, handoff.rule, handoff.cycle),
        source=SOURCE,
        type_=QUALIFIED,
        time=to_rfc3339(handoff.crossed_at),
        key=handoff.lead_id,
    )
    return OutboxRow(QUALIFIED_LEADS.name, handoff.lead_id.encode(), encode(body), headers)


def outcome(handoff: Handoff, step: Step, recycle: Recycling | None = None) -> OutboxRow:
    """The `handoff-outcomes` record of a step that `handoff` has taken; `recycle` is what its rule says of recycled
    leads, None where it leaves that to the scoring model.
    """
    body = {
        "handoff_id": handoff.id,
        "lead_id": handoff.lead_id,
        "rule": handoff.rule,
        "cycle": handoff.cycle,
        "queue": handoff.queue,
        "owner": handoff.owner,
        "outcome": step.state,
        "reason": step.reason,
        "until": _instant(step.until),
        "recycle": recycle if step.state == RECYCLED else None,
        "by": step.by,
        "at": to_rfc3339(step.at),
        "model": {"name": handoff.model, "version": handoff.model_version},
        "crossed_at": to_rfc3339(handoff.crossed_at),
    }
    headers = cloud_event_headers(
        id_=f"{handoff.id}:{handoff.revision}",
        source=SOURCE,
        type_=HANDOFF_OUTCOME,
        time=to_rfc3339(step.at),
        key=handoff.lead_id,
    )
    return OutboxRow(HANDOFF_OUTCOMES.name, handoff.lead_id.encode(), encode(body), headers)


def destination_disabled(
    destination_id: str, name: str, kind: str, reason: str, failing_since: datetime | None, now: datetime
) -> OutboxRow:
    """The `lead-lifecycle` record of a destination to which nothing is sent any more; keyed by the destination."""
    body = {
        "destination_id": destination_id,
        "name": name,
        "kind": kind,
        "reason": reason,
        "failing_since": _instant(failing_since),
        "at": to_rfc3339(now),
    }
    headers = cloud_event_headers(
        id_=f"{destination_id}:disabled:{to_rfc3339(now)}",
        source=SOURCE,
        type_=DESTINATION_DISABLED,
        time=to_rfc3339(now),
        key=destination_id,
    )
    return OutboxRow(LEAD_LIFECYCLE.name, destination_id.encode(), encode(body), headers)


@lru_cache(maxsize=1_024)
def _points(cents: int | Fraction) -> float | int:
    points = Fraction(cents) / 100
    return int(points) if points.denominator == 1 else float(points)


def _instant(instant: datetime | None) -> Any:
    return None if instant is None else to_rfc3339(instant)
