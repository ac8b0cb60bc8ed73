"""The fold, watched: which activity each rule paid, and which one it denied by what. Decides nothing itself."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.scoring.core.compile import CompiledModel, CompiledRule
from services.scoring.core.fold import REPEAT, ActivityFacts, Earlier, Seen, VerdictOf, fold, new_state, unpaid_verdict
from services.scoring.core.objects import object_key
from services.scoring.core.state import Recycling, State
from shared.activity import Activity

VERDICT = "verdict"
"""Denied because the activity was no person's: `Denial.verdict` says which verdict it has."""
CONSENT = "consent"
"""Denied because there was no consent to profiling at the activity's instant, and the model asks for it."""


@dataclass(slots=True)
class Denial:
    """An activity that matched a rule and was not paid by it. Not frozen, as there are thousands; no one writes to it.

    `policy` is `repeat`, `daily_max`, `verdict` or `consent`; `paid_before` is the paid activity behind a `repeat`.
    """

    activity: Activity
    policy: str
    paid_before: Activity | None = None
    verdict: str | None = None


@dataclass(slots=True)
class Trace:
    """Per rule in model order: the activities it paid (or, with cells, counted), and those it denied."""

    paid: list[list[Activity]]
    denied: list[list[Denial]]


def traced_fold(
    model: CompiledModel,
    ordered: Sequence[Activity],
    *,
    attributes: Mapping[str, Any] | None = None,
    recyclings: Sequence[Recycling] = (),
    verdict_of: VerdictOf | None = None,
    earlier: Earlier | None = None,
    withheld: Sequence[Activity] = (),
) -> tuple[State, Trace]:
    """Fold `ordered` (in fold order, each once) from a new state; what came of each activity stands in the trace, and
    what came of removed ones as far as `earlier` tells. `withheld` are those that do not count for lack of consent.
    """
    # The fold does nothing more than note; thousands of times, which is why it does so little.
    seen: Seen = [[] for _ in model.rules]
    state = new_state(model, attributes=attributes, recyclings=recyclings)
    fold(model, state, ordered, verdict_of, seen, earlier)
    paid = [[activity for activity, denied in one if denied is None] for one in seen]
    trace = Trace(paid, [_denials(rule, one) for rule, one in zip(model.rules, seen, strict=True)])
    _note_unpaid(model, state, [*_no_persons(ordered, verdict_of), *(Denial(one, CONSENT) for one in withheld)], trace)
    return state, trace


def _denials(rule: CompiledRule, seen: Sequence[tuple[Activity, str | None]]) -> list[Denial]:
    if rule.repeat.by_object:
        return _denials_by_object(seen)
    paid: list[Activity] = []
    denials: list[Denial] = []
    limit = rule.repeat.limit
    for activity, denied in seen:
        if denied is None:
            paid.append(activity)
        else:
            denials.append(Denial(activity, denied, paid[-limit] if denied == REPEAT else None))
    return denials


def _denials_by_object(seen: Sequence[tuple[Activity, str | None]]) -> list[Denial]:
    paid: dict[str, Activity] = {}
    denials: list[Denial] = []
    for activity, denied in seen:
        key = object_key(activity.type, activity.properties)
        if denied is None:
            paid[key] = activity
        else:
            denials.append(Denial(activity, denied, paid.get(key) if denied == REPEAT else None))
    return denials


def _no_persons(ordered: Sequence[Activity], verdict_of: VerdictOf | None) -> Iterator[Denial]:
    for activity in ordered:
        if verdict_of is None and not activity.flags:
            continue
        if (verdict := unpaid_verdict(activity, verdict_of)) is not None:
            yield Denial(activity, VERDICT, verdict=verdict)


def _note_unpaid(model: CompiledModel, state: State, unpaid: Iterable[Denial], trace: Trace) -> None:
    """The fold passes over what earns nothing under any rule; here it is asked which rules that would have matched."""
    facts = ActivityFacts(state.attributes, state.domain)
    noted = set()
    for denial in unpaid:
        activity = denial.activity
        facts.properties, facts.source = activity.properties, activity.source
        for rule in model.plan(activity.type).rules:
            if rule.test is None or rule.test(facts):
                trace.denied[rule.index].append(denial)
                noted.add(rule.index)
    for index in noted:
        trace.denied[index].sort(key=lambda denial: denial.activity.order)
