"""Stored entries to what evaluation takes: points by hand, and what recycling leaves of earlier activities."""

from fractions import Fraction
from typing import Any

import pytest

from services.scoring.core.entries import RECYCLED, Entry, factor_of, manual_of, points_entry, recyclings_of
from services.scoring.core.evaluation import ManualPoints
from services.scoring.core.lead import LeadState, LiveModel, Models, refold
from services.scoring.core.model import ModelFaults
from services.scoring.core.state import Recycling
from tests.unit.scoring.core.builders import DAY, NOON, act, compiled

ANCHOR = "6f1d9c52-0f0c-8f4e-b1f3-2b6f5d0c7e21"
VIEW = {"id": "r", "activity": "page_viewed", "points": 10, "repeat": "every"}
GIVEN = ManualPoints(500, NOON, "sato", "met at the fair", NOON + DAY)


def recycled(day: int, policy: Any = None, id_: str = "h") -> Entry:
    return Entry(RECYCLED, id_, ANCHOR, NOON + day * DAY, {"policy": policy})


def test_points_are_read_back_as_they_were_given() -> None:
    assert manual_of([recycled(1), points_entry("p", ANCHOR, NOON, GIVEN)]) == (GIVEN,)


@pytest.mark.parametrize(
    ("policy", "factor"),
    [(None, Fraction(1, 2)), ("keep", 1), ("reset", 0), ({"factor": 0.1}, Fraction(1, 10)), ({"factor": 0}, 0)],
)
def test_policies(policy: Any, factor: Fraction) -> None:
    assert factor_of(policy, Fraction(1, 2)) == factor
    expected = [] if factor == 1 else [Recycling(NOON + DAY, Fraction(factor))]
    assert recyclings_of([recycled(1, policy)], Fraction(1, 2)) == expected


@pytest.mark.parametrize("policy", ["half", {}, {"factor": 2}, {"factor": True}, {"factor": "0.5"}, 1, []])
def test_what_is_no_policy(policy: Any) -> None:
    with pytest.raises(ValueError, match="expected keep, reset or a factor"):
        factor_of(policy, Fraction(1))


def test_a_lead_keeps_its_entries_when_it_is_packed() -> None:
    models = Models((LiveModel("test", 1, compiled(engagement={"rules": [VIEW]}, recycle="reset")),))
    entries = [points_entry("p", ANCHOR, NOON, GIVEN), recycled(1)]
    state = refold(models, [act("page_viewed"), act("page_viewed", NOON + DAY)], (), NOON + DAY, entries)
    for one in (state, LeadState.unpack(state.pack())):
        scores = [one.evaluation(models.primary, NOON + days * DAY).score for days in (1, 1.5)]
        assert scores == [1000, 1000]
        assert one.manual == (GIVEN,)
    before = refold(models, [act("page_viewed")], (), NOON, entries)
    assert before.evaluation(models.primary, NOON + DAY / 2).score == 1500


def test_a_model_says_what_recycling_leaves_where_the_rule_does_not() -> None:
    assert compiled().model.recycle == 1
    assert compiled(recycle="reset").model.recycle == 0
    assert compiled(recycle={"factor": 0.25}).model.recycle == Fraction(1, 4)
    for wrong in ("drop", {"factor": 2}, {"share": 1}, 0.5, None):
        with pytest.raises(ModelFaults, match="recycle: expected keep, reset or"):
            compiled(recycle=wrong)
