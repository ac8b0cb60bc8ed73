"""Attributes, exclusion, verdicts, signals, stages, manual points and recycling."""

from datetime import timedelta
from fractions import Fraction

import pytest

from services.scoring.core.engine import fold_all, signals_of
from services.scoring.core.evaluate import evaluate
from services.scoring.core.evaluation import ManualPoints
from services.scoring.core.fold import fold, new_state
from services.scoring.core.state import Recycling
from tests.unit.scoring.core.builders import DAY, NOON, act, compiled, lines, one_rule, points

MANAGERS = [{"field": "attributes.title", "equals": "部長"}]


def test_rules_see_attributes_as_of_the_instant_asked_for() -> None:
    model = one_rule(all=MANAGERS)
    hits = [act("page_viewed"), act("profile_updated", NOON + DAY, attributes={"title": "部長"})]
    assert points(model, hits, NOON) == 0
    assert points(model, hits, NOON + DAY) == 1


def test_a_changed_attribute_asks_for_a_new_fold_only_when_a_rule_has_used_it() -> None:
    model = one_rule(all=MANAGERS)
    change = act("profile_updated", NOON + DAY, attributes={"title": "部長"})
    used = fold(model, new_state(model), [act("page_viewed")])
    assert not used.needs_refold
    assert fold(model, used, [change]).needs_refold
    with pytest.raises(ValueError, match="fold again"):
        evaluate(model, used, NOON + DAY)
    unused = fold(model, new_state(model), [act("email_opened"), change])
    assert not unused.needs_refold


def test_the_last_value_that_is_not_empty_wins() -> None:
    model = compiled(fit={"rules": [{"id": "f", "points": 3, "all": [{"field": "attributes.n", "equals": 0}]}]})
    values = [1, 0, "", None]
    hits = [act("page_viewed", NOON + day * DAY, attributes={"n": value}) for day, value in enumerate(values)]
    assert points(model, hits, NOON + 9 * DAY) == 3
    changed = fold_all(model, [*hits, act("page_viewed", NOON + 8 * DAY, attributes={"n": False})], NOON + 9 * DAY)
    assert changed.score == 0


def test_fit_clamps_and_coverage() -> None:
    rules = [
        {"id": "a", "points": 30, "all": [{"field": "attributes.a", "exists": True}]},
        {
            "id": "b",
            "points": 30,
            "any": [{"field": "attributes.b", "equals": 1}, {"field": "attributes.a", "equals": 1}],
        },
        {"id": "c", "points": -1, "none": [{"field": "attributes.c.d", "equals": 1}]},
    ]
    model = compiled(fit={"max": 25, "rules": rules})
    got = fold_all(model, [act("page_viewed", attributes={"a": 1, "b": ""})], NOON)
    assert lines(got) == {"a": 30, "b": 30, "c": -1, "cap:fit": -34}
    assert (got.score, got.coverage, got.grade) == (2500, 0.3333, "C")
    assert fold_all(compiled(), [], NOON).coverage is None


def test_an_excluded_lead_has_no_score() -> None:
    model = compiled(exclude=[{"field": "identity.email_domain", "in": ["OWN.example"]}])
    got = fold_all(model, [act("page_viewed", email="a@own.example")], NOON)
    assert (got.score, got.grade, got.cell, got.stage) == (None, None, None, None)
    assert [one.rule for one in got.reasons] == ["excluded"]
    assert fold_all(model, [act("page_viewed", email="a@other.example")], NOON).score == 0


@pytest.mark.parametrize("verdict", ["suspected", "scan"])
def test_a_bot_earns_nothing_and_is_not_counted(verdict: str) -> None:
    model = compiled(
        engagement={"rules": [{"id": "r", "activity": "email_clicked", "points": 5}]},
        stages=[{"id": "clicked", "all": [{"did": "email_clicked"}]}],
        signals=[{"id": "s", "activity": "email_clicked"}],
    )
    hit = act("email_clicked", link="/price")
    human = fold_all(model, [hit], NOON, verdict_of=lambda _: "human")
    bot = fold_all(model, [hit], NOON, verdict_of=lambda _: verdict)
    assert (human.score, human.stage, bot.score, bot.stage) == (500, "clicked", 0, None)
    flagged = act("email_clicked", flags=(verdict,))
    assert fold_all(model, [flagged], NOON).score == 0
    assert (signals_of(model, hit), signals_of(model, flagged)) == (["s"], [])


