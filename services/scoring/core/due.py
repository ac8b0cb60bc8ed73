"""When a lead has to be looked at again because of time alone, and whether what is found is worth publishing.

`next_check_at` is a lower bound at the price of one evaluation, for the timer; the exact search is in `next_change`.
"""

from collections.abc import Sequence
from datetime import datetime
from math import log

from services.scoring.core.calendar import NEVER
from services.scoring.core.compile import CompiledModel
from services.scoring.core.decay import HalfLifeDecay
from services.scoring.core.evaluate import idle_periods
from services.scoring.core.evaluation import Evaluation, ManualPoints
from services.scoring.core.next_change import highest_sum, next_change_at, steps
from services.scoring.core.state import State
from shared.clock import from_micros, to_micros

WORTH_PUBLISHING = 100
"""A move of the score by this many cents is published."""
_SOONEST = 60_000_000
_LOG_2 = log(2)


def matters(model: CompiledModel, published: Evaluation, current: Evaluation) -> bool:
    """Whether time alone moved the lead far enough to publish it: by a point, over a watched value, or to another
    grade, level or stage."""
    if (published.grade, published.level, published.stage) != (current.grade, current.level, current.stage):
        return True
    before, after = published.score, current.score
    if before is None or after is None:
        return before is not after
    crossed = any((before >= mark) != (after >= mark) for mark in model.model.watch)
    return crossed or abs(after - before) >= WORTH_PUBLISHING


def next_check_at(
    model: CompiledModel,
    state: State,
    at: datetime,
    published: Evaluation,
    current: Evaluation,
    manual: Sequence[ManualPoints] = (),
    *,
    exact: bool = False,
) -> datetime | None:
    """No change by time alone matters before this instant (a minute's grace apart); None if none ever will.

    `published` is what subscribers know, `current` the evaluation at `at`. Within a cent or so of a value that matters
    the bound is no more than the minute, unless `exact` has the next cent searched for, at some twenty times the price.
    """
    if current.excluded and model.excluded_for_good:
        return None
    now = to_micros(at)
    soonest = min(
        _inactive_next(model, state, now, to_the_floor=exact),
        _fade_next(model, state, now, published, current, manual if exact else None),
        *steps(model, state, now, manual),
    )
    return None if soonest >= NEVER else from_micros(max(soonest, now + _SOONEST))


def _inactive_next(model: CompiledModel, state: State, at: int, *, to_the_floor: bool) -> int:
    """The next period of silence; `to_the_floor` looks, at some price, whether there is anything left to take."""
    rule = model.inactivity
    if rule is None or state.last_active is None or not rule.points:
        return NEVER
    idle = idle_periods(model, state, at)
    if to_the_floor and idle and highest_sum(model, state, at) - idle * abs(rule.points) <= rule.floor:
        return NEVER
    return state.last_active + (idle + 1) * model.idle_span


def _fade_next(
    model: CompiledModel,
    state: State,
    at: int,
    published: Evaluation,
    current: Evaluation,
    search_with: Sequence[ManualPoints] | None,
) -> int:
    """Half-lives move the sum fastest now: at that pace, when is the nearest mark reached?"""
    pace, deaths, slack = 0.0, NEVER, 0
    for rule in model.fades:
        entries = state.entries[rule.index]
        if entries is not None and entries.times and isinstance(rule.decay, HalfLifeDecay):
            total, paying = rule.decay.value(rule.points, entries.times, at)
            if paying:
                pace += abs(float(total)) * _LOG_2 / rule.decay.span
                slack += 1
                # Entries leave oldest first; each takes its last cent with it at once.
                deaths = min(deaths, entries.times[-paying] + rule.lifetime)
    if not pace:
        return NEVER
    room = max(_room(model, published, current) - slack, 0)
    if not room and search_with is not None:
        cent = next_change_at(model, state, from_micros(at), search_with)
        return NEVER if cent is None else to_micros(cent)
    return min(deaths, at + int(room / pace))


def _room(model: CompiledModel, published: Evaluation, current: Evaluation) -> int:
    """Cents between the sums and the nearest value at which something matters."""
    if current.score is None or current.engagement is None or published.score is None:
        return 0
    score, engagement = current.score, current.engagement
    gaps = [abs(score - published.score) - WORTH_PUBLISHING]
    gaps += [score - mark for mark in model.total_marks]
    gaps += [engagement - mark for mark in model.engagement_marks]
    gaps += [engagement - bound for _, bound in model.levels]
    return min(map(abs, gaps))
