"""The law: a score is a function of the set of activities, whatever way they came in; and the oracle agrees."""

from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.scoring.core.compile import CompiledModel, compile_model
from services.scoring.core.engine import fold_all, until
from services.scoring.core.evaluate import evaluate
from services.scoring.core.evaluation import Evaluation
from services.scoring.core.fold import fold, new_state
from services.scoring.core.loader import model_from
from services.scoring.core.state import Recycling, decode, encode
from shared.activity import Activity
from tests.oracle import scoring as oracle
from tests.unit.scoring.core.strategies import instants, leads, models, to_activity

few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
many = settings(max_examples=3_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
RECYCLINGS = st.builds(Recycling, instants(), st.sampled_from([Fraction(0), Fraction(1, 2), Fraction(9, 10)]))
AFTER = st.one_of(instants(), instants().map(lambda instant: instant + timedelta(days=70)))


def agrees(tree: dict[str, Any], acts: list[oracle.Act], at: datetime) -> None:
    """The engine says what the oracle says, reasons, counts and coverage included."""
    expected = oracle.score(tree, acts, at)
    got = fold_all(compile_model(model_from(tree)), [to_activity(act) for act in acts], at)
    reasons = [(rule, int(points * 100), count) for rule, points, count in expected.reasons]
    assert [(one.rule, one.points, one.entries) for one in got.reasons] == reasons
    assert (got.score, got.engagement, got.fit) == tuple(
        None if value is None else value * 100 for value in (expected.score, expected.engagement, expected.fit)
    )
    bands = (expected.grade, expected.level, expected.stage, expected.coverage)
    assert (got.grade, got.level, got.stage, got.coverage) == bands
    adds_up(got)


def adds_up(evaluation: Evaluation) -> None:
    """Reasons sum to the score, and none is zero."""
    if evaluation.score is not None:
        assert sum(reason.points for reason in evaluation.reasons) == evaluation.score
        assert all(reason.points and reason.entries > 0 for reason in evaluation.reasons)


def folded_in_batches(
    model: CompiledModel, ordered: list[Activity], cuts: list[int], at: datetime, recyclings: list[Recycling]
) -> Evaluation:
    """Fold in batches, the state going through JSON between them; from scratch where the engine asks for it."""
    state, start = new_state(model, recyclings=recyclings), 0
    for cut in [*sorted(cuts), len(ordered)]:
        fold(model, state, ordered[start:cut])
        if state.needs_refold:
            state = fold(model, new_state(model, recyclings=recyclings), ordered[:cut])
        assert not state.needs_refold
        evaluate(model, state, at)
        state, start = decode(orjson.loads(orjson.dumps(encode(state)))), max(cut, start)
    return evaluate(model, state, at)


def holds_for_any_path(tree: dict[str, Any], acts: list[oracle.Act], at: datetime, shuffled: st.DataObject) -> None:
    """Permutation, duplicates, splits and late arrivals change nothing."""
    model = compile_model(model_from(tree))
    activities = [to_activity(act) for act in acts]
    recyclings = shuffled.draw(st.lists(RECYCLINGS, max_size=2), "recyclings")
    expected = fold_all(model, activities, at, recyclings=recyclings)
    adds_up(expected)
    arrival = shuffled.draw(st.permutations(activities + activities[:3]), "arrival")
    assert fold_all(model, arrival, at, recyclings=recyclings) == expected
    ordered = until(activities, at)
    cuts = shuffled.draw(st.lists(st.integers(0, len(ordered)), max_size=3), "cuts")
    assert folded_in_batches(model, ordered, cuts, at, recyclings) == expected


@few
@given(models(), leads(), AFTER)
def test_the_oracle_agrees(tree: dict[str, Any], acts: list[oracle.Act], at: datetime) -> None:
    agrees(tree, acts, at)


@few
@given(models(), leads(), AFTER, st.data())
def test_order_duplicates_and_batches_change_nothing(
    tree: dict[str, Any], acts: list[oracle.Act], at: datetime, data: st.DataObject
) -> None:
    holds_for_any_path(tree, acts, at, data)


@pytest.mark.long
@pytest.mark.timeout(1_200)
@many
@given(models(), leads(40), AFTER)
def test_the_oracle_agrees_at_length(tree: dict[str, Any], acts: list[oracle.Act], at: datetime) -> None:
    agrees(tree, acts, at)


@pytest.mark.long
@pytest.mark.timeout(1_200)
@many
@given(models(), leads(30), AFTER, st.data())
def test_any_path_at_length(tree: dict[str, Any], acts: list[oracle.Act], at: datetime, data: st.DataObject) -> None:
    holds_for_any_path(tree, acts, at, data)
