"""A model judged by outcomes: every figure against one worked out another way."""

import random
from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.core.backtest import Case, Course, backtest, bands_of, split_instant
from services.scoring.core.past import course_of, score_before
from shared.clock import to_rfc3339
from shared.shares import Share
from tests.oracle import scoring as oracle
from tests.properties import few, many
from tests.unit.scoring.core import strategies
from tests.unit.scoring.core.builders import DAY, NOON, act, compiled
from tests.unit.scoring.core.strategies import START


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    # Newcombe 1998, Statistics in Medicine 17, table I, method 3 (score, without continuity correction).
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0000, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_intervals_are_wilsons(hits: int, of: int, low: float, high: float) -> None:
    assert Share(hits, of).interval == pytest.approx((low, high), abs=5e-5)


def test_nothing_of_nothing_is_unknown() -> None:
    assert (Share(0, 0).value, Share(0, 0).interval) == (None, (0.0, 1.0))


def cases(seed: int, count: int) -> list[Case]:
    dice = random.Random(seed)
    made = []
    for number in range(count):
        score = None if dice.random() < 0.05 else dice.randrange(-2000, 12000)
        converted = dice.random() < (score or 0) / 20000
        made.append(Case(f"l{number}", NOON + DAY * dice.random() * 100, converted, score))
    return made


@pytest.mark.parametrize("seed", range(5))
def test_every_figure_is_that_of_plain_counting(seed: int) -> None:
    known, threshold = cases(seed, 400), 5000
    at = split_instant([case.at for case in known], 0.7)
    found = backtest(known, [], at, NOON + 200 * DAY, threshold)
    assert at is not None
    later = [case for case in known if case.at >= at]
    assert (len(later), len(known) - len(later)) == (120, 280)
    hot = [case for case in later if case.score is not None and case.score >= threshold]
    won, hits = sum(case.converted for case in later), sum(case.converted for case in hot)
    answer = found.to_json()["judged"]
    assert (answer["leads"], answer["converted"]) == (len(later), won)
    assert (answer["precision"]["hits"], answer["precision"]["of"]) == (hits, len(hot))
    assert (answer["recall"]["hits"], answer["recall"]["of"]) == (hits, won)
    assert answer["lift"] == round(float(Fraction(hits, len(hot)) / Fraction(won, len(later))), 2)
    for band in found.bands:
        inside = [
            case
            for case in later
            if case.score is not None
            and (band.low is None or case.score >= band.low)
            and (band.high is None or case.score < band.high)
        ]
        assert band.share == Share(sum(case.converted for case in inside), len(inside))
    assert sum(band.share.of for band in found.bands) == sum(case.score is not None for case in later)


@pytest.mark.parametrize(
    ("converted", "others", "few"), [(25, 25, False), (24, 60, True), (60, 24, True), (0, 0, True)]
)
def test_too_few_is_said_plainly(converted: int, others: int, few: bool) -> None:
    known = [Case(f"l{n}", NOON, n < converted, 6000) for n in range(converted + others)]
    found = backtest(known, [], NOON, NOON + 7 * DAY, 5000)
    said = f"too few: {converted} converted and {others} not; at least 25 of each are needed"
    assert found.later.too_few == (said if few else None)
    assert (said in found.warnings) is few


def test_a_higher_band_that_converts_less_is_warned_of() -> None:
    def band(score: int, hits: int, of: int) -> list[Case]:
        return [Case(f"{score}-{n}", NOON, n < hits, score) for n in range(of)]

    steep = backtest([*band(2500, 40, 50), *band(5500, 5, 50)], [], NOON, NOON + DAY, 5000)
    assert steep.warnings == ["leads from 50 points convert less (10 % of 50) than those from 20 (80 % of 50)"]
    slight = backtest([*band(2500, 27, 50), *band(5500, 26, 50)], [], NOON, NOON + DAY, 5000)
    assert slight.warnings[0].endswith("; this may be chance")
    rising = backtest([*band(2500, 26, 50), *band(5500, 40, 50)], [], NOON, NOON + DAY, 5000)
    assert rising.warnings == []


