"""The law in one call, and signals: what callers use beside fold and evaluate."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from services.scoring.core.compile import CompiledModel
from services.scoring.core.consent import PROFILING, Profiling, history_of
from services.scoring.core.evaluate import evaluate
from services.scoring.core.evaluation import Evaluation, ManualPoints
from services.scoring.core.fold import UNPAID, ActivityFacts, VerdictOf, fold, in_order, new_state
from services.scoring.core.lead import counted
from services.scoring.core.openings import Before, Openings
from services.scoring.core.state import Recycling, State
from services.scoring.core.verdicts import judge
from shared.activity import Activity


def fold_all(
    model: CompiledModel,
    activities: Iterable[Activity],
    at: datetime,
    *,
    attributes: Mapping[str, Any] | None = None,
    manual: Sequence[ManualPoints] = (),
    recyclings: Sequence[Recycling] = (),
    verdict_of: VerdictOf | None = None,
) -> Evaluation:
    """The score of a lead at `at` from nothing but its activities, in any order, repeated or not.

    Of activities with one (source, id) the first given counts. `attributes` hold from before the first activity;
    `verdict_of` takes the place of the judgement on bots.
    """
    ordered = until(activities, at)
    state = new_state(model, attributes=attributes, recyclings=recyclings)
    fold(model, state, consented(model, ordered), verdict_of or judge(ordered).verdict_of)
    return evaluate(model, state, at, manual)


def consented(model: CompiledModel, ordered: Sequence[Activity]) -> Sequence[Activity]:
    """Those that count under a model that asks for consent; all of them under any other."""
    if not model.model.needs_consent:
        return ordered
    profiling = Profiling.of(ordered)
    return [one for one in ordered if profiling.allows(one.occurred_at)]


def counting(
    model: CompiledModel, ordered: Sequence[Activity], opened: Openings | None
) -> tuple[Sequence[Activity], Before | None]:
    """As `consented`, for a lead of which activities were removed: with what is left of these."""
    if opened is None:
        return consented(model, ordered), None
    told = in_order(opened.facts, ordered) if model.model.needs_consent else ()
    agreed = [(word.at, word.granted) for word in history_of(told) if word.purpose == PROFILING]
    return counted(model, agreed, ordered), opened.under(model, agreed)


def until(activities: Iterable[Activity], at: datetime) -> list[Activity]:
    """Those that happened by `at`, each once, in fold order."""
    distinct: dict[tuple[str, str], Activity] = {}
    for activity in activities:
        distinct.setdefault((activity.source, activity.id), activity)
    return sorted((one for one in distinct.values() if one.occurred_at <= at), key=lambda one: one.order)


def signals_of(model: CompiledModel, activity: Activity, state: State | None = None) -> list[str]:
    """Ids of the signals this activity gives, in model order.

    With a `state`, conditions see the lead's attributes and e-mail domain, else only the activity's own.
    """
    signals = model.plan(activity.type).signals
    if not signals or not UNPAID.isdisjoint(activity.flags):
        return []
    if state is not None:
        facts = ActivityFacts(state.attributes, state.domain)
    else:
        facts = ActivityFacts(activity.attributes, (activity.email or "").rpartition("@")[2] or None)
    facts.properties, facts.source = activity.properties, activity.source
    return [name for name, test in signals if test(facts)]
