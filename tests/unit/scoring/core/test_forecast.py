"""When a score will fall below watched totals: compared with looking every day, by an engine that shares no code."""

from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.core.compile import CompiledModel, compile_model
from services.scoring.core.engine import until
from services.scoring.core.evaluate import evaluate
from services.scoring.core.evaluation import ManualPoints
from services.scoring.core.fold import fold, new_state
from services.scoring.core.forecast import forecast
from services.scoring.core.loader import model_from
from services.scoring.core.state import Recycling, State
from services.scoring.core.verdicts import judge
from shared.activity import Activity
from tests.oracle.scoring import Act, score
from tests.properties import few, many
from tests.unit.scoring.core.builders import DAY, NOON, act, compiled
from tests.unit.scoring.core.strategies import instants, leads, models, to_activity

MICROSECOND, MINUTE = timedelta(microseconds=1), timedelta(minutes=1)
DAYS = 60


def falls(
    model: CompiledModel, activities: list[Activity], at: datetime = NOON, manual: tuple[ManualPoints, ...] = ()
) -> dict[float, datetime]:
    state = fold(model, new_state(model), activities)
    found = forecast(model, state, at, evaluate(model, state, at, manual), manual)
    return {fall.mark / 100: fall.at for fall in found}


def watching(*totals: float, **rule: Any) -> CompiledModel:
    base = {"id": "r", "activity": "page_viewed", "repeat": "every", "points": 10}
    return compiled(watch=list(totals), forecast=True, engagement={"rules": [base | rule]})


def test_a_window_ends() -> None:
    model = watching(10, 20, decay={"window": "30d"})
    acts = [act("page_viewed", NOON - 3 * DAY), act("page_viewed", NOON)]
    assert falls(model, acts) == {20: NOON + 27 * DAY, 10: NOON + 30 * DAY}


def test_a_half_life_is_followed_to_the_minute() -> None:
    model = watching(5, 7, decay={"half_life": "10d"})
    found = falls(model, [act("page_viewed")])
    assert list(found) == [7, 5]
    assert NOON + 5 * DAY < found[7] < NOON + 6 * DAY
    assert NOON + 10 * DAY < found[5] < NOON + 10.02 * DAY


def test_what_never_fades_never_falls_and_what_is_not_reached_is_not_told() -> None:
    assert falls(watching(5, 15), [act("page_viewed")]) == {}
    assert falls(watching(15, decay={"window": "1d"}), [act("page_viewed")]) == {}
    assert falls(watching(decay={"window": "1d"}), [act("page_viewed")]) == {}


def test_inactivity_and_points_with_an_end_count() -> None:
    model = compiled(
        watch=[8, 12],
        engagement={
            "inactivity": {"every": "30d", "points": -5, "floor": 1},
            "rules": [{"id": "r", "activity": "page_viewed", "points": 10}],
        },
    )
    given_ = ManualPoints(400, NOON, "sato", "met", NOON + 10 * DAY)
    assert falls(model, [act("page_viewed")], manual=(given_,)) == {12: NOON + 10 * DAY, 8: NOON + 30 * DAY}


def test_a_loss_that_fades_may_come_too_late() -> None:
    """Points fall from 20 to 10 after 5 days, while a loss of 5 ends after 3: 15 is left for 2 days only."""
    rules = [
        {"id": "gain", "activity": "page_viewed", "points": 10, "repeat": "every", "decay": {"window": "5d"}},
        {"id": "loss", "activity": "email_bounced", "points": -5, "decay": {"window": "3d"}},
    ]
    acts = [act("email_bounced"), act("page_viewed"), act("page_viewed", NOON + MICROSECOND)]
    model = compiled(watch=[15, 16], engagement={"rules": rules})
    assert falls(model, acts, NOON + MICROSECOND) == {15: NOON + 5 * DAY}
    assert falls(model, acts, NOON + 4 * DAY) == {16: NOON + 5 * DAY, 15: NOON + 5 * DAY}


def test_recycled_points_fade_as_well() -> None:
    model = watching(10, decay={"window": "30d"})
    state = new_state(model, recyclings=[Recycling(NOON, Fraction(1, 2))])
    fold(model, state, [act("page_viewed", NOON - DAY), act("page_viewed", NOON + DAY)])
    found = forecast(model, state, NOON + DAY, evaluate(model, state, NOON + DAY))
    assert [(fall.mark, fall.at) for fall in found] == [(1_000, NOON + 31 * DAY)]


def is_right(tree: dict[str, Any], acts: list[Act], at: datetime) -> None:
    """At the minute told the total is below, the minute before it is not, and on no day before it is."""
    model = compile_model(model_from(tree))
    known = until(map(to_activity, acts), at)
    state = fold(model, new_state(model), known, judge(known).verdict_of)
    now = evaluate(model, state, at)
    told = {fall.mark: fall.at for fall in forecast(model, state, at, now)}
    minute = at.replace(second=0, microsecond=0)
    daily = [minute + number * DAY for number in range(1, DAYS)]
    plain = [score(tree, [one for one in acts if one.at <= at], one).score for one in daily]
    for mark in {mark for mark in model.model.watch if now.score is not None and mark <= now.score}:
        below = [day for day, points in zip(daily, plain, strict=True) if points is not None and points * 100 < mark]
        if mark not in told:
            assert below == []
            continue
        assert not below or told[mark] <= below[0]
        assert told[mark] - MINUTE <= at or not is_below(model, state, told[mark] - MINUTE, mark)
        assert is_below(model, state, told[mark], mark)
        later = at + (told[mark] - at) / 2
        again = forecast(model, state, later, evaluate(model, state, later))
        assert mark not in {fall.mark: fall for fall in again} or dict_of(again)[mark] == told[mark]


def dict_of(found: Any) -> dict[int, datetime]:
    return {fall.mark: fall.at for fall in found}


def is_below(model: CompiledModel, state: State, at: datetime, mark: int) -> bool:
    points = evaluate(model, state, at).score
    return points is not None and points < mark


def watched() -> st.SearchStrategy[dict[str, Any]]:
    """Consent decides what is folded, which is all done when a forecast is made."""
    wanted = {"exclude": [], "consent": {}, "watch": [0, 3, 7.5], "forecast": True}
    return models().map(lambda tree: {**tree, **wanted})


@few()
@given(watched(), leads(), instants())
def test_as_by_looking_every_day(tree: dict[str, Any], acts: list[Act], at: datetime) -> None:
    is_right(tree, acts, at)


@pytest.mark.long
@pytest.mark.timeout(1_200)
@many(300)
@given(watched(), leads(30), instants())
def test_as_by_looking_every_day_at_length(tree: dict[str, Any], acts: list[Act], at: datetime) -> None:
    is_right(tree, acts, at)
