"""The worked examples of the specification, by number, and its model in full."""

from datetime import UTC, datetime, timedelta

import pytest

from services.scoring.core.compile import compile_model
from services.scoring.core.engine import fold_all
from services.scoring.core.loader import load_model
from tests.unit.scoring.core.builders import DAY, NOON, act, compiled, lines, one_rule, points

STANDARD = """
model: b2b-standard
timezone: Asia/Tokyo
daily_max: 20
watch: [45, 50]
engagement:
  min: 0
  max: 100
  groups:
    content: {max: 40}
  rules:
    - {id: document-downloaded, activity: document_downloaded, points: 5, repeat: once_per_object}
    - id: seminar-attended
      activity: [seminar_attended, webinar_attended]
      points: 10
      repeat: every
      decay: {half_life: 60d}
    - id: pricing-page
      activity: page_viewed
      all: [{field: properties.url, contains: /pricing}]
      points: 3
      repeat: {max: 3, per: 7d}
      decay: {window: 30d}
      group: content
    - id: came-back
      activity: page_viewed
      cells: [{at_least: 5, within: 7d, points: 10}, {at_least: 2, within: 14d, points: 5}]
    - {id: unsubscribed, activity: email_unsubscribed, points: -15}
fit:
  rules:
    - id: section-manager-or-above
      any:
        - {field: attributes.job_title, matches: "(課長|部長|本部長|役員|社長)"}
        - {field: attributes.job_title, contains: manager}
      points: 10
    - {id: target-industry, all: [{field: attributes.industry, in: [製造業, 建設業]}], points: 10}
grade: {A: 75, B: 50, C: 25, D: 0}
level: {1: 75, 2: 50, 3: 25, 4: 0}
stages:
  - {id: awareness, name: {ja: 認知・興味喚起, en: Awareness}}
  - {id: research, any: [{did: document_downloaded}, {did: page_viewed, at_least: 3, within: 30d}]}
  - {id: comparison, any: [{did: webinar_attended}, {field: score.engagement, gte: 30}]}
exclude: [{field: identity.email_domain, in: [own.example]}]
"""


def test_example_1_downloads_a_seminar_and_the_right_person() -> None:
    model = compile_model(load_model(STANDARD))
    person = {"job_title": "製造部 課長", "industry": "製造業"}
    activities = [
        act("document_downloaded", NOON - 3 * DAY, document="d1", attributes=person),
        act("document_downloaded", NOON - 2 * DAY, document="d2"),
        act("document_downloaded", NOON - DAY, document="d1"),
        act("seminar_attended", NOON - 60 * DAY),
    ]
    got = fold_all(model, activities, NOON).to_json()
    assert (got["engagement"], got["fit"], got["score"]) == (15.0, 20.0, 35.0)
    assert (got["grade"], got["level"], got["cell"], got["stage"]) == ("D", "4", "D4", "research")
    assert got["reasons"] == [
        {"rule": "document-downloaded", "points": 10.0, "count": 2},
        {"rule": "seminar-attended", "points": 5.0, "count": 1},
        {"rule": "section-manager-or-above", "points": 10.0, "count": 1},
        {"rule": "target-industry", "points": 10.0, "count": 1},
    ]


def test_example_2_pricing_page_thrice_in_seven_days() -> None:
    model = compile_model(load_model(STANDARD))
    views = [act("page_viewed", NOON + day * DAY, url=f"/pricing?d={day}") for day in (0, 1, 2, 3, 8)]
    reasons = fold_all(model, views, NOON + 9 * DAY).reasons
    assert [(one.points, one.entries) for one in reasons if one.rule == "pricing-page"] == [(1200, 4)]


@pytest.mark.parametrize(
    ("curve", "expected"), [("linear", [15.0, 10.0, 5.0, 0.0]), ("compound", [15.0, 11.25, 8.44, 6.33])]
)
def test_example_3_step_decay_by_months(curve: str, expected: list[float]) -> None:
    model = one_rule(points=20, decay={"step": "25%", "every": "1mo", "curve": curve})
    start = datetime(2026, 1, 15, 9, tzinfo=UTC)
    after = [start.replace(month=month) for month in (2, 3, 4, 5)]
    assert [points(model, [act("page_viewed", start)], at) for at in after] == expected
    assert points(model, [act("page_viewed", start)], after[0] - timedelta(microseconds=1)) == 20.0


def test_example_5_two_leads_become_one() -> None:
    model = compiled(
        engagement={
            "rules": [
                {"id": "download", "activity": "document_downloaded", "points": 5},
                {"id": "webinar", "activity": "webinar_attended", "points": 25},
            ]
        }
    )
    one = [act("document_downloaded", document="d1"), act("webinar_attended", event="w1")]
    other = [act("document_downloaded", NOON + DAY, document="d1"), act("webinar_attended", NOON + DAY, event="w2")]
    at = NOON + 2 * DAY
    assert (points(model, one, at), points(model, other, at), points(model, one + other, at)) == (30, 30, 55)


def test_example_6_a_group_has_its_maximum() -> None:
    rules = [
        {"id": "a", "activity": "page_viewed", "points": 30, "group": "content"},
        {"id": "b", "activity": "page_viewed", "points": 25, "group": "content"},
    ]
    model = compiled(engagement={"groups": {"content": {"max": 40}}, "rules": rules})
    got = fold_all(model, [act("page_viewed")], NOON)
    assert lines(got) == {"a": 30, "b": 25, "cap:content": -15}
    assert got.score == 4000
