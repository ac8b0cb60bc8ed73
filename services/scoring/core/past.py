"""A lead's score at past instants, by one walk through its activities."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from services.scoring.core.backtest import Course
from services.scoring.core.compile import CompiledModel
from services.scoring.core.evaluate import evaluate
from services.scoring.core.fold import fold, new_state
from services.scoring.core.state import State
from shared.activity import Activity

_JUST_BEFORE = timedelta(microseconds=1)


def score_before(model: CompiledModel, ordered: Sequence[Activity], at: datetime) -> int | None:
    """The score in cents just before `at`; None for an excluded lead. `ordered` stand in fold order."""
    known = [activity for activity in ordered if activity.occurred_at < at]
    return evaluate(model, _folded(model, known), at - _JUST_BEFORE).score


def course_of(model: CompiledModel, ordered: Sequence[Activity], since: datetime) -> Course:
    """The score just before `since`, and the highest right after an activity from then on."""
    known = [activity for activity in ordered if activity.occurred_at < since]
    state = _folded(model, known)
    start = evaluate(model, state, since - _JUST_BEFORE).score if known else None
    peak = None
    for number in range(len(known), len(ordered)):
        activity = ordered[number]
        if fold(model, state, [activity]).needs_refold:
            state = _folded(model, ordered[: number + 1])
        score = evaluate(model, state, activity.occurred_at).score
        if score is not None and (peak is None or score > peak):
            peak = score
    return Course(start, peak)


def _folded(model: CompiledModel, activities: Sequence[Activity]) -> State:
    return fold(model, new_state(model), activities)