def test_bounds_belong_to_the_band_above() -> None:
    known = [Case("a", NOON, True, 1000), Case("b", NOON, False, 999), Case("c", NOON, True, 10000)]
    low, *_, high = bands_of(known, (0, 1000, 10000))
    assert (low.low, low.high, low.share) == (0, 1000, Share(0, 1))
    assert (high.low, high.high, high.share) == (10000, None, Share(1, 1))
    assert bands_of([], (0, 1000)) == []


scores = st.one_of(st.none(), st.integers(-500, 3000))


@few(200)
@given(st.lists(st.builds(Course, scores, scores), max_size=30), st.integers(1, 10))
def test_the_threshold_for_a_volume_is_the_lowest_that_keeps_it(courses: list[Course], per_week: int) -> None:
    def arrivals(points: int) -> int:
        return sum(
            one.peak is not None and one.peak >= points * 100 and (one.start is None or one.start < points * 100)
            for one in courses
        )

    found = backtest([], courses, NOON, NOON + 14 * DAY, 1000, per_week).to_json()
    assert found["leads_per_week"] == round(arrivals(10) / 2, 1)
    allowed = per_week * 2
    fitting = next(t for t in range(40) if all(arrivals(higher) <= allowed for higher in range(t, 40)))
    top = max([-(-one.peak // 100) for one in courses if one.peak is not None] + [0]) + 1
    assert found["for_volume"]["threshold"] == min(fitting, max(top, 0))


def test_consent_that_came_later_counts_in_a_course_and_not_in_what_was_known() -> None:
    asking = compiled(
        engagement={"rules": [{"id": "r", "activity": "page_viewed", "points": 1}]}, consent={"profiling": "required"}
    )
    viewed, agreed = act("page_viewed"), act("form_submitted", NOON + 2 * DAY)
    agreed.consent = {"profiling": True, "at": to_rfc3339(NOON)}
    assert course_of(asking, [viewed, agreed], NOON + DAY) == Course(100, 100)
    assert score_before(asking, [viewed, agreed], NOON + DAY) == 0


def past_is_the_oracles(tree: dict[str, Any], acts: list[oracle.Act], step: int, entered: list[oracle.Entry]) -> None:
    """The score before an instant by what was known then; the course after it by what is known in the end."""
    at, stored = START + timedelta(hours=3 * step), strategies.to_entries(entered)
    model = compiled(**{name: part for name, part in tree.items() if name != "model"})
    ordered = sorted(map(strategies.to_activity, acts), key=lambda one: one.order)
    before = at - timedelta(microseconds=1)

    def cents(model: dict[str, Any], known: list[oracle.Act], instant: datetime) -> int | None:
        answer = oracle.score(model, known, instant, entries=entered)
        return None if answer.score is None else int(answer.score * 100)

    assert score_before(model, ordered, at, stored) == cents(tree, [one for one in acts if one.at < at], before)
    lead = oracle.judged(tree, acts, START + timedelta(days=1000))
    final, plain = (
        [one if one in lead.seen else replace(one, verdict="scan") for one in lead.acts],
        tree | {"consent": {}},
    )
    course = course_of(model, ordered, at, stored)
    peaks = [
        score
        for place, act in enumerate(final)
        if act.at >= at and (score := cents(plain, final[: place + 1], act.at)) is not None
    ]
    assert course.peak == max(peaks, default=None)
    had = [one for one in final if one.at < at]
    assert course.start == (cents(plain, had, before) if had else None)


@few()
@given(strategies.models(), strategies.leads(), st.integers(0, 480), strategies.entries())
def test_past_scores_are_the_oracles(
    tree: dict[str, Any], acts: list[oracle.Act], step: int, entered: list[oracle.Entry]
) -> None:
    past_is_the_oracles(tree, acts, step, entered)


@pytest.mark.long
@many()
@given(strategies.models(), strategies.leads(), st.integers(0, 480), strategies.entries())
def test_past_scores_are_the_oracles_at_length(
    tree: dict[str, Any], acts: list[oracle.Act], step: int, entered: list[oracle.Entry]
) -> None:
    past_is_the_oracles(tree, acts, step, entered)
