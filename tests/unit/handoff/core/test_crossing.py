"""Every sentence about crossings, and a second opinion on random histories."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.handoff.core.crossing import RuleMemory, judge, union
from services.handoff.core.rules import Rule
from tests.oracle.crossing import Seen, raises
from tests.properties import few
from tests.unit.handoff.builders import day, rule, state

GATED = 'require: {grade: ["A"]}'


def raised(history: Sequence[Seen], of: Rule, open_for: float | None = 0) -> list[int]:
    """Judge a history with handoffs that stay open for so many days; the positions that raise a cycle."""
    memory, positions = RuleMemory(), []
    for position, seen in enumerate(history):
        published = state(seen.score, seen.day, grade="A" if seen.gates else "D", version=position + 1)
        crossed_at = memory.crossed_at
        closed = crossed_at is None or (
            open_for is not None and published.evaluated_at >= crossed_at + timedelta(days=open_for)
        )
        memory, crossing = judge(of, memory, published, closed=closed, silent=seen.silent)
        if crossing is not None:
            positions.append(position)
            assert (crossing.cycle, crossing.crossed_at) == (len(positions), published.evaluated_at)
    return positions


def path(*scores_and_days: tuple[float | None, float]) -> list[Seen]:
    return [Seen(score, at) for score, at in scores_and_days]


@pytest.mark.parametrize(
    ("why", "history", "expected"),
    [
        ("worked example 4", path((48, 0), (52, 1), (47, 2), (53, 3), (44, 40), (50, 41)), [1, 5]),
        ("enter itself is met", path((49.99, 0), (50, 1)), [1]),
        ("the first state may raise", path((70, 0)), [0]),
        ("leave itself is not below leave", path((50, 0), (45, 40), (50, 41)), [0]),
        ("a cent below leave is", path((50, 0), (44.99, 40), (50, 41)), [0, 2]),
        ("not within the cooldown", path((50, 0), (10, 1), (50, 29.999)), [0]),
        ("the cooldown is over at its very end", path((50, 0), (10, 1), (50, 30)), [0, 2]),
        ("too early, and then no fall any more", path((50, 0), (10, 1), (50, 29), (50, 30)), [0]),
        ("the previous score arms, the present one not", path((50, 0), (60, 20), (20, 31), (55, 32)), [0, 3]),
        ("excluded is not met", path((None, 0), (None, 1)), []),
        ("excluded is below leave", path((50, 0), (None, 40), (50, 41)), [0, 2]),
    ],
)
def test_scores_over_time(why: str, history: list[Seen], expected: list[int]) -> None:
    assert raised(history, rule()) == expected, why


def test_without_a_cooldown_a_lead_that_fell_is_armed_at_once() -> None:
    history = path((50, 0), (44.99, 0.1), (50, 0.2), (45, 0.3), (50, 0.4))
    assert raised(history, rule("cooldown: 0d")) == [0, 2]


def test_not_while_the_handoff_is_open() -> None:
    history = path((50, 0), (10, 40), (50, 41), (10, 50), (50, 61))
    assert raised(history, rule(), open_for=None) == [0]
    assert raised(history, rule(), open_for=60) == [0, 4]


def test_a_gate_that_passes_later_raises_then() -> None:
    history = [Seen(60, 0, gates=False), Seen(60, 1, gates=True), Seen(60, 2, gates=False), Seen(60, 3, gates=True)]
    assert raised(history, rule(GATED)) == [1]


def test_silent_judging_marks_as_met_without_a_cycle_or_cooldown() -> None:
    memory, crossing = judge(rule(), RuleMemory(), state(60), closed=True, silent=True)
    assert crossing is None
    assert (memory.armed, memory.cycle, memory.crossed_at) == (False, 0, None)
    assert raised([Seen(60, 0, silent=True), Seen(61, 1), Seen(10, 2), Seen(60, 3)], rule()) == [3]


def test_silent_judging_arms_again_as_any_other() -> None:
    assert raised([*path((50, 0), (10, 40)), Seen(20, 41, silent=True), Seen(50, 42)], rule()) == [0, 3]


def test_a_state_without_the_rules_model_is_not_judged() -> None:
    memory = RuleMemory(score=1_000, version=1)
    assert judge(rule("model: other"), memory, state(90, version=2), closed=True, silent=False) == (memory, None)


def test_a_rule_may_ask_for_another_model() -> None:
    models = {"test": {"version": 1, "score": 10.0}, "other": {"version": 7, "score": 55.0}}
    _, crossing = judge(rule("model: other"), RuleMemory(), state(0, models=models), closed=True, silent=False)
    assert crossing is not None
    assert crossing.model == "other"


def test_a_closed_handoff_is_forgotten_an_open_one_is_kept() -> None:
    held = RuleMemory(armed=False, cycle=1, crossed_at=day(0), score=5_000, handoff="h", version=1)
    assert judge(rule(), held, state(60, 1), closed=False, silent=False)[0].handoff == "h"
    assert judge(rule(), held, state(60, 1), closed=True, silent=False)[0].handoff is None


def test_the_union_of_a_merge() -> None:
    survivor = RuleMemory(armed=True, cycle=2, crossed_at=day(3), score=1_000, version=9)
    merged = RuleMemory(armed=False, cycle=1, crossed_at=day(1), score=6_000, handoff="h", version=4)
    both = union(survivor, merged)
    assert (both.armed, both.cycle, both.crossed_at, both.score) == (False, 2, day(3), 6_000)
    assert union(merged, replace(survivor, crossed_at=None)).crossed_at == day(1)
    assert union(RuleMemory(), RuleMemory()) == RuleMemory()


def test_a_default_leave_between_two_cents_compares_exactly() -> None:
    by_default = rule(enter=33.33, leave=None)
    assert raised(path((40, 0), (29.99, 40), (40, 41)), by_default) == [0, 2]
    assert raised(path((40, 0), (30, 40), (40, 41)), by_default) == [0]


seen_states = st.builds(
    Seen,
    st.one_of(st.none(), st.sampled_from([0.0, 44.0, 44.99, 45.0, 47.0, 49.99, 50.0, 53.0, 80.0])),
    st.floats(0, 100, allow_nan=False),
    st.booleans(),
    st.sampled_from([False, False, False, True]),
)
histories = st.lists(seen_states, min_size=1, max_size=14).map(lambda items: sorted(items, key=lambda item: item.day))


@few(100)
@given(histories, st.sampled_from([1, 10, 30]), st.sampled_from([0.0, 5.0, 60.0, None]))
def test_crossings_equal_those_of_the_oracle(history: list[Seen], cooldown: int, open_for: float | None) -> None:
    of = rule(f"{GATED}, cooldown: {cooldown}d")
    expected = raises(history, enter=50, leave=45, cooldown=cooldown, open_for=open_for)
    assert raised(history, of, open_for) == expected
