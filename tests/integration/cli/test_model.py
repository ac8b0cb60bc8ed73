"""`kizashi model` on real files: what it prints and how it ends."""

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from deploy.cli.model import app

FAULTY = """model: m
timezone: Asia/Tokio
engagement:
  rules:
    - {id: a, activity: x, points: 1, group: nope, decay: {half_life: -3d}}
    - {id: a, activity: x, points: 1e30}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "model.yaml"


def test_every_fault_is_named_with_its_line(file: Path) -> None:
    file.write_text(FAULTY, encoding="utf-8")
    result = CliRunner().invoke(app, ["check", str(file)])
    assert result.exit_code == 1
    places = [line.removeprefix(f"{file}:").split(": ")[:2] for line in result.stderr.splitlines()]
    assert places == [
        ["2", "timezone"],
        ["5", "engagement.rules[0].group"],
        ["5", "engagement.rules[0].decay.half_life"],
        ["6", "engagement.rules[1].id"],
        ["6", "engagement.rules[1].points"],
    ]
    as_json = orjson.loads(CliRunner().invoke(app, ["check", str(file), "--json"]).stdout)
    assert (as_json["valid"], len(as_json["faults"])) == (False, 5)


def test_doubts_do_not_fail(file: Path) -> None:
    file.write_text("model: m\nexclude: [{field: score.total, exists: true}]\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["check", str(file)])
    assert result.exit_code == 0
    assert f"{file}:2: exclude: every lead is excluded" in result.stdout


def test_the_shipped_model_is_explained_in_both_languages() -> None:
    shipped = str(Path("config/scoring.yaml"))
    english = CliRunner().invoke(app, ["explain", shipped])
    japanese = CliRunner().invoke(app, ["explain", shipped, "--lang", "ja"])
    assert "document-downloaded: Each document download gives 5 points, once for the same thing." in english.stdout
    assert "document-downloaded: 「資料ダウンロード」1件につき5点加点します（同じ対象は1回だけ）。" in japanese.stdout
    assert len(english.stdout.splitlines()) == len(japanese.stdout.splitlines())


def test_wrong_use_ends_with_2_and_a_missing_file_with_1(file: Path) -> None:
    file.write_text("model: m\n", encoding="utf-8")
    assert CliRunner().invoke(app, ["explain", str(file), "--lang", "fr"]).exit_code == 2
    assert CliRunner().invoke(app, ["check", str(file) + ".none"]).exit_code == 1
