"""An evaluation taken apart: every entry, what each rule, group and clamp made of it, and what will change next.

Amounts are cents. Those of single entries are exact and unrounded (`Exact`); a rule's sum is rounded once.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

from services.scoring.core.compile import CompiledModel, CompiledRule
from services.scoring.core.decay import Exact
from services.scoring.core.earned import Sums, combine, first_cell, is_recycled, recycled_worths, weighted_spans
from services.scoring.core.engine import counting, until
from services.scoring.core.evaluate import evaluate, fit_sums, idle_periods, manual_in_force
from services.scoring.core.evaluation import Evaluation, ManualPoints
from services.scoring.core.fold import VerdictOf
from services.scoring.core.next_change import next_change_at
from services.scoring.core.openings import Openings
from services.scoring.core.state import Recycling, State
from services.scoring.core.trace import Denial, Trace, traced_fold
from services.scoring.core.verdicts import judge
from shared.activity import Activity
from shared.clock import from_micros, to_micros

WHOLE = Fraction(1)
"""The factor of an entry that nothing was recycled of."""


@dataclass(slots=True)
class Earning:
    """What one activity earned from one rule: at its own instant, and now. An activity that a cell counts earns
    nothing by itself. `factor` is what recycling leaves of it. Not frozen, as there are thousands; no one writes to it.
    """

    activity: Activity
    start: int
    now: Exact
    factor: Fraction = WHOLE


@dataclass(frozen=True, slots=True)
class CellCount:
    """One cell of a rule: its points, and how many activities lie in its span; `pays` for the first that is true."""

    points: int
    count: int
    pays: bool


@dataclass(frozen=True, slots=True)
class RuleAccount:
    """One engagement rule: `raw` is the rounded sum of its entries, `points` that inside the rule's clamp, `count` how
    many entries pay.
    """

    rule: CompiledRule
    raw: int
    points: int
    count: int
    entries: tuple[Earning, ...]
    denied: tuple[Denial, ...]
    cells: tuple[CellCount, ...]


@dataclass(frozen=True, slots=True)
class GroupAccount:
    """A group: the sum of its rules, and that inside its clamp."""

    name: str
    raw: int
    points: int


@dataclass(frozen=True, slots=True)
class FitAccount:
    """A fit rule: what it would give without and with its own clamp, and whether it holds."""

    rule: str
    raw: int
    points: int
    holds: bool


@dataclass(frozen=True, slots=True)
class NextChange:
    """The first instant at which time alone changes the lead, and the lead then."""

    at: datetime
    evaluation: Evaluation


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything behind one evaluation at `at`.

    The way of the sums: rules, groups (`sums.groups` is what their clamps change), inactivity, engagement's clamp,
    recycling, which together are `evaluation.engagement`; fit rules, fit's clamp; manual points. For an excluded lead
    they say what it would have.
    """

    at: datetime
    evaluation: Evaluation
    rules: tuple[RuleAccount, ...]
    groups: tuple[GroupAccount, ...]
    sums: Sums
    idle: int
    last_active: datetime | None
    recycled: int
    recyclings: tuple[Recycling, ...]
    fit: tuple[FitAccount, ...]
    fit_raw: int
    fit_points: int
    manual: tuple[ManualPoints, ...]
    next_change: NextChange | None

    @property
    def engagement(self) -> int:
        """The engagement sum, also for an excluded lead."""
        return self.sums.total + self.recycled

    @property
    def score(self) -> int:
        """The score, also for an excluded lead."""
        return self.engagement + self.fit_points + sum(one.points for one in self.manual)


def explain(
    model: CompiledModel,
    activities: Iterable[Activity],
    at: datetime,
    *,
    attributes: Mapping[str, Any] | None = None,
    manual: Sequence[ManualPoints] = (),
    recyclings: Sequence[Recycling] = (),
    verdict_of: VerdictOf | None = None,
    opened: Openings | None = None,
) -> Explanation:
    """Explain the lead at `at`, from the same arguments as `fold_all`.

    `opened` stands for removed activities; `at` is not before its cut. What they earned are entries whose activity is
    of the type `REMOVED`.
    """
    ordered = until(activities, at)
    if verdict_of is None and (judgement := judge(ordered, opened.trail if opened else ())).unpaid:
        verdict_of = judgement.verdict_of
    counted, earlier = counting(model, ordered, opened)
    state, trace = traced_fold(
        model,
        counted,
        attributes=attributes,
        recyclings=recyclings,
        verdict_of=verdict_of,
        earlier=earlier,
        withheld=_without(ordered, counted),
    )
    return _account(model, state, trace, at, manual)


