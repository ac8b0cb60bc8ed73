"""The explanation adds up, step by step, and says what the engine says at every instant."""

from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.core.compile import CompiledModel, compile_model
from services.scoring.core.difference import difference
from services.scoring.core.engine import fold_all
from services.scoring.core.evaluation import ManualPoints
from services.scoring.core.explain import Explanation, RuleAccount, explain
from services.scoring.core.loader import model_from
from services.scoring.core.state import Recycling
from shared.activity import Activity
from tests.oracle import scoring as oracle
from tests.properties import few, many
from tests.unit.scoring.core.builders import DAY, NOON, act, compiled, one_rule
from tests.unit.scoring.core.strategies import instants, leads, models, to_activity

AFTER = st.one_of(instants(), instants().map(lambda instant: instant + timedelta(days=70)))
RECYCLINGS = st.lists(
    st.builds(Recycling, instants(), st.sampled_from([Fraction(0), Fraction(1, 2), Fraction(9, 10)])), max_size=2
)
MANUAL = st.lists(
    st.builds(ManualPoints, st.integers(-2000, 2000), instants(), st.just("sato"), st.just("met"), instants()),
    max_size=2,
)


def adds_up(model: CompiledModel, explained: Explanation) -> None:
    """Entries to rules, rules to groups, groups to engagement, all to the score."""
    points = [account.points for account in explained.rules]
    sums = {group.name: sum(points[index] for index in group.rules) for group in model.groups}
    for account in explained.rules:
        entries_add_up(account)
        assert account.points == account.rule.clamp.apply(account.raw)
    assert {group.name: group.raw for group in explained.groups} == sums
    loose = sum(points) - sum(sums.values())
    total = loose + sum(group.points for group in explained.groups)
    engagement = total + explained.sums.inactivity + explained.sums.clamp + explained.recycled
    assert explained.engagement == engagement
    assert explained.fit_raw == sum(rule.points for rule in explained.fit if rule.holds)
    assert explained.fit_points == model.model.fit.apply(explained.fit_raw)
    score = engagement + explained.fit_points + sum(one.points for one in explained.manual)
    assert explained.score == score
    if not explained.evaluation.excluded:
        assert (explained.evaluation.score, explained.evaluation.engagement) == (score, engagement)
        assert sum(reason.points for reason in explained.evaluation.reasons) == score


def entries_add_up(account: RuleAccount) -> None:
    """To the rule before its clamp: exactly, rounded half to even, once."""
    if account.cells:
        assert account.raw == next((cell.points for cell in account.cells if cell.pays), 0)
        return
    exact = sum((Fraction(entry.now) for entry in account.entries), Fraction(0))
    if any(isinstance(entry.now, float) for entry in account.entries):
        # Doubles are added as doubles; the exact sum of them lies within their own precision.
        assert abs(account.raw - exact) <= Fraction(1, 2) + Fraction(1, 10**6)
        assert account.raw == round(sum(entry.now for entry in account.entries))
    else:
        assert account.raw == round(exact)
    assert account.count == sum(1 for entry in account.entries if entry.now) or not account.rule.points


def nothing_is_left_out(explained: Explanation, acts: list[oracle.Act], tree: dict[str, Any]) -> None:
    """Every match the oracle finds is paid or denied, with a reason where it is denied."""
    seen = oracle.judged(tree, acts, explained.at)
    for written, account in zip(tree["engagement"]["rules"], explained.rules, strict=True):
        if account.cells:
            continue
        matching = {(one.source, one.id) for one in seen.happened if seen.matches(written, one)}
        paid = {(entry.activity.source, entry.activity.id) for entry in account.entries}
        denied = {(one.activity.source, one.activity.id) for one in account.denied}
        assert paid.isdisjoint(denied)
        assert paid | denied == matching
        withheld = {(one.activity.source, one.activity.id) for one in account.denied if one.policy == "consent"}
        assert withheld == matching - {(one.source, one.id) for one in seen.acts}
        assert all(one.policy in ("repeat", "daily_max", "verdict", "consent") for one in account.denied)
        blockers = [one.paid_before for one in account.denied if one.policy == "repeat"]
        assert all(one is not None and (one.source, one.id) in paid for one in blockers)


