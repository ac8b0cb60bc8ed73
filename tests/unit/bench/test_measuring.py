"""How figures become lines: medians, spreads, and no ratio to a limit that wandered."""

from collections.abc import Iterator

import pytest

from deploy.bench.measuring import AT_MOST, Goal, Line, Measure, compare, line_of, spread, steady
from deploy.bench.registry import GOALS, GROUPS, groups_for
from deploy.bench.report import markdown


def giving(figures: Iterator[float]) -> Measure:
    async def measure() -> float:
        return next(figures)

    return measure


async def test_the_warm_up_is_discarded_and_the_median_taken() -> None:
    line = await compare("x", "rows/s", giving(iter([1, 50, 40, 60])), limit=giving(iter([1, 100, 101, 99])))
    assert (line.value, line.limit, line.ratio) == (50, 100, 0.5)
    assert line.spread == pytest.approx(0.4)
    assert line.problem == ""


async def test_rounds_follow_until_the_limit_keeps_still() -> None:
    limit = giving(iter([1, 100, 150, 100, 101, 110]))
    line = await compare("x", "rows/s", giving(iter([1, 2, 2, 5, 6, 4])), limit=limit)
    assert (line.value, line.limit, line.problem) == (5, 101, "")


async def test_a_subject_that_wanders_is_taken_as_it_is() -> None:
    line = await compare("x", "rows/s", giving(iter([1, 20, 80, 10])), limit=giving(iter([1, 100, 100, 100])))
    assert (line.value, line.spread) == (20, 3.5)


async def test_a_limit_that_goes_on_wandering_gives_no_ratio() -> None:
    limit = giving(iter([1, *[100, 150, 100] * AT_MOST]))
    line = await compare("x", "rows/s", giving(iter([5.0] * (1 + 3 * AT_MOST))), limit=limit)
    assert line.ratio is None
    assert "between 100 and 150" in line.problem
    assert line.to_json()["problem"] == line.problem


def test_a_fifth_is_steady_and_more_is_not() -> None:
    assert steady([100, 120, 110])
    assert not steady([100, 121])
    assert spread([90, 100, 110]) == pytest.approx(0.2)


def test_a_line_as_json_has_ratio_factor_and_its_goals() -> None:
    line = line_of("scoring", "activities/s", {"value": [50.0], "limit": [100.0], "naive": [5.0]})
    printed = line.to_json([Goal("ratio", 0.45, 0.65), Goal("factor", 12, 20)])
    assert (printed["name"], printed["value"], printed["unit"]) == ("scoring", 50.0, "activities/s")
    assert (printed["limit"], printed["ratio"], printed["naive"], printed["factor"]) == (100.0, 0.5, 5.0, 10.0)
    assert [goal["met"] for goal in printed["goals"]] == [True, False]


def test_goals_at_most_and_missing_figures() -> None:
    assert Goal("value", 150, 110, at_most=True).met_by(149.9)
    assert not Goal("value", 150, 110, at_most=True).met_by(150.1)
    assert not Goal("ratio", 0.4, 0.8).met_by(None)


def test_every_goal_belongs_to_a_line_of_one_group() -> None:
    listed = [name for group in GROUPS for name in group.lines]
    assert len(listed) == len(set(listed))
    assert set(GOALS) == set(listed)
    assert [group.lines[0] for group in groups_for(("relay",))] == ["scoring"]
    with pytest.raises(KeyError):
        groups_for(("rely",))


def test_the_markdown_table_has_one_row_per_line() -> None:
    rows = markdown([Line("a", 1234.5, "x/s"), Line("b", 0.5, "s")], {}).splitlines()
    assert rows[2].startswith("| a | 1,234 | x/s |")
    assert len(rows) == 4
