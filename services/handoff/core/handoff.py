"""One lead given to one queue for one cycle, and the steps it takes."""

from dataclasses import dataclass
from datetime import datetime
from uuid import NAMESPACE_URL, uuid5

from services.handoff.core.crossing import Crossing
from services.handoff.core.rules import Rule
from services.handoff.core.state import LeadState
from services.handoff.core.states import EXPIRED, QUALIFIED, WAITING, is_closed

SELF = "kizashi"
"""Who takes the steps that no person took."""
_NAMESPACE = uuid5(NAMESPACE_URL, "https://kizashi.invalid/handoff")


@dataclass(frozen=True, slots=True)
class Handoff:
    """A handoff as stored.

    `expires_at` (from the crossing) decides whether it was closed at a judged instant, so that a late consumer judges
    as a punctual one would have; `close_at` (from the hand-over, never earlier) is when sales can no longer answer.
    `revision` counts the steps.
    """

    id: str
    lead_id: str
    rule: str
    cycle: int
    state: str
    queue: str
    owner: str | None
    mode: str
    model: str
    model_version: int
    crossed_at: datetime
    handed_over_at: datetime
    respond_by: datetime | None
    expires_at: datetime
    close_at: datetime
    revision: int


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a handoff: to which state, when, by whom, why; `until` is when a recycled lead may be asked again."""

    state: str
    at: datetime
    by: str
    reason: str | None = None
    until: datetime | None = None


def crossing_key(lead_id: str, rule: str, cycle: int) -> str:
    """The same under any replay: the id of the event, and what the handoff's id is made from."""
    return f"{lead_id}:{rule}:{cycle}"


def new_handoff(rule: Rule, state: LeadState, crossing: Crossing, now: datetime) -> Handoff:
    """The handoff of a crossing, handed over at `now`."""
    respond_within = rule.queue.respond_within
    # With a calendar the time runs in business hours only, which is not a matter of adding.
    plain = respond_within is not None and rule.queue.calendar is None
    return Handoff(
        id=str(uuid5(_NAMESPACE, crossing_key(state.lead_id, rule.id, crossing.cycle))),
        lead_id=state.lead_id,
        rule=rule.id,
        cycle=crossing.cycle,
        state=QUALIFIED,
        queue=rule.queue_name,
        owner=None,
        mode="immediate",
        model=crossing.model,
        model_version=state.models[crossing.model].version,
        crossed_at=crossing.crossed_at,
        handed_over_at=now,
        respond_by=now + respond_within if respond_within is not None and plain else None,
        expires_at=crossing.crossed_at + rule.close_after,
        close_at=max(crossing.crossed_at, now) + rule.close_after,
        revision=1,
    )


def unanswered_at(handoff: Handoff, at: datetime) -> bool:
    """Whether it is due to expire at the judged instant `at`."""
    return handoff.state in WAITING and handoff.expires_at <= at


def closed_at(handoff: Handoff, at: datetime) -> bool:
    """Whether it is closed at the judged instant `at`.

    Answers count from when they are known. Expiry counts from its own instant, whenever it was written down: the result
    must not depend on how often expired handoffs are looked for.
    """
    if handoff.state == EXPIRED:
        return handoff.expires_at <= at
    return is_closed(handoff.state)


def expiry(at: datetime) -> Step:
    """The step of a handoff that nobody answered."""
    return Step(EXPIRED, at, SELF, "no answer")
