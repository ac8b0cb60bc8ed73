"""Rules of the score that are easily passed over: each of them alone."""

from datetime import timedelta
from fractions import Fraction

from services.scoring.core.engine import fold_all
from services.scoring.core.evaluation import ManualPoints
from services.scoring.core.state import Recycling
from tests.unit.scoring.core.builders import DAY, NOON, act, compiled, lines, one_rule, points


def test_below_the_lowest_bound_counts_as_the_lowest_band() -> None:
    model = compiled(
        engagement={"rules": [{"id": "r", "activity": "page_viewed", "points": -5}]},
        fit={"rules": [{"id": "f", "points": -3, "all": [{"field": "attributes.x", "equals": 1}]}]},
        grade={"A": 30, "B": 20, "C": 10, "D": 5},
    )
    found = fold_all(model, [act("page_viewed", attributes={"x": 1})], NOON)
    assert (found.engagement, found.fit, found.cell) == (-500, -300, "D4")


def test_clamps_apply_to_empty_sums_and_exist_only_where_named() -> None:
    bounds = {"min": -2, "max": 3}
    model = compiled(engagement={**bounds, "groups": {"g": bounds}}, fit=bounds)
    assert (fold_all(model, [], NOON).score, fold_all(model, [], NOON).reasons) == (0, ())
    assert points(one_rule(points=-70), [act("page_viewed")], NOON) == -70
    assert points(one_rule(points=170), [act("page_viewed")], NOON) == 170


def test_every_type_means_types_that_nobody_knows_too() -> None:
    model = one_rule(activity="*", repeat="every")
    assert points(model, [act("feature_used"), act("page_viewed"), act("unknown")], NOON) == 3


def test_fit_never_decays_and_follows_the_attributes_of_the_instant() -> None:
    model = compiled(fit={"rules": [{"id": "f", "points": 10, "all": [{"field": "attributes.x", "gte": 1}]}]})
    seen = [act("page_viewed", attributes={"x": 1}), act("page_viewed", NOON + DAY, attributes={"x": 0})]
    assert points(model, seen[:1], NOON + 4_000 * DAY) == 10
    assert [points(model, seen, NOON + hours * timedelta(hours=12)) for hours in (0, 1, 2)] == [10, 10, 0]


def test_zero_and_false_are_values_and_nothing_and_the_empty_text_are_not() -> None:
    rule = {"id": "f", "points": 1, "all": [{"field": "attributes.x", "exists": True}]}
    model = compiled(fit={"rules": [rule]})
    scores = [points(model, [act("page_viewed", attributes={"x": value})], NOON) for value in (0, False, None, "")]
    assert scores == [1, 1, 0, 0]


def test_reasons_come_in_the_order_of_the_model_with_corrections_behind_and_none_is_zero() -> None:
    model = compiled(
        engagement={
            "max": 20,
            "groups": {"g": {"max": 15}},
            "inactivity": {"every": "10d", "points": -2, "floor": 1},
            "rules": [
                {"id": "b", "activity": "page_viewed", "points": 30, "group": "g"},
                {"id": "none", "activity": "page_viewed", "points": 0},
                {"id": "a", "activity": "page_viewed", "points": 10},
            ],
        },
        fit={"max": 4, "rules": [{"id": "f", "points": 7}]},
    )
    given = [ManualPoints(200, NOON, "sato", "met")]
    back = [Recycling(NOON + DAY, Fraction(1, 2))]
    found = fold_all(model, [act("page_viewed")], NOON + 10 * DAY, manual=given, recyclings=back)
    assert lines(found) == {
        "b": 30, "a": 10, "f": 7, "cap:g": -15, "cap:engagement": -3, "cap:fit": -3, "inactivity": -2,
        "recycled": -2, "manual": 2,
    }  # fmt: skip
    assert list(lines(found)) == [
        "b", "a", "f", "cap:g", "cap:engagement", "cap:fit", "inactivity", "recycled", "manual",
    ]  # fmt: skip
    assert found.score == sum(reason.points for reason in found.reasons) == 2400


def test_an_entry_of_a_half_life_below_a_cent_is_nothing_whatever_its_sign() -> None:
    for worth in (1, -1):
        model = one_rule(points=worth, decay={"half_life": "1d"}, repeat="every")
        assert points(model, [act("page_viewed")], NOON + 6 * DAY) == round(worth * 2**-6, 2)
        assert points(model, [act("page_viewed")], NOON + 7 * DAY) == 0


def test_points_by_hand_count_from_when_they_were_given_until_they_expire() -> None:
    given = [ManualPoints(700, NOON, "sato", "met", NOON + DAY)]
    instants = [NOON - timedelta(microseconds=1), NOON, NOON + DAY - timedelta(microseconds=1), NOON + DAY]
    assert [fold_all(compiled(), [], at, manual=given).score for at in instants] == [0, 700, 700, 0]