def check(
    tree: dict[str, Any],
    acts: list[oracle.Act],
    at: datetime,
    recyclings: list[Recycling],
    manual: list[ManualPoints],
) -> Explanation:
    """Everything that has to hold of one explanation."""
    model = compile_model(model_from(tree))
    activities = [to_activity(one) for one in acts]
    explained = explain(model, activities, at, recyclings=recyclings, manual=manual)
    assert explained.evaluation == fold_all(model, activities, at, recyclings=recyclings, manual=manual)
    adds_up(model, explained)
    nothing_is_left_out(explained, acts, tree)
    return explained


def compare(tree: dict[str, Any], acts: list[oracle.Act], first: datetime, second: datetime) -> None:
    """The lines of a difference add up to it, and so do the entries behind a rule's line."""
    model = compile_model(model_from(tree))
    activities = [to_activity(one) for one in acts]
    before, after = (explain(model, activities, at) for at in sorted((first, second)))
    found = difference(before, after)
    if found.change is not None:
        assert sum(line.change for line in found.reasons) == found.change
        assert found.change == (after.evaluation.score or 0) - (before.evaluation.score or 0)
    for line in found.rules:
        then, now = (
            sum(
                (Fraction(entry.now) for one in side.rules if one.rule.id == line.rule for entry in one.entries),
                Fraction(),
            )
            for side in (before, after)
        )
        moved = Fraction(line.earned) + Fraction(line.lost) + Fraction(line.faded)
        assert abs(now - then - moved) <= Fraction(1, 10**6)


@few()
@given(models(), leads(), AFTER, RECYCLINGS, MANUAL)
def test_an_explanation_adds_up_to_the_engines_score(
    tree: dict[str, Any], acts: list[oracle.Act], at: datetime, recyclings: list[Recycling], manual: list[ManualPoints]
) -> None:
    check(tree, acts, at, recyclings, manual)


@few()
@given(models(), leads(), instants(), AFTER)
def test_a_difference_adds_up(tree: dict[str, Any], acts: list[oracle.Act], first: datetime, second: datetime) -> None:
    compare(tree, acts, first, second)


@pytest.mark.long
@pytest.mark.timeout(1_200)
@many(1_500)
@given(models(), leads(40), AFTER, RECYCLINGS, MANUAL)
def test_an_explanation_adds_up_to_the_engines_score_at_length(
    tree: dict[str, Any], acts: list[oracle.Act], at: datetime, recyclings: list[Recycling], manual: list[ManualPoints]
) -> None:
    check(tree, acts, at, recyclings, manual)


@pytest.mark.long
@pytest.mark.timeout(1_200)
@many(1_500)
@given(models(), leads(40), instants(), AFTER)
def test_a_difference_adds_up_at_length(
    tree: dict[str, Any], acts: list[oracle.Act], first: datetime, second: datetime
) -> None:
    compare(tree, acts, first, second)


def of(explained: Explanation, rule: str = "r") -> RuleAccount:
    return next(one for one in explained.rules if one.rule.id == rule)


def ids(activities: list[Activity]) -> list[str]:
    return [one.id for one in activities]


def test_a_repeat_names_the_activity_that_was_paid_before() -> None:
    model = one_rule(repeat={"max": 2, "per": "7d"})
    views = [act("page_viewed", NOON + day * DAY, id=f"v{day}") for day in range(4)]
    account = of(explain(model, views, NOON + 5 * DAY))
    assert ids([entry.activity for entry in account.entries]) == ["v0", "v1"]
    assert [(one.activity.id, one.policy, one.paid_before and one.paid_before.id) for one in account.denied] == [
        ("v2", "repeat", "v0"),
        ("v3", "repeat", "v0"),
    ]


