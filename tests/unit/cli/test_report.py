"""`kizashi report`: where its table goes."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from deploy.cli import report


@pytest.fixture(autouse=True)
def _answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "stack_addresses", lambda _: None)
    monkeypatch.setattr(report, "ask", lambda *_: SimpleNamespace(content=b"rule\r\n"))


def test_the_table_is_written(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    assert CliRunner().invoke(report.app, ["handoffs", "--csv", str(path)]).exit_code == 0
    assert path.read_bytes() == b"rule\r\n"


def test_a_table_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(report.app, ["handoffs", "--csv", str(tmp_path / "none" / "x.csv")])
    assert result.exit_code == 1
    assert "x.csv: cannot be written (No such file or directory)" in result.stderr
