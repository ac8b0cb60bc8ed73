"""The answer of an explanation, as JSON and as text, on the example of the guide."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson

from deploy.cli.explanation_text import lines_of
from services.scoring.core.difference import difference
from services.scoring.core.explain import explain
from services.scoring.core.knowledge import Recorded
from services.scoring.core.lead import LiveModel
from services.scoring.explaining import Explained, Question
from services.scoring.explanation_views import ExplanationView
from services.scoring.explanations import explanation_out
from services.scoring.model_history import InForce
from shared.activity import Activity
from tests.unit.scoring.core.builders import DAY, NOON, act, compiled

GUIDES = [Path(__file__).parents[3] / "docs" / name for name in ("explanation.md", "explanation.ja.md")]
EXAMPLE = Path(__file__).parents[3] / "services" / "scoring" / "explanation_example.json"
MODEL: dict[str, Any] = {
    "engagement": {
        "groups": {"content": {"max": 8}},
        "rules": [
            {"id": "document-downloaded", "activity": "document_downloaded", "points": 5, "group": "content"},
            {
                "id": "seminar-attended",
                "activity": "seminar_attended",
                "points": 10,
                "repeat": "every",
                "decay": {"half_life": "60d"},
            },
            {
                "id": "pricing-page",
                "activity": "page_viewed",
                "all": [{"field": "properties.url", "contains": "/pricing"}],
                "points": 3,
                "repeat": {"max": 2, "per": "7d"},
                "decay": {"window": "30d"},
            },
            {"id": "came-back", "activity": "page_viewed", "cells": [{"at_least": 3, "within": "7d", "points": 4}]},
        ],
    },
    "fit": {
        "rules": [
            {
                "id": "section-manager-or-above",
                "any": [{"field": "attributes.job_title", "contains": "課長"}],
                "points": 10,
            },
            {"id": "target-industry", "all": [{"field": "attributes.industry", "in": ["製造業"]}], "points": 10},
        ]
    },
}


def lead() -> list[Activity]:
    """Two documents, one of them twice, a seminar sixty days ago, the prices three times, and a scanner's visit."""
    page = "https://www.example.co.jp/pricing"
    return [
        act("seminar_attended", NOON - 60 * DAY, id="s1", event="seminar-09", attributes={"job_title": "製造部 課長"}),
        act("document_downloaded", NOON - 9 * DAY, id="d1", document="price-list"),
        act("document_downloaded", NOON - 8 * DAY, id="d2", document="case-study"),
        act("document_downloaded", NOON - 7 * DAY, id="d3", document="price-list"),
        *(act("page_viewed", NOON - timedelta(hours=hours), id=f"p{hours}", url=page) for hours in (50, 26, 3)),
        act("page_viewed", NOON - DAY, id="x1", url=page, flags=("scan",)),
    ]


def answer() -> dict[str, Any]:
    """As the API gives it."""
    model = compiled(**MODEL)
    in_force = InForce(LiveModel("b2b-standard", 3, model), NOON - 90 * DAY)
    since = NOON - 7 * DAY
    activities = lead()
    stored = [Recorded(one, one.occurred_at + timedelta(seconds=2)) for one in activities]
    after = explain(model, activities, NOON)
    asked = Question("6f1d9c52-0f0c-8f4e-b1f3-2b6f5d0c7e21", NOON, "b2b-standard", since=since)
    found = difference(explain(model, activities, since), after)
    explained = Explained(asked.lead_id, asked, in_force, after, len(activities), stored, in_force, found)
    body: dict[str, Any] = orjson.loads(orjson.dumps(explanation_out(explained, 1_000)))
    return body


def test_the_answer_is_as_documented() -> None:
    body = answer()
    view = ExplanationView.model_validate(body)
    assert body.keys() == ExplanationView.model_fields.keys()
    assert view.rules[0].model_fields_set == view.rules[0].__class__.model_fields.keys()
    assert body["score"] == 33.0


def test_every_step_of_the_answer_adds_up() -> None:
    body = answer()
    rules = {rule["rule"]: rule for rule in body["rules"]}
    assert {name: rule["points"] for name, rule in rules.items()} == {
        "document-downloaded": 10,
        "seminar-attended": 5,
        "pricing-page": 6,
        "came-back": 4,
    }
    (group,) = body["groups"]
    assert (group["raw"], group["clamp"], group["points"]) == (10, -2, 8)
    assert (body["engagement_sum"]["points"], body["fit_sum"]["points"]) == (23, 10)
    assert [one["policy"] for one in rules["pricing-page"]["denied"]] == ["verdict", "max"]
    assert [one["verdict"] for one in rules["came-back"]["denied"]] == ["scan"]


def test_the_guides_show_what_the_command_prints() -> None:
    text = "\n".join(line.rstrip() for line in lines_of(answer(), "taro.yamada@example.co.jp"))
    for guide in GUIDES:
        assert text in guide.read_text(encoding="utf-8"), f"{guide.name} should show:\n{text}"


def test_the_documents_example_is_this_answer() -> None:
    assert orjson.loads(EXAMPLE.read_bytes()) == answer()
