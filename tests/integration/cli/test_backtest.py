"""`kizashi backtest` on files alone: what it prints, against the oracle."""

import json
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from deploy.cli.backtest import app
from shared.documents import read_document
from tests.oracle import scoring as oracle

MODEL = """
model: m
watch: [20]
engagement:
  rules:
    - {id: download, activity: document_downloaded, points: 5}
    - {id: seminar, activity: seminar_attended, points: 10, repeat: every, decay: {half_life: 30d}}
"""
START = datetime(2026, 1, 1, tzinfo=UTC)


def history(seed: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    dice = random.Random(seed)
    activities = [
        {
            "id": f"a{number}",
            "type": dice.choice(["document_downloaded", "seminar_attended"]),
            "occurred_at": (START + timedelta(minutes=dice.randrange(200 * 1440))).isoformat(),
            "lead": {"email": f"p{dice.randrange(120)}@example.com"},
            "properties": {"document": f"d{dice.randrange(4)}"},
        }
        for number in range(700)
    ]
    outcomes = [
        {
            "lead": f"P{number}@example.com",
            "outcome": dice.choice(["converted", "lost", "rejected"]),
            "at": (START + timedelta(days=20 + dice.random() * 180)).isoformat(),
        }
        for number in range(100)
    ]
    return activities, outcomes


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    activities, outcomes = history(3)
    (tmp_path / "model.yaml").write_text(MODEL, encoding="utf-8")
    for name, lines in (("activities", activities), ("outcomes", outcomes)):
        (tmp_path / f"{name}.ndjson").write_bytes(b"\n".join(map(orjson.dumps, lines)))
    return [
        "--model", str(tmp_path / "model.yaml"), "--activities", str(tmp_path / "activities.ndjson"),
        "--outcomes", str(tmp_path / "outcomes.ndjson"),
    ]  # fmt: skip


def expected(split: float) -> dict[str, tuple[int, int]]:
    """Precision and recall at 20 points, worked out by the oracle."""
    activities, outcomes = history(3)
    acts = defaultdict(list)
    for raw in activities:
        at = datetime.fromisoformat(raw["occurred_at"])
        acts[raw["lead"]["email"]].append(oracle.Act(raw["id"], "api", raw["type"], at, raw["properties"]))
    known = sorted(
        (datetime.fromisoformat(one["at"]), one["lead"].lower(), one["outcome"] == "converted")
        for one in outcomes
        if one["lead"].lower() in acts
    )
    later = known[int(len(known) * split) :]
    hot = []
    for at, lead, converted in later:
        before = [act for act in acts[lead] if act.at < at]
        score = oracle.score(read_document(MODEL).tree, before, at - timedelta(microseconds=1)).score or 0
        hot.append((score >= 20, converted))
    hits = sum(is_hot and converted for is_hot, converted in hot)
    return {
        "precision": (hits, sum(is_hot for is_hot, _ in hot)),
        "recall": (hits, sum(converted for _, converted in hot)),
    }


@pytest.mark.parametrize("split", [0.0, 0.5])
def test_the_figures_are_the_oracles(files: list[str], split: float) -> None:
    result = CliRunner().invoke(app, [*files, "--split", str(split), "--per-week", "3", "--json"])
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    judged = found["judged"]
    for name, (hits, of) in expected(split).items():
        assert (judged[name]["hits"], judged[name]["of"]) == (hits, of)
    assert found["threshold"] == 20
    assert found["for_volume"]["leads_per_week"] == 3


def test_it_reads_as_text_and_says_too_few(files: list[str]) -> None:
    result = CliRunner().invoke(app, [*files, "--split", "0.9"])
    assert result.exit_code == 0
    assert "Judged on later leads: 10" in result.stdout
    assert "too few" in result.stdout


def test_faulty_outcomes_are_named_and_wrong_use_is_2(files: list[str], tmp_path: Path) -> None:
    (tmp_path / "outcomes.ndjson").write_text('{"lead": "a@example.com", "outcome": "won", "at": "2026"}\n')
    result = CliRunner().invoke(app, files)
    assert result.exit_code == 1
    assert "outcomes.ndjson:1: /outcome" in result.stderr
    assert CliRunner().invoke(app, files[:4]).exit_code == 2
    assert CliRunner().invoke(app, [*files, "--before", "soon"]).exit_code == 2
