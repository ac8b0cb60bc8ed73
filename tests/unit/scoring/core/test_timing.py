"""The timer over a lead's life: never late, never without reason, and not for ever; judged by the oracle."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.core.compile import compile_model
from services.scoring.core.lead import LiveModel, Models, refold
from services.scoring.core.loader import model_from
from services.scoring.core.timing import evaluations_at, next_look_at, worth_publishing
from tests.oracle import scoring as oracle
from tests.properties import few, many
from tests.unit.scoring.core.strategies import entries, instants, leads, models, to_activity, to_entries

MINUTE = timedelta(minutes=1)
WATCH = [3, 7.5]
MOST_LOOKS = 15


def matters(before: oracle.Answer, after: oracle.Answer) -> bool:
    """What subscribers want to know of."""
    if (before.grade, before.level, before.stage) != (after.grade, after.level, after.stage):
        return True
    if before.score is None or after.score is None:
        return before.score is not after.score
    crossed = any((before.score >= mark) != (after.score >= mark) for mark in WATCH)
    return crossed or abs(before.score - after.score) >= 1


def lives_by_the_timer(
    tree: dict[str, Any], acts: list[oracle.Act], at: datetime, entered: list[oracle.Entry], parts: list[float]
) -> None:
    """Look when told to, publish what is worth it; at instants in between the oracle finds nothing that matters."""
    tree = tree | {"watch": WATCH}
    acts = [act for act in acts if act.at <= at]
    in_force = Models((LiveModel("random", 1, compile_model(model_from(tree))),))
    state = refold(in_force, [to_activity(act) for act in acts], (), at, to_entries(entered))

    def seen(instant: datetime) -> oracle.Answer:
        return oracle.score(tree, acts, instant, entries=entered)

    published, told = evaluations_at(in_force, state, at), seen(at)
    look = next_look_at(in_force, state, at, published, published)
    for _ in range(MOST_LOOKS):
        for part in parts:
            instant = at + part * ((look - MINUTE if look else at + timedelta(days=400)) - at)
            assert instant <= at or not matters(told, seen(instant))
        if look is None:
            return
        assert look >= at + MINUTE
        at = look
        current = evaluations_at(in_force, state, at)
        if worth_publishing(in_force, published, current):
            assert matters(told, seen(at))
            published, told = current, seen(at)
        look = next_look_at(in_force, state, at, published, current, exact=True)


PARTS = st.lists(st.floats(0, 1), min_size=2, max_size=3)


@few(15)
@given(models(), leads(8), instants(), entries(), PARTS)
def test_the_timer_is_never_late_and_never_without_reason(
    tree: dict[str, Any], acts: list[oracle.Act], at: datetime, entered: list[oracle.Entry], parts: list[float]
) -> None:
    lives_by_the_timer(tree, acts, at, entered, parts)


@pytest.mark.long
@many(1_000)
@given(models(), leads(16), instants(), entries(), PARTS)
def test_the_timer_is_never_late_and_never_without_reason_at_length(
    tree: dict[str, Any], acts: list[oracle.Act], at: datetime, entered: list[oracle.Entry], parts: list[float]
) -> None:
    lives_by_the_timer(tree, acts, at, entered, parts)


def test_silence_that_has_taken_everything_is_looked_at_no_more() -> None:
    silent = {"every": "1d", "points": -2, "floor": 1}
    rule = {"id": "r", "activity": "page_viewed", "points": 5}
    tree = {"model": "m", "engagement": {"inactivity": silent, "rules": [rule]}}
    in_force = Models((LiveModel("m", 1, compile_model(model_from(tree))),))
    start = datetime.fromisoformat("2026-11-20T12:00:00+00:00")
    state = refold(in_force, [to_activity(oracle.Act("1", "web", "page_viewed", start))], (), start)
    at: datetime | None = start
    looks = []
    while at is not None:
        looks.append((at - start) // timedelta(days=1))
        published = evaluations_at(in_force, state, at)
        at = next_look_at(in_force, state, at, published, published, exact=True)
    assert looks == [0, 1, 2]
