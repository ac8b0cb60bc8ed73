"""Which switches wait for their release, and how many are due."""

from datetime import timedelta

import pytest

from services.scoring.core.evaluation import Evaluation
from services.scoring.core.lead import LeadState, LiveModel, Models, advance, is_current, refold
from services.scoring.core.release import may_qualify, releases_due
from tests.unit.scoring.core.builders import NOON, act, compiled


def at(score: int | None, grade: str = "D") -> Evaluation:
    return Evaluation(score, score, 0, 0, grade, "4", None, None, ())


@pytest.mark.parametrize(
    ("watch", "before", "after", "may"),
    [
        ([45, 50], at(1000), at(5000), True),
        ([45, 50], at(1000), at(4499), False),
        ([45, 50], at(6000), at(6000), False),
        ([45, 50], at(6000), at(6000, "A"), True),  # a gate may pass now
        ([], at(100), at(200), True),
        ([45], at(100), at(None), False),
        ([45], None, at(5000), True),
    ],
)
def test_a_switch_may_qualify_at_or_above_what_is_watched(
    watch: list[int], before: Evaluation | None, after: Evaluation, may: bool
) -> None:
    models = Models((LiveModel("m", 2, compiled(watch=watch)),))
    assert may_qualify({"m": before} if before else {}, {"m": after}, models) is may


def test_the_rate_is_never_exceeded_and_no_pile_builds_up() -> None:
    assert releases_due(10, None, NOON) == 1
    assert releases_due(10, NOON, NOON + timedelta(seconds=5.9)) == 0
    assert releases_due(10, NOON, NOON + timedelta(seconds=6)) == 1
    assert releases_due(10, NOON, NOON + timedelta(hours=3)) == 1
    assert releases_due(600, NOON, NOON + timedelta(seconds=0.5)) == 5
    assert releases_due(600, NOON, NOON - timedelta(seconds=5)) == 0


@pytest.mark.parametrize("per_minute", [1, 7, 60, 100, 3_000])
def test_over_an_hour_of_turns_the_rate_holds(per_minute: int) -> None:
    last, released = None, 0
    for tick in range(18_000):
        now = NOON + timedelta(seconds=0.2 * tick)
        if due := releases_due(per_minute, last, now):
            last, released = now, released + due
    assert per_minute * 60 * 0.75 < released <= per_minute * 60 + 1


def model(version: int, points: int, *, shadow: bool = False) -> LiveModel:
    rule = {"id": "r", "activity": "page_viewed", "points": points, "repeat": "every"}
    return LiveModel("m", version, compiled(engagement={"rules": [rule]}), shadow)


def test_a_lead_is_served_by_what_it_was_folded_by() -> None:
    old, new, beside = model(1, 1), model(2, 2), model(3, 3, shadow=True)
    seen = act("page_viewed", email="a@example.com")
    state = refold(Models((old,)), [seen], seen.identifiers, NOON)
    switching = Models((new,), (beside,), {("m", 1): old})
    serving = switching.serving(state)
    assert [(one.key, one.version) for one in serving.all] == [("m", 1)]
    assert advance(serving, state, [act("page_viewed", NOON, id="z", email="a@example.com")], NOON)
    again = refold(switching, [seen], seen.identifiers, NOON)
    assert switching.serving(again) is switching
    assert set(again.folds) == {"m", "m@3"}
    assert is_current(switching, LeadState.unpack(again.pack()))
    assert Models((new,)).serving(state).live == (new,)  # the version is no longer known


def test_a_shadow_that_ended_is_folded_away() -> None:
    seen = act("page_viewed", email="a@example.com")
    state = refold(Models((model(1, 1),), (model(2, 2, shadow=True),)), [seen], seen.identifiers, NOON)
    without = Models((model(1, 1),))
    assert not is_current(without, state)
    assert [one.key for one in without.serving(state).all] == ["m"]
