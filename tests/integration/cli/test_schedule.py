"""`kizashi schedule` on a configuration folder."""

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from deploy.cli.schedule import app

FILE = """
queues: {inside-sales: {}}
rules:
  - {id: hot, enter: 50, to: inside-sales, when: immediately}
  - {id: weekly, enter: 50, to: inside-sales, when: {every: "FRI 09:00", timezone: Asia/Tokyo, country: JP,
     holidays: ["2026-12-29"], if_holiday: previous_business_day, missed: run_once}}
  - {id: early, enter: 80, to: inside-sales, when: {every: "MON-FRI 07:00", timezone: UTC}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "handoff.yaml").write_text(FILE, encoding="utf-8")
    return tmp_path


def test_runs_of_all_rules_in_order_of_time(folder: Path) -> None:
    span = ["--from", "2026-12-31T00:00:00+09:00", "--to", "2027-01-02T00:00:00+09:00"]
    done = CliRunner().invoke(app, ["--config-dir", str(folder), *span, "--json"])
    assert done.exit_code == 0, done.output
    assert [orjson.loads(line) for line in done.stdout.splitlines()] == [
        {"rule": "weekly", "at": "2026-12-31T09:00:00+09:00", "key": "weekly/2027-01-01T09:00"},
        {"rule": "early", "at": "2026-12-31T07:00:00+00:00", "key": "early/2026-12-31T07:00"},
        {"rule": "early", "at": "2027-01-01T07:00:00+00:00", "key": "early/2027-01-01T07:00"},
    ]


def test_wrong_use_and_faulty_files(folder: Path) -> None:
    options = ["--config-dir", str(folder)]
    assert CliRunner().invoke(app, [*options, "--from", "tomorrow"]).exit_code == 2
    back = ["--from", "2026-12-31T00:00:00Z", "--to", "2026-12-30T00:00:00Z"]
    assert CliRunner().invoke(app, [*options, *back]).exit_code == 2
    for ends in (["--from", "0001-01-01T00:00:00Z"], ["--to", "9999-12-31T23:59:59Z"]):
        done = CliRunner().invoke(app, [*options, *ends])
        assert done.exit_code == 2
        assert "expected an instant between" in done.output
    (folder / "handoff.yaml").write_text(FILE.replace("FRI 09:00", "FRI 9"), encoding="utf-8")
    done = CliRunner().invoke(app, options)
    assert done.exit_code == 1
    assert "handoff.yaml:5: rules[1].when.every" in str(done.exception)