def test_an_object_is_paid_once_and_the_second_names_the_first() -> None:
    model = one_rule(activity="document_downloaded")
    downloads = [act("document_downloaded", NOON + n * DAY, id=f"d{n}", document=name) for n, name in enumerate("aba")]
    account = of(explain(model, downloads, NOON + 5 * DAY))
    assert [(one.activity.id, one.paid_before and one.paid_before.id) for one in account.denied] == [("d2", "d0")]


def test_the_daily_maximum_and_a_verdict_deny_by_their_names() -> None:
    model = compiled(
        daily_max=1, engagement={"rules": [{"id": "r", "activity": "page_viewed", "points": 1, "repeat": "every"}]}
    )
    views = [
        act("page_viewed", NOON, id="v1"),
        act("page_viewed", NOON + timedelta(hours=1), id="v2"),
        act("page_viewed", NOON + DAY, id="v3", flags=("scan",)),
    ]
    account = of(explain(model, views, NOON + 2 * DAY))
    assert [(one.activity.id, one.policy, one.verdict) for one in account.denied] == [
        ("v2", "daily_max", None),
        ("v3", "verdict", "scan"),
    ]


def test_what_came_without_consent_is_denied_by_it() -> None:
    rules = [
        {
            "id": "r",
            "activity": "page_viewed",
            "points": 1,
            "repeat": "every",
            "all": [{"field": "source", "equals": "web"}],
        }
    ]
    model = compiled(consent={"profiling": "required"}, engagement={"rules": rules})
    views = [act("page_viewed", NOON + days * DAY, id=f"v{days}", source="web") for days in range(5)]
    views += [act("page_viewed", NOON, id="other", source="shop"), act("form_submitted", NOON, id="form", source="web")]
    views[1].consent, views[3].consent = {"profiling": True}, {"profiling": False}
    views[0].flags = ("scan",)
    explained = explain(model, views, NOON + 9 * DAY)
    account = of(explained)
    assert ids([entry.activity for entry in account.entries]) == ["v1", "v2"]
    assert [(one.activity.id, one.policy, one.verdict) for one in account.denied] == [
        ("v0", "consent", None),
        ("v3", "consent", None),
        ("v4", "consent", None),
    ]
    assert explained.evaluation.score == account.points == 200
    assert [one.activity.id for one in of(explain(model, views, NOON)).denied] == ["v0"]


def test_cells_show_what_each_counts_and_which_pays() -> None:
    cells = [{"at_least": 3, "within": "7d", "points": 10}, {"at_least": 2, "within": "14d", "points": 5}]
    views = [act("page_viewed", NOON - days * DAY, id=f"v{days}") for days in (20, 10, 5, 1)]
    account = of(explain(one_rule(cells=cells), views, NOON))
    assert [(cell.count, cell.pays) for cell in account.cells] == [(2, False), (3, True)]
    assert (account.points, account.count) == (500, 3)
    assert ids([entry.activity for entry in account.entries]) == ["v10", "v5", "v1"]


def test_the_next_change_is_when_the_window_closes() -> None:
    model = one_rule(points=5, decay={"window": "30d"})
    explained = explain(model, [act("page_viewed", NOON)], NOON + DAY)
    assert explained.next_change is not None
    assert (explained.next_change.at, explained.next_change.evaluation.score) == (NOON + 30 * DAY, 0)


def test_between_two_instants_one_seminar_is_earned_and_the_other_fades() -> None:
    model = one_rule(activity="seminar_attended", points=10, repeat="every", decay={"half_life": "60d"})
    seminars = [act("seminar_attended", NOON, id="s1"), act("seminar_attended", NOON + 60 * DAY, id="s2")]
    found = difference(explain(model, seminars, NOON), explain(model, seminars, NOON + 60 * DAY))
    assert found.change == 500
    (line,) = found.rules
    assert (line.earned, line.lost, line.faded) == (1000, 0, -500)
