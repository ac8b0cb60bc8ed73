"""`kizashi up`: which folders it takes, and what its box tells to paste."""

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli import up
from deploy.local.paths import DataFolder
from deploy.local.state import Addresses
from shared.clock import system_clock
from shared.errors import KizashiError
from shared.keys import create_key

ADDRESSES = Addresses({}, "", "")


def test_what_the_box_says_can_be_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = Path("da ta;$(x)")
    data = DataFolder.at(given)
    whole = str(tmp_path / "da ta;$(x)")
    stop = up._down(given, data)
    assert shlex.split(stop) == ["kizashi", "down", "--data-dir", whole]
    rows = dict(up.box_rows(ADDRESSES, data, stop))
    assert shlex.split(rows["start over"].partition("then ")[2]) == ["rm", "-r", whole]


def test_the_usual_folder_needs_no_option() -> None:
    assert up._down(Path(".kizashi"), DataFolder.at(Path(".kizashi"))) == "kizashi down"


def test_a_folder_of_other_things_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    result = CliRunner().invoke(up.app, ["--data-dir", str(tmp_path)])
    assert result.exit_code == 2
    assert "it holds thesis.txt" in result.stderr
    assert [item.name for item in tmp_path.iterdir()] == ["thesis.txt"]


def test_folders_made_before_the_first_start_are_taken(tmp_path: Path) -> None:
    data = DataFolder.at(tmp_path / "data")
    assert data.foreign() == []
    create_key(data.key_store, "a", ["admin"], system_clock())
    assert data.foreign() == []
    assert not data.was_used
    data.key_store.with_name("keys.json.new").touch()
    data.create()
    assert data.foreign() == []
    assert data.was_used


def test_a_folder_that_a_stack_ran_on_may_hold_more(tmp_path: Path) -> None:
    data = DataFolder.at(tmp_path)
    data.create()
    (tmp_path / "notes.txt").touch()
    assert data.foreign() == ["notes.txt"]
    data.lock.touch()
    assert data.foreign() == []


def test_a_file_in_the_way_of_the_folder_is_said(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    result = CliRunner().invoke(up.app, ["--detach", "--data-dir", str(path)])
    assert isinstance(result.exception, KizashiError)
    assert "a file is in the way" in str(result.exception)
