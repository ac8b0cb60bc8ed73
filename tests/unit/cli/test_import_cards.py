"""`kizashi import --dry-run`: what happens to the files that are named."""

import os
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli.import_cards import app

LIST = "会社名,氏名,メールアドレス\nサンプル,山田 太郎,taro@example.co.jp\n".encode()


def dry_run(*arguments: str) -> tuple[int, str]:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["--dry-run", "--occurred-at", "2026-11-20", *arguments])
    return result.exit_code, result.stdout + result.stderr


@pytest.fixture
def cards(tmp_path: Path) -> Path:
    path = tmp_path / "cards.csv"
    path.write_bytes(LIST)
    return path


def test_the_report_never_takes_the_place_of_the_list(cards: Path) -> None:
    other = cards.with_name("link.csv")
    other.symlink_to(cards)
    for report in (cards, other):
        code, said = dry_run(str(cards), "--report", str(report))
        assert code == 2
        assert "is the list itself" in said
    assert cards.read_bytes() == LIST


def test_a_report_replaces_an_older_one_only_when_it_is_whole(cards: Path) -> None:
    report = cards.with_name("report.csv")
    report.write_text("older", encoding="utf-8")
    empty = cards.with_name("empty.csv")
    empty.touch()
    assert dry_run(str(empty), "--report", str(report))[0] == 1
    assert report.read_text(encoding="utf-8") == "older"
    assert dry_run(str(cards), "--report", str(report))[0] == 0
    assert "taro@example.co.jp" in report.read_text(encoding="utf-8")
    assert {item.name for item in cards.parent.iterdir()} == {"cards.csv", "empty.csv", "report.csv"}


def test_a_report_that_is_a_device_stays_one(cards: Path) -> None:
    assert dry_run(str(cards), "--report", "/dev/null")[0] == 0
    assert Path("/dev/null").is_char_device()


def test_a_list_may_come_through_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(LIST,))
    writer.start()
    code, said = dry_run(str(pipe))
    writer.join()
    assert code == 0
    assert "1 records: 1 accepted" in said


def test_a_key_beyond_ascii_is_wrong_use(cards: Path) -> None:
    result = CliRunner().invoke(app, [str(cards), "--url", "http://127.0.0.1:9", "--key", "ключ"])
    assert result.exit_code == 2
    assert "ASCII" in result.stderr