def test_signals_see_the_activity_and_the_lead() -> None:
    model = compiled(
        signals=[
            {"id": "price", "activity": "email_clicked", "all": [{"field": "properties.link", "contains": "/PRICE"}]},
            {"id": "boss", "activity": "*", "all": MANAGERS},
        ]
    )
    hit = act("email_clicked", link="https://x.example/price-list")
    state = fold(model, new_state(model, attributes={"title": "部長"}), [hit])
    assert signals_of(model, hit) == ["price"]
    assert signals_of(model, hit, state) == ["price", "boss"]
    assert signals_of(model, act("page_viewed", link="/price")) == []


def test_a_lead_stands_in_the_last_stage_that_holds() -> None:
    model = compiled(
        engagement={"rules": [{"id": "r", "activity": "*", "points": 10, "repeat": "every"}]},
        stages=[
            {"id": "one"},
            {"id": "two", "all": [{"did": "page_viewed", "at_least": 2, "within": "2d"}]},
            {"id": "three", "all": [{"field": "score.total", "gte": 30}, {"field": "stage", "equals": "two"}]},
        ],
    )
    hits = [act("page_viewed", NOON + day * DAY) for day in range(3)]
    stages = [fold_all(model, hits, NOON + day * DAY).stage for day in (0, 1, 2, 3, 4)]
    assert stages == ["one", "two", "three", "one", "one"]
    assert fold_all(compiled(stages=[{"id": "x", "all": [{"did": "meeting_held"}]}]), hits, NOON).stage is None


def test_manual_points_are_one_reason() -> None:
    model = one_rule()
    given = [
        ManualPoints(500, NOON, "sato", "met at the fair"),
        ManualPoints(-200, NOON, "sato", "student", NOON + DAY),
        ManualPoints(900, NOON + 9 * DAY, "sato", "later"),
    ]
    now = fold_all(model, [act("page_viewed")], NOON, manual=given)
    assert (lines(now), now.manual, now.score) == ({"r": 1, "manual": 3}, 300, 400)
    assert now.reasons[-1].entries == 2
    assert fold_all(model, [act("page_viewed")], NOON + DAY, manual=given).manual == 500


@pytest.mark.parametrize(("factor", "after"), [(0, 10), (Fraction(1, 2), 20), (1, 30)])
def test_recycling_weakens_what_came_before(factor: Fraction, after: int) -> None:
    model = one_rule(points=10, repeat="every")
    hits = [act("page_viewed", NOON + day * DAY) for day in range(3)]
    recycled = [Recycling(NOON + 2 * DAY, Fraction(factor))]
    assert fold_all(model, hits, NOON + DAY, recyclings=recycled).score == 2000
    got = fold_all(model, hits, NOON + 2 * DAY, recyclings=recycled)
    assert got.score == after * 100
    assert lines(got) == {"r": 30} | ({"recycled": after - 30} if after != 30 else {})


def test_recyclings_multiply_and_cells_are_weighed() -> None:
    twice = [Recycling(NOON + day * DAY, Fraction(1, 2)) for day in (1, 3)]
    paying = one_rule(points=8, repeat="every", decay={"half_life": "1d"})
    hits = [act("page_viewed", NOON), act("page_viewed", NOON + 2 * DAY), act("page_viewed", NOON + 3 * DAY)]
    # 8/8 at a quarter, 8/2 at a half, 8 in full
    assert fold_all(paying, hits, NOON + 3 * DAY, recyclings=twice).score == 25 + 200 + 800
    cells = one_rule(
        cells=[{"at_least": 3, "within": "9d", "points": 12}, {"at_least": 1, "within": "9d", "points": 4}]
    )
    # all three count a quarter of 12, the later two another quarter of 4, the last a half of 4
    assert fold_all(cells, hits, NOON + 3 * DAY, recyclings=twice).score == 300 + 100 + 200


def test_a_state_takes_no_earlier_activity_and_answers_for_no_earlier_instant() -> None:
    model = one_rule()
    state = fold(model, new_state(model), [act("page_viewed")])
    with pytest.raises(ValueError, match="fold order"):
        fold(model, state, [act("page_viewed", NOON - DAY)])
    with pytest.raises(ValueError, match="later activities"):
        evaluate(model, state, NOON - timedelta(microseconds=1))
