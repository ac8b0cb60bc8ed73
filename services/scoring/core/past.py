"""A lead's score at past instants, by one walk through its activities."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from services.scoring.core.backtest import Course
from services.scoring.core.compile import CompiledModel
from services.scoring.core.engine import counting
from services.scoring.core.entries import Entry, manual_of, recyclings_of
from services.scoring.core.evaluate import evaluate
from services.scoring.core.fold import VerdictOf, fold, new_state
from services.scoring.core.openings import Before, Openings, openings_of
from services.scoring.core.state import State
from services.scoring.core.verdicts import judge
from shared.activity import Activity

_JUST_BEFORE = timedelta(microseconds=1)


def score_before(
    model: CompiledModel, ordered: Sequence[Activity], at: datetime, entries: Collection[Entry] = ()
) -> int | None:
    """The score in cents just before `at`, by what had happened then; None for an excluded lead.

    `ordered` stand in fold order; `entries` are all that are stored of the lead. Before the cut of a lead of which
    activities were removed nobody can tell: see `is_told`.
    """
    opened = openings_of(entries)
    known = [activity for activity in ordered if activity.occurred_at < at]
    state = _folded(model, *counting(model, known, opened), entries, _judged(known, opened))
    return evaluate(model, state, at - _JUST_BEFORE, manual_of(entries)).score


def course_of(
    model: CompiledModel, ordered: Sequence[Activity], since: datetime, entries: Collection[Entry] = ()
) -> Course:
    """The score just before `since`, and the highest right after an activity from then on.

    By what is known in the end: what was found to be a machine's later never counts, what consent was given for later,
    as of then, does.
    """
    opened = openings_of(entries)
    manual, verdict_of = manual_of(entries), _judged(ordered, opened)
    counted, earlier = counting(model, ordered, opened)
    known = [activity for activity in counted if activity.occurred_at < since]
    state = _folded(model, known, earlier, entries, verdict_of)
    start = evaluate(model, state, since - _JUST_BEFORE, manual).score if known or opened else None
    peak = None
    for number in range(len(known), len(counted)):
        activity = counted[number]
        if fold(model, state, [activity], verdict_of).needs_refold:
            state = _folded(model, counted[: number + 1], earlier, entries, verdict_of)
        score = evaluate(model, state, activity.occurred_at, manual).score
        if score is not None and (peak is None or score > peak):
            peak = score
    return Course(start, peak)


def is_told(at: datetime, entries: Collection[Entry]) -> bool:
    """Whether a lead's score just before an instant can be told: not where its activities of then were removed."""
    opened = openings_of(entries)
    return opened is None or at > opened.until


def _judged(ordered: Sequence[Activity], opened: Openings | None) -> VerdictOf:
    return judge(ordered, () if opened is None else opened.trail).verdict_of


def _folded(
    model: CompiledModel,
    counted: Sequence[Activity],
    earlier: Before | None,
    entries: Collection[Entry],
    verdict_of: VerdictOf,
) -> State:
    """The state after activities for which there is consent."""
    empty = new_state(model, recyclings=recyclings_of(entries, model.model.recycle))
    return fold(model, empty, counted, verdict_of, earlier=earlier)
