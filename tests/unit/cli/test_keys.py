"""`kizashi keys` on folders that no stack has used, and on such as cannot be written."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deploy.cli.keys import app
from deploy.local.paths import DataFolder
from shared.errors import KizashiError


def keys(*arguments: str, data_dir: Path) -> Result:
    return CliRunner().invoke(app, [*arguments, "--data-dir", str(data_dir)])


def test_a_folder_that_no_stack_has_used_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KIZASHI_KEY_STORE", raising=False)
    made = keys("create", "a", "admin", data_dir=tmp_path / "mistyped")
    assert made.exit_code == 0
    assert made.stdout.startswith("kz_")
    assert f"no stack has used {tmp_path / 'mistyped'} yet" in made.stderr
    DataFolder.at(tmp_path / "used").create()
    assert "no stack has used" not in keys("create", "a", "admin", data_dir=tmp_path / "used").stderr


@pytest.mark.parametrize(
    "arguments", [("list",), ("revoke", "a"), ("expire", "a"), ("rotate", "a")], ids=lambda given: given[0]
)
def test_what_needs_a_key_makes_nothing(arguments: tuple[str, ...], tmp_path: Path) -> None:
    result = keys(*arguments, data_dir=tmp_path / "mistyped")
    assert result.exit_code == (0 if arguments == ("list",) else 1)
    assert not list(tmp_path.iterdir())


def test_a_file_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = keys("create", "a", "admin", data_dir=tmp_path / "file")
    assert isinstance(result.exception, KizashiError)
    assert "cannot write the key file" in str(result.exception)
