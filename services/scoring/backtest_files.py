"""A backtest on files alone: activities and outcomes, no stack, no network."""

from collections.abc import Sequence
from multiprocessing import get_context
from typing import Any

from services.scoring.core.backtest import Backtest, split_instant
from services.scoring.core.compile import CompiledModel, compile_model
from services.scoring.core.loader import load_model
from services.scoring.core.resolution import LeadGroup, resolve_leads
from services.scoring.judging import BacktestQuestion, Judgements, result_of
from services.scoring.offline import Text, decode_text, name_of, read_activities
from services.scoring.outcomes import Outcome, one_per_lead, read_outcomes
from services.scoring.sharding import Progress
from shared.clock import EPOCH
from shared.errors import KizashiError

PARTS = 64


def backtest_files(
    model: Text, activities: Text, outcomes: Text, question: BacktestQuestion, progress: Progress, processes: int
) -> Backtest:
    """Judge a model file. Raises FileFaults and ModelFaults with every fault, KizashiError where nothing matches."""
    compiled = compile_model(load_model(decode_text(model), model.name))
    by_lead = one_per_lead(read_outcomes(outcomes))
    groups = resolve_leads(read_activities(activities, EPOCH))
    known = {name_of(identifier) for group in groups for identifier in group.identifiers}
    if by_lead and known.isdisjoint(by_lead):
        raise KizashiError("no outcome is about a lead of the activities")
    split_at = split_instant([by_lead[name].at for name in by_lead if name in known], question.split)
    found = Judgements()
    _Shared.values = (compiled, groups, by_lead, split_at, question)
    try:
        for done, part in enumerate(_parts(len(groups), processes), 1):
            found.add(part)
            progress(done, PARTS)
    finally:
        _Shared.values = None
    return result_of(found, split_at, question)


class _Shared:
    """What forked processes find in the memory they were copied from; a million activities are not sent."""

    values: Any = None


def _parts(leads: int, processes: int) -> Any:
    if processes < 2 or leads < PARTS:
        yield from map(_judge, range(PARTS))
        return
    with get_context("fork").Pool(processes) as pool:
        yield from pool.imap_unordered(_judge, range(PARTS))


def _judge(part: int) -> Judgements:
    model: CompiledModel
    groups: Sequence[LeadGroup]
    model, groups, by_lead, split_at, question = _Shared.values
    found = Judgements()
    for group in groups[part::PARTS]:
        outcome = _outcome_of(group, by_lead)
        name = name_of(group.identifiers[0])
        found.look_at(model, name, group.activities, outcome, split_at, question.before)
    return found


def _outcome_of(group: LeadGroup, by_lead: dict[str, Outcome]) -> Outcome | None:
    named = (by_lead.get(name_of(identifier)) for identifier in group.identifiers)
    return next((outcome for outcome in named if outcome is not None), None)
