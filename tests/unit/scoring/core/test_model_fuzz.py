"""Whatever stands in a model file, it is either a model or a list of faults."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.core.compile import compile_model
from services.scoring.core.engine import fold_all
from services.scoring.core.loader import load_model, model_from
from services.scoring.core.model import Model, ModelFaults
from shared.conditions import Fault
from shared.documents import read_document
from tests.properties import few, many
from tests.unit.scoring.core.builders import NOON, act
from tests.unit.scoring.core.test_worked_examples import STANDARD

TREE: dict[str, Any] = read_document(STANDARD).tree
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**30), 10**30), st.floats(), st.text(max_size=8),
    st.sampled_from(["30d", "1mo", "25%", "page_viewed", "*", "attributes.x", "score.total", "content", "every"]),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["id", "points", "field", "gt", "in", "did", "within", "cells", "max", "step", "x"]),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=6,
)


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path] * bool(path) + [place for key, value in inner for place in places(value, (*path, key))]


PLACES = places(TREE)


def outcome(load: Callable[[], Model]) -> tuple[Model | None, tuple[Fault, ...]]:
    """The model, or its faults; any other error is one of ours."""
    try:
        return load(), ()
    except ModelFaults as error:
        return None, error.faults


def survives(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    """Change the standard model at some places; it validates and runs, or is refused with faults that have paths."""
    tree = copy.deepcopy(TREE)
    for path, value in changes:
        node: Any = tree
        for key in path[:-1]:
            if not isinstance(node, (dict, list)) or (isinstance(node, list) and not isinstance(key, int)):
                return
            try:
                node = node[key]
            except (KeyError, IndexError):
                return
        if isinstance(node, dict) and isinstance(path[-1], str):
            node[path[-1]] = value
    valid, faults = outcome(lambda: model_from(tree))
    if valid is None:
        assert faults
        return
    model = compile_model(valid)
    result = fold_all(model, [act("page_viewed", url="/pricing"), act("document_downloaded")], NOON)
    assert result.score is None or sum(one.points for one in result.reasons) == result.score


@few(20)
@given(st.lists(st.tuples(st.sampled_from(PLACES), VALUES), min_size=1, max_size=3))
def test_a_damaged_model_is_refused_or_runs(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    survives(changes)


@pytest.mark.long
@pytest.mark.timeout(1_200)
@many(10_000)
@given(st.lists(st.tuples(st.sampled_from(PLACES), VALUES), min_size=1, max_size=3))
def test_damaged_models_at_length(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    survives(changes)


@few(20)
@given(
    st.integers(0, len(STANDARD) - 1),
    st.text(alphabet="{}[]:,-&*!|>'\"%@`#? \n\tx1é\x00", max_size=4),
    st.integers(0, 30),
)
def test_damaged_text_is_refused_or_read(start: int, inserted: str, removed: int) -> None:
    text = STANDARD[:start] + inserted + STANDARD[start + removed :]
    valid, faults = outcome(lambda: load_model(text))
    assert (valid is None) == bool(faults)
