"""What the commands share: the data folder's option."""

import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from deploy.cli import doctor, down, keys, status, up, webhook
from deploy.cli.common import write_file


@pytest.mark.parametrize(
    ("module", "arguments"), [(up, []), (down, []), (status, []), (doctor, []), (keys, ["list"])], ids=lambda _: ""
)
@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_data_folder_is_wrong_use(
    module: object, arguments: list[str], empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner(env={"COLUMNS": "200"}).invoke(module.app, [*arguments, "--data-dir", empty])  # type: ignore[attr-defined]
    assert result.exit_code == 2
    assert "not an empty text" in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        write_file(tmp_path / "none" / "x.csv", b"")
    assert re.search(r"none/x\.csv: cannot be written \(No such file", capsys.readouterr().err)


def test_a_key_that_no_header_can_carry_is_wrong_use() -> None:
    result = CliRunner().invoke(webhook.app, ["listen", "a", "--url", "http://127.0.0.1:9", "--key", "ключ"])
    assert result.exit_code == 2
    assert "ASCII" in result.stderr
