"""One lead given to one queue for one cycle, and the steps it takes."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from services.handoff.core.crossing import Crossing
from services.handoff.core.origin import origin_of
from services.handoff.core.rules import Rule
from services.handoff.core.state import LeadState
from services.handoff.core.states import EXPIRED, LAPSED, QUALIFIED, RECYCLED, WAITING, is_closed

SELF = "kizashi"
"""Who takes the steps that no person took."""
IMMEDIATE, SCHEDULED = "immediate", "scheduled"
_NAMESPACE = uuid5(NAMESPACE_URL, "https://kizashi.invalid/handoff")


@dataclass(frozen=True, slots=True)
class Handoff:
    """A handoff as stored.

    `expires_at` (from the crossing, or from the answer that made it one) decides whether it was closed at a judged
    instant, so that a late consumer judges as a punctual one would have; `close_at` (from the hand-over, never earlier)
    is when sales can no longer answer. `revision` counts the entries of its history. One that is collected has no
    `handed_over_at` until its run.

    `due_at` is when the next deadline is looked at and `breaches` how many were missed under it; `assign_at` is when a
    member is looked for again, `routing` why the owner is the owner; until `rests_until` a recycled lead is not asked
    again. `rules_version` is the version of `handoff.yaml` that raised it. `score` (cents) is that of the hand-over,
    before it that of the crossing; `source` and `campaign` are the last touch before the crossing.
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
    handed_over_at: datetime | None
    respond_by: datetime | None
    expires_at: datetime
    close_at: datetime
    revision: int
    decide_by: datetime | None = None
    due_at: datetime | None = None
    breaches: int = 0
    assign_at: datetime | None = None
    routing: str | None = None
    extraction: str | None = None
    rests_until: datetime | None = None
    rules_version: int = 0
    score: int | None = None
    source: str | None = None
    campaign: str | None = None


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


def new_handoff(
    rule: Rule, state: LeadState, crossing: Crossing, now: datetime, version: int = 0, *, answered: bool = False
) -> Handoff:
    """The handoff of a crossing: handed over at `now`, or waiting for the rule's next run.

    `answered`: the answer to another handoff has made it one, which may be long after the state it was judged on.
    """
    origin = origin_of(state.recent_activities)
    begin = max(crossing.crossed_at, now)
    collected = Handoff(
        id=str(uuid5(_NAMESPACE, crossing_key(state.lead_id, rule.id, crossing.cycle))),
        lead_id=state.lead_id,
        rule=rule.id,
        cycle=crossing.cycle,
        state=QUALIFIED,
        queue=rule.to.name,
        owner=None,
        mode=IMMEDIATE if rule.timetable is None else SCHEDULED,
        model=crossing.model,
        model_version=state.models[crossing.model].version,
        crossed_at=crossing.crossed_at,
        handed_over_at=None,
        respond_by=None,
        expires_at=_first_chance(rule, begin if answered else crossing.crossed_at) + rule.close_after,
        close_at=_first_chance(rule, begin) + rule.close_after,
        revision=1,
        rules_version=version,
        score=state.models[crossing.model].cents,
        source=origin.source,
        campaign=origin.campaign,
    )
    return collected if rule.timetable is not None else hand_over(collected, rule, now)


def _first_chance(rule: Rule, crossed_at: datetime) -> datetime:
    """When a lead that crosses then is handed over at the earliest."""
    run = rule.timetable.after(crossed_at) if rule.timetable is not None else None
    return crossed_at if run is None else run.at.astimezone(UTC)


def hand_over(handoff: Handoff, rule: Rule, now: datetime, extraction: str | None = None, **more: Any) -> Handoff:
    """The handoff in the hands of its queue since `now`: from then on its deadlines run. `more` changes with it."""
    respond_by = rule.to.deadline(now, rule.to.respond_within)
    close_at = max(handoff.crossed_at, now) + rule.close_after
    return replace(
        handoff,
        queue=rule.to.name,
        handed_over_at=now,
        respond_by=respond_by,
        due_at=respond_by,
        close_at=close_at,
        expires_at=handoff.expires_at if extraction is None else max(handoff.expires_at, close_at),
        extraction=extraction,
        **more,
    )


def unanswered_at(handoff: Handoff, at: datetime) -> bool:
    """Whether it is due to expire at the judged instant `at`."""
    return handoff.state in WAITING and handoff.expires_at <= at


def closed_at(handoff: Handoff, at: datetime) -> bool:
    """Whether it is closed at the judged instant `at`.

    Answers count from when they are known; a recycled lead rests until the day that sales named. Expiry counts from its
    own instant, whenever it was written down: the result must not depend on how often expired handoffs are looked for.
    """
    if handoff.state == EXPIRED:
        return handoff.expires_at <= at
    if handoff.state == RECYCLED and handoff.rests_until is not None:
        return handoff.rests_until <= at
    return is_closed(handoff.state)


def expiry(handoff: Handoff, at: datetime) -> Step:
    """The step of a handoff that nobody answered, or that no run has collected."""
    if handoff.handed_over_at is None:
        return Step(LAPSED, at, SELF, "no run collected it")
    return Step(EXPIRED, at, SELF, "no answer")
