"""What became of those handed over: counts, shares, and where the origin comes from."""

from typing import Any

import pytest

from services.handoff.core.effect import Effect, Standing, columns, effects, to_json, to_row
from services.handoff.core.origin import Origin, origin_of


def effect_of(*standings: tuple[str, bool, int]) -> Effect:
    found = Effect()
    for state, accepted, count in standings:
        found.add(Standing((), state, accepted, "no budget" if state == "rejected" else None, count))
    return found


def test_an_accepted_lead_that_was_won_counts_as_both() -> None:
    found = effect_of(("converted", True, 3), ("accepted", True, 2), ("lost", True, 1), ("rejected", False, 4))
    assert found.counts == {"qualified": 10, "accepted": 6, "converted": 3, "lost": 1, "rejected": 4}
    assert (found.acceptance.hits, found.acceptance.of) == (6, 10)
    assert (found.conversion.hits, found.conversion.of) == (3, 8)
    assert found.reasons == {"no budget": 4}


def test_who_was_not_answered_says_nothing_about_acceptance() -> None:
    found = effect_of(("qualified", False, 5), ("assigned", False, 2), ("expired", False, 3), ("rejected", False, 1))
    assert found.counts["waiting"] == 7
    assert (found.acceptance.hits, found.acceptance.of) == (0, 1)


def test_who_was_erased_before_an_answer_says_nothing_about_acceptance_either() -> None:
    found = effect_of(("lapsed", False, 5), ("lapsed", True, 2), ("rejected", False, 1))
    assert (found.acceptance.hits, found.acceptance.of) == (2, 3)


def test_groups_come_largest_first_and_few_is_said() -> None:
    standings = [
        Standing(("hot", 50), "accepted", True, None, 2),
        Standing(("hot", 60), "accepted", True, None, 30),
        Standing((None, None), "lost", True, None, 2),
    ]
    shown = [to_json(("rule", "band"), group, effect) for group, effect in effects(standings).items()]
    assert [(one["rule"], one["band"], one["qualified"]) for one in shown] == [
        ("hot", "60-69", 30),
        ("hot", "50-59", 2),
        (None, None, 2),
    ]
    assert [one["acceptance"]["few"] for one in shown] == [False, True, True]


def test_a_row_has_a_cell_for_every_column() -> None:
    shown = to_json(("rule",), ("hot",), effect_of(("rejected", False, 2)))
    row = dict(zip(columns(("rule",)), to_row(shown), strict=True))
    assert row["rule"] == "hot"
    assert row["rejected_by_reason"] == "no budget: 2"
    assert (row["acceptance"], row["acceptance_of"]) == (0.0, 2)


@pytest.mark.parametrize(
    ("recent", "origin"),
    [
        ([], Origin(None, None)),
        ([{"source": "web"}], Origin("web", None)),
        ([{"source": "web"}, {"source": "mail", "properties": {"campaign": "autumn"}}], Origin("mail", "autumn")),
        (
            [
                {"source": "b", "properties": {"campaign": "late"}},
                {"source": "a", "properties": {"campaign": "early"}},
            ],
            Origin("b", "late"),
        ),
        ([{"source": 5, "properties": {"campaign": ""}}], Origin(None, None)),
        ([{"source": "x" * 300, "properties": {"campaign": 7}}], Origin("x" * 200, None)),
    ],
)
def test_the_last_touch_is_the_origin(recent: list[dict[str, Any]], origin: Origin) -> None:
    assert origin_of(recent) == origin
