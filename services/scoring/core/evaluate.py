"""The evaluation of a state at an instant: score, bands, stage, and reasons that add up."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from services.scoring.core.calendar import micros_of
from services.scoring.core.compile import CompiledModel
from services.scoring.core.earned import Sums, Worth, combine, is_recycled, recycled_worths, worths
from services.scoring.core.evaluation import Evaluation, ManualPoints, Reason
from services.scoring.core.state import State
from shared.clock import to_micros
from shared.conditions import look_up


class StateFacts:
    """What stages and exclusions may ask about (see shared.conditions.Scope)."""

    __slots__ = ("at", "attributes", "email_domain", "engagement", "fit", "grade", "level", "stage", "state", "total")

    def __init__(self, state: State, at: int, engagement: int = 0, fit: int = 0, total: int = 0) -> None:
        self.state, self.at = state, at
        self.attributes: Mapping[str, Any] = state.attributes
        self.email_domain = state.email_domain or state.mailbox_domain
        self.total, self.engagement, self.fit = total / 100, engagement / 100, fit / 100
        self.grade: str | None = None
        self.level: str | None = None
        self.stage: str | None = None

    def did(self, activity_type: str, within: timedelta | None) -> int:
        """How often, ever or in (at - within, at]."""
        counted = self.state.did.get(activity_type)
        if counted is None:
            return 0
        if within is None:
            return int(counted[0])
        return len(counted[1]) - bisect_right(counted[1], self.at - micros_of(within))


def evaluate(model: CompiledModel, state: State, at: datetime, manual: Sequence[ManualPoints] = ()) -> Evaluation:
    """The lead at `at`, which lies at or after the last folded activity.

    Raises ValueError for an earlier instant (fold what had happened by then instead) and for a state that has to be
    folded again.
    """
    instant = to_micros(at)
    _check(state, instant)
    earned = worths(model, state, instant)
    idle = idle_periods(model, state, instant)
    sums = combine(model, [points for points, _ in earned], idle)
    engagement = sums.total
    if state.recyclings and is_recycled(state, instant):
        engagement = combine(model, [points for points, _ in recycled_worths(model, state, instant)], idle).total
    fit_raw, fit = fit_sums(model, state)
    by_hand = manual_in_force(manual, at) if manual else ()
    given = sum([one.points for one in by_hand])
    standing = judge(model, state, instant, engagement, fit, engagement + fit + given)
    if standing.excluded:
        return Evaluation(None, None, None, 0, None, None, None, state.coverage, (Reason("excluded", 0, 1),))
    reasons = _rules(model, state, earned)
    for group, cents in zip(model.groups, sums.groups, strict=True):
        if cents:
            reasons.append(Reason(group.reason, cents, 1))
    reasons += _corrections(sums, fit - fit_raw, engagement - sums.total)
    if given:
        reasons.append(Reason("manual", given, len(by_hand)))
    # By position, which takes half the time.
    return Evaluation(
        engagement + fit + given,
        engagement,
        fit,
        given,
        standing.grade,
        standing.level,
        standing.stage,
        state.coverage,
        tuple(reasons),
    )


def _rules(model: CompiledModel, state: State, earned: Sequence[Worth]) -> list[Reason]:
    lines = [
        Reason(rule.id, points, paying) for rule, (points, paying) in zip(model.rules, earned, strict=True) if points
    ]
    for rule, holds in zip(model.fit, state.fit or (), strict=True):
        if holds and rule.points:
            lines.append(Reason(rule.id, rule.points, 1))
    return lines


def _corrections(sums: Sums, fit: int, recycled: int) -> list[Reason]:
    if not (sums.clamp or fit or sums.inactivity or recycled):
        return []
    lines = (("cap:engagement", sums.clamp), ("cap:fit", fit), ("inactivity", sums.inactivity), ("recycled", recycled))
    return [Reason(name, cents, 1) for name, cents in lines if cents]


def _check(state: State, instant: int) -> None:
    if state.needs_refold:
        raise ValueError("an attribute changed that rules had used: fold again from a new state")
    if state.last is not None and instant < state.last[0]:
        raise ValueError("the state already holds later activities")


def idle_periods(model: CompiledModel, state: State, at: int) -> int:
    """Whole periods of inactivity since the last sign of life; none before the first."""
    if model.inactivity is None or state.last_active is None:
        return 0
    return (at - state.last_active) // model.idle_span


def fit_sums(model: CompiledModel, state: State) -> tuple[int, int]:
    """The fit sum in cents before and after its clamp; worked out again only when an attribute changed."""
    if state.fit is None:
        facts = StateFacts(state, 0)
        state.fit = [rule.test(facts) for rule in model.fit]
        known = [look_up(state.attributes, path) for path in model.fit_paths]
        values = [value is not None and value != "" for value in known]
        state.coverage = round(sum(values) / len(values), 4) if values else None
        state.fit_sum = sum(rule.points for rule, holds in zip(model.fit, state.fit, strict=True) if holds)
    return state.fit_sum, model.model.fit.apply(state.fit_sum)


def manual_in_force(manual: Sequence[ManualPoints], at: datetime) -> list[ManualPoints]:
    """Those given by `at` and not expired."""
    return [one for one in manual if one.given_at <= at and (one.expires_at is None or at < one.expires_at)]


class Standing(NamedTuple):
    """Where sums put a lead. One that is excluded stands there for nobody to see."""

    grade: str
    level: str
    stage: str | None
    excluded: bool


def judge(model: CompiledModel, state: State, at: int, engagement: int, fit: int, total: int) -> Standing:
    """Bands, stage and exclusion for these sums in cents. A stage may ask for the stage reached before it."""
    grade, level = _band(model.grades, fit), _band(model.levels, engagement)
    if not model.stages and model.excluded is None:
        return Standing(grade, level, None, False)
    facts = StateFacts(state, at, engagement, fit, total)
    facts.grade, facts.level = grade, level
    for name, reached in model.stages:
        if reached(facts):
            facts.stage = name
    return Standing(grade, level, facts.stage, model.excluded is not None and model.excluded(facts))


def _band(bounds: Sequence[tuple[str, int]], cents: int) -> str:
    """The best band whose lower bound is reached; below the lowest counts as the lowest."""
    for name, bound in bounds:
        if cents >= bound:
            return name
    return bounds[-1][0]
