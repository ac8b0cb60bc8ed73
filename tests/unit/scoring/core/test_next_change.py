"""When time alone changes a lead."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.core.compile import CompiledModel, compile_model
from services.scoring.core.decay import HalfLifeDecay
from services.scoring.core.due import matters, next_check_at
from services.scoring.core.engine import until
from services.scoring.core.evaluate import evaluate
from services.scoring.core.evaluation import ManualPoints
from services.scoring.core.fold import fold, new_state
from services.scoring.core.loader import model_from
from services.scoring.core.next_change import next_change_at
from services.scoring.core.rules import HalfLife
from services.scoring.core.state import State
from tests.oracle.scoring import Act
from tests.properties import few, many
from tests.unit.scoring.core.builders import DAY, NOON, act, compiled, one_rule
from tests.unit.scoring.core.strategies import instants, leads, models, to_activity

MICROSECOND = timedelta(microseconds=1)


def seen(model: CompiledModel, state: State, at: datetime) -> tuple[Any, ...]:
    one = evaluate(model, state, at)
    return (one.score, one.grade, one.level, one.stage)


def is_the_first(tree: dict[str, Any], acts: list[Act], at: datetime) -> None:
    """Nothing changes before the instant found; at it something does."""
    model = compile_model(model_from(tree))
    state = fold(model, new_state(model), until(map(to_activity, acts), at))
    found = next_change_at(model, state, at)
    now = seen(model, state, at)
    end = found or at + 400 * DAY
    for part in range(40):
        assert seen(model, state, at + (end - at) * part // 40) == now
    if found is None:
        assert seen(model, state, at + 5_000 * DAY) == now
    else:
        assert seen(model, state, found - MICROSECOND) == now
        assert seen(model, state, found) != now


def is_never_late(tree: dict[str, Any], acts: list[Act], at: datetime) -> None:
    """A timer that looks only when told to misses nothing that matters for longer than its grace of a minute."""
    model = compile_model(model_from(tree))
    state = fold(model, new_state(model), until(map(to_activity, acts), at))
    published = evaluate(model, state, at)
    soonest = next_check_at(model, state, at, published, published)
    check = next_check_at(model, state, at, published, published, exact=True)
    assert check is None or (soonest is not None and soonest <= check)
    end = check - timedelta(minutes=1) if check else at + 400 * DAY
    for part in range(1, 40):
        instant = at + max(end - at, timedelta()) * part // 40
        assert not matters(model, published, evaluate(model, state, instant))


@few(20)
@given(models(), leads(), instants())
def test_the_first_change_is_found(tree: dict[str, Any], acts: list[Act], at: datetime) -> None:
    is_the_first(tree, acts, at)


@few(20)
@given(models(), leads(), instants())
def test_a_check_is_never_late(tree: dict[str, Any], acts: list[Act], at: datetime) -> None:
    is_never_late(tree | {"watch": [3, 7.5]}, acts, at)


@pytest.mark.long
@pytest.mark.timeout(1_200)
@many(1_000)
@given(models(), leads(30), instants())
def test_changes_and_checks_at_length(tree: dict[str, Any], acts: list[Act], at: datetime) -> None:
    is_the_first(tree, acts, at)
    is_never_late(tree | {"watch": [3, 7.5]}, acts, at)


def test_a_window_ends_to_the_microsecond() -> None:
    model = one_rule(decay={"window": "7d"})
    state = fold(model, new_state(model), [act("page_viewed")])
    assert next_change_at(model, state, NOON) == NOON + 7 * DAY
    assert next_change_at(model, state, NOON + 7 * DAY) is None


def test_a_half_life_first_loses_a_cent() -> None:
    model = one_rule(points=1, decay={"half_life": "30d"})
    state = fold(model, new_state(model), [act("page_viewed")])
    found = next_change_at(model, state, NOON)
    assert found is not None
    before, after = evaluate(model, state, found - MICROSECOND), evaluate(model, state, found)
    assert (before.score, after.score) == (100, 99)


def test_fading_above_a_clamp_changes_nothing_until_it_shows() -> None:
    model = compiled(
        engagement={
            "max": 100,
            "rules": [
                {"id": "r", "activity": "page_viewed", "points": 400, "decay": {"half_life": "10d"}, "repeat": "every"}
            ],
        }
    )
    state = fold(model, new_state(model), [act("page_viewed")])
    found = next_change_at(model, state, NOON)
    assert found is not None
    # 100.00 shows until the value falls below 99.995: ties round to even.
    assert 20 * DAY < found - NOON < 20 * DAY + timedelta(minutes=2)


def test_inactivity_stops_at_the_floor() -> None:
    model = compiled(
        engagement={
            "inactivity": {"every": "1d", "points": -4, "floor": 1},
            "rules": [{"id": "r", "activity": "page_viewed", "points": 6}],
        }
    )
    state = fold(model, new_state(model), [act("page_viewed")])
    assert next_change_at(model, state, NOON) == NOON + DAY
    assert next_change_at(model, state, NOON + DAY) == NOON + 2 * DAY
    assert next_change_at(model, state, NOON + 2 * DAY) is None


def test_inactivity_that_takes_nothing_changes_nothing() -> None:
    inactive = {"every": "6h", "points": 0, "floor": 1}
    rules = [{"id": "r", "activity": "page_viewed", "points": 4}]
    model = compiled(engagement={"inactivity": inactive, "rules": rules})
    state = fold(model, new_state(model), [act("page_viewed")])
    assert next_change_at(model, state, NOON) is None


def test_an_excluded_lead_comes_back_only_where_a_condition_says_so() -> None:
    rules = [{"id": "r", "activity": "page_viewed", "points": 400, "decay": {"half_life": "10d"}}]
    for_good = {"field": "identity.email_domain", "equals": "own.example"}
    while_high = {"field": "score.total", "gte": 100}
    hits = [act("page_viewed", email="a@own.example")]
    model = compiled(engagement={"rules": rules}, exclude=[for_good])
    state = fold(model, new_state(model), hits)
    excluded = evaluate(model, state, NOON)
    assert next_check_at(model, state, NOON, excluded, excluded) is None
    model = compiled(engagement={"rules": rules}, exclude=[for_good, while_high])
    assert next_change_at(model, fold(model, new_state(model), hits), NOON) is None
    model = compiled(engagement={"rules": rules}, exclude=[while_high])
    found = next_change_at(model, fold(model, new_state(model), hits), NOON)
    assert found is not None
    assert 20 * DAY < found - NOON < 20 * DAY + timedelta(minutes=2)


def test_a_stage_changes_when_what_was_done_gets_old() -> None:
    model = compiled(stages=[{"id": "seen", "all": [{"did": "page_viewed", "at_least": 2, "within": "3d"}]}])
    views = [act("page_viewed", NOON + day * DAY) for day in range(3)]
    state = fold(model, new_state(model), views)
    assert next_change_at(model, state, NOON + 2 * DAY) == NOON + 4 * DAY


def test_manual_points_begin_and_expire() -> None:
    model = one_rule()
    given = [ManualPoints(500, NOON + DAY, "sato", "met", NOON + 3 * DAY)]
    state = new_state(model)
    assert next_change_at(model, state, NOON, given) == NOON + DAY
    assert next_change_at(model, state, NOON + DAY, given) == NOON + 3 * DAY
    assert next_change_at(model, state, datetime(2027, 1, 1, tzinfo=UTC), given) is None


def test_compound_steps_end_when_nothing_is_left_to_see() -> None:
    model = one_rule(points=0.03, decay={"step": "50%", "every": "1d", "curve": "compound"})
    state = fold(model, new_state(model), [act("page_viewed")])
    assert [next_change_at(model, state, NOON + day * DAY) for day in range(3)] == [
        NOON + DAY,  # 0.015, shown as 0.02
        NOON + 2 * DAY,  # 0.0075, shown as 0.01
        NOON + 3 * DAY,  # 0.00375, shown as nothing for ever
    ]
    assert next_change_at(model, state, NOON + 3 * DAY) is None


@few(20)
@given(
    st.integers(-3_000, 3_000),
    st.lists(st.integers(0, 90 * 86_400_000_000), min_size=1, max_size=30),
    st.lists(st.integers(0, 400 * 86_400_000_000), max_size=20),
)
def test_an_estimated_half_life_is_the_sum_or_nothing(points: int, ages: list[int], later: list[int]) -> None:
    decay = HalfLifeDecay(HalfLife.model_validate({"half_life": "9d"}))
    base = 100 * 86_400_000_000
    times = sorted(base - age for age in ages)
    estimate = decay.estimate(points, times, base)
    for instant in (base + span for span in later):
        found = estimate(instant)
        assert found is None or found == round(decay.value(points, times, instant)[0])