def _without(ordered: Sequence[Activity], counted: Sequence[Activity]) -> Sequence[Activity]:
    """Those that do not count, for lack of consent."""
    if len(counted) == len(ordered):
        return ()
    counting = {id(one) for one in counted}
    return [one for one in ordered if id(one) not in counting]


def _account(
    model: CompiledModel, state: State, trace: Trace, at: datetime, manual: Sequence[ManualPoints]
) -> Explanation:
    instant = to_micros(at)
    evaluation = evaluate(model, state, at, manual)
    rules = tuple(_rule(rule, trace, state, instant) for rule in model.rules)
    idle = idle_periods(model, state, instant)
    sums = combine(model, [one.points for one in rules], idle)
    fit_raw, fit_points = fit_sums(model, state)
    return Explanation(
        at=at,
        evaluation=evaluation,
        rules=rules,
        groups=_groups(model, rules),
        sums=sums,
        idle=idle,
        last_active=None if state.last_active is None else from_micros(state.last_active),
        recycled=_recycled(model, state, instant, sums, idle),
        recyclings=tuple(one for one in state.recyclings if one.at <= at),
        fit=_fit(model, state),
        fit_raw=fit_raw,
        fit_points=fit_points,
        manual=tuple(manual_in_force(manual, at)),
        next_change=_next(model, state, at, manual),
    )


def _rule(rule: CompiledRule, trace: Trace, state: State, at: int) -> RuleAccount:
    paid, denied = trace.paid[rule.index], tuple(trace.denied[rule.index])
    if rule.cells:
        return _cells_rule(rule, paid, denied, at)
    entries = _earnings(rule, paid, weighted_spans(state, at) if state.recyclings else (), at)
    raw = round(sum([entry.now for entry in entries]))
    paying = sum([1 for entry in entries if entry.now])
    return RuleAccount(rule, raw, rule.clamp.apply(raw), paying, entries, denied, ())


def _earnings(
    rule: CompiledRule, paid: Sequence[Activity], spans: Sequence[tuple[int, int, Fraction]], at: int
) -> tuple[Earning, ...]:
    points = rule.points
    if not rule.keeps_times and not spans:
        return tuple([Earning(activity, points, points) for activity in paid])
    times = [to_micros(activity.occurred_at) for activity in paid]
    worths = rule.decay.each(points, times, at)
    if not spans:
        return tuple([Earning(activity, points, now) for activity, now in zip(paid, worths, strict=True)])
    factors = [next((factor for start, end, factor in spans if start <= time < end), WHOLE) for time in times]
    entries = zip(paid, worths, factors, strict=True)
    return tuple([Earning(activity, points, now, factor) for activity, now, factor in entries])


def _cells_rule(rule: CompiledRule, counted: Sequence[Activity], denied: tuple[Denial, ...], at: int) -> RuleAccount:
    """The activities shown are those that the paying cell counts, or, where none pays, any cell."""
    times = [to_micros(activity.occurred_at) for activity in counted]
    points, count = first_cell(rule, times, at)
    cells: list[CellCount] = []
    for cell in rule.cells:
        inside = len(times) - bisect_right(times, at - cell.span)
        pays = inside >= cell.at_least and not any(one.pays for one in cells)
        cells.append(CellCount(cell.points, inside, pays))
    shown = count or max(cell.count for cell in cells)
    entries = tuple(Earning(activity, 0, 0) for activity in counted[len(counted) - shown :])
    return RuleAccount(rule, points, rule.clamp.apply(points), count, entries, denied, tuple(cells))


def _groups(model: CompiledModel, rules: Sequence[RuleAccount]) -> tuple[GroupAccount, ...]:
    points = [one.points for one in rules]
    sums = [(group, group.sum(points)) for group in model.groups]
    return tuple(GroupAccount(group.name, raw, group.clamp.apply(raw)) for group, raw in sums)


def _recycled(model: CompiledModel, state: State, at: int, sums: Sums, idle: int) -> int:
    """What recycling takes from the engagement sum."""
    if not state.recyclings or not is_recycled(state, at):
        return 0
    return combine(model, [points for points, _ in recycled_worths(model, state, at)], idle).total - sums.total


def _fit(model: CompiledModel, state: State) -> tuple[FitAccount, ...]:
    holding = state.fit or ()
    return tuple(
        FitAccount(rule.id, written.points, rule.points, holds)
        for rule, written, holds in zip(model.fit, model.model.fit.rules, holding, strict=True)
    )


def _next(model: CompiledModel, state: State, at: datetime, manual: Sequence[ManualPoints]) -> NextChange | None:
    instant = next_change_at(model, state, at, manual)
    return None if instant is None else NextChange(instant, evaluate(model, state, instant, manual))
