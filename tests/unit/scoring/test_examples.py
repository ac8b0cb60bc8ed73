"""The shipped models: what they come to is worked out three times, by hand, by the engine and by the oracle."""

import json
from collections import defaultdict
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from services.scoring.offline import read_file, score_texts
from shared.documents import read_document
from tests.oracle import scoring as oracle

FOLDER = Path(__file__).parents[3] / "config" / "examples"
AT = datetime.fromisoformat("2026-10-01T10:00:00+09:00")
NAMES = sorted(path.parent.name for path in FOLDER.glob("*/model.yaml"))
# By hand. minimal: two documents of 5, four seminars of 10. b2b-saas: a white paper 45 days old is half of 5, two views
# of the prices 4 each, the trial 20, one feature 2, one colleague 5; 15 + 15 for who it is. manufacturing: after two
# whole months half of 10 and half of 6, 10 for the talk, half of 10 after 90 days, 20 for the quote; 10 + 10.
BY_HAND = {
    "minimal": {"sato@example.co.jp": 50.0, "suzuki@example.co.jp": 15.0},
    "b2b-saas": {
        "ito@saas.example": 2.5 + 8 + 20 + 2 + 5 + 30,
        "kato@saas.example": -20.0,
        "spy@competitor.example": None,
    },
    "manufacturing": {"mori@machine.example": 5 + 3 + 10 + 5 + 20 + 20.0, "ono@trading.example": 2 - 5.0},
}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def acts_by_lead(folder: Path) -> dict[str, list[oracle.Act]]:
    found = defaultdict(list)
    for raw in lines(folder / "activities.ndjson"):
        act = oracle.Act(
            raw["id"], "api", raw["type"], datetime.fromisoformat(raw["occurred_at"]), raw.get("properties", {}),
            raw.get("attributes", {}), raw["lead"]["email"],
        )  # fmt: skip
        found[act.email or ""].append(act)
    return dict(found)


@pytest.mark.parametrize("name", NAMES)
def test_the_engine_gives_what_the_example_says(name: str) -> None:
    folder = FOLDER / name
    scored = score_texts(read_file(folder / "model.yaml"), read_file(folder / "activities.ndjson"), None, AT)
    assert [json.loads(one.to_json()) for one in scored] == lines(folder / "expected.ndjson")
    assert {one.lead: one.evaluation.to_json()["score"] for one in scored} == BY_HAND[name]


@pytest.mark.parametrize("name", NAMES)
def test_the_oracle_gives_the_same(name: str) -> None:
    model = read_document((FOLDER / name / "model.yaml").read_text(encoding="utf-8")).tree
    acts = acts_by_lead(FOLDER / name)
    for expected in lines(FOLDER / name / "expected.ndjson"):
        answer = oracle.score(model, acts[expected["lead"]], AT)
        shown = None if answer.score is None else float(answer.score)
        assert (shown, answer.grade, answer.level, answer.stage) == (
            expected["score"], expected["grade"], expected["level"], expected["stage"]
        )  # fmt: skip
        given = {rule: (points, count) for rule, points, count in answer.reasons}
        assert {
            reason["rule"]: (Fraction(str(reason["points"])), reason["count"]) for reason in expected["reasons"]
        } == given
