"""Shares and differences beside published figures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.shares import Difference, Share


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    # R. G. Newcombe, Two-sided confidence intervals for the single proportion, 1998, table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_as_published(hits: int, of: int, low: float, high: float) -> None:
    assert Share(hits, of).interval == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    # R. G. Newcombe, Interval estimation for the difference between independent proportions, 1998, table II, method 10.
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((10, 10), (0, 10), 0.6075, 1.0),
        ((0, 10), (0, 10), -0.2775, 0.2775),
    ],
)
def test_newcombe_as_published(one: tuple[int, int], other: tuple[int, int], low: float, high: float) -> None:
    assert Difference(Share(*one), Share(*other)).interval == pytest.approx((low, high), abs=5e-5)


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 500), st.integers(0, 500))
def test_an_interval_holds_its_value_and_turns_with_the_question(a: int, b: int, c: int, d: int) -> None:
    one, other = Share(min(a, b), max(a, b)), Share(min(c, d), max(c, d))
    low, high = Difference(one, other).interval
    assert Difference(other, one).interval == pytest.approx((-high, -low))
    value = Difference(one, other).value
    if value is not None:
        assert low - 1e-9 <= value <= high + 1e-9


def test_nothing_says_nothing() -> None:
    assert Share(0, 0).to_json() == {"value": None, "hits": 0, "of": 0, "low": 0.0, "high": 1.0}
    assert Difference(Share(0, 0), Share(1, 2)).to_json() == {"value": None, "low": -1.0, "high": 1.0}
