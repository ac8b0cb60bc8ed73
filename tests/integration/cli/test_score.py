"""`kizashi score` on real files: what it prints and how it ends."""

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from deploy.cli.score import app

MODEL = "model: m\nengagement:\n  rules: [{id: viewed, activity: page_viewed, points: 1.5, repeat: every}]\n"
LINE = {
    "id": "1",
    "type": "page_viewed",
    "occurred_at": "2026-11-01T09:00:00+09:00",
    "lead": {"email": "a@example.com"},
}


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    model, activities = tmp_path / "model.yaml", tmp_path / "activities.ndjson"
    model.write_text(MODEL, encoding="utf-8")
    activities.write_bytes(orjson.dumps(LINE) + b"\n" + orjson.dumps(LINE | {"id": "2"}) + b"\n")
    return ["--model", str(model), "--activities", str(activities)]


def test_one_json_object_per_lead(files: list[str]) -> None:
    result = CliRunner().invoke(app, [*files, "--at", "2026-11-02T00:00:00Z", "--json"])
    assert result.exit_code == 0
    (line,) = map(orjson.loads, result.stdout.splitlines())
    assert (line["lead"], line["score"]) == ("a@example.com", 3.0)
    assert line["reasons"] == [{"rule": "viewed", "points": 3.0, "count": 2}]


def test_a_table_without_json(files: list[str]) -> None:
    result = CliRunner().invoke(app, files)
    assert result.exit_code == 0
    assert "3.00" in result.stdout


def test_faulty_input_ends_with_1_and_its_place(files: list[str], tmp_path: Path) -> None:
    (tmp_path / "activities.ndjson").write_text("{\n", encoding="utf-8")
    result = CliRunner().invoke(app, files)
    assert result.exit_code == 1
    assert "activities.ndjson:1: broken JSON" in result.stderr
    (tmp_path / "model.yaml").write_text("model: m\nwach: []\n", encoding="utf-8")
    result = CliRunner().invoke(app, files)
    assert result.exit_code == 1
    assert "model.yaml:2: wach: unknown key" in result.stderr


@pytest.mark.parametrize("wrong", [["--at", "yesterday"], ["--model", "/nowhere.yaml"], ["--nope"]])
def test_wrong_use_ends_with_2(files: list[str], wrong: list[str]) -> None:
    assert CliRunner().invoke(app, [*files, *wrong]).exit_code == 2
