"""A list of business cards, from the command to the score; a second time nothing changes; history hands nobody over."""

import json
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

from deploy.local.paths import ROOT
from tests.e2e.client import Client, kizashi, wait_for
from tests.e2e.test_pipeline import make_hot

HEADER = "会社名,部署名,役職,氏名,e-mail,携帯電話,名刺交換日"


def write(folder: Path, *rows: str) -> Path:
    path = folder / "cards.csv"
    path.write_bytes("\r\n".join([HEADER, *rows, ""]).encode("cp932"))
    return path


def told(client: Client, path: Path, *options: str) -> list[dict[str, Any]]:
    done = kizashi(client.stack, "import", str(path), "--json", *options)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


def scored(client: Client, email: str, score: float) -> dict[str, Any]:
    """The lead of an address, once it has that score."""
    return wait_for(lambda: (found := client.lead(email)) and found["score"] == score and found)


def activities_of(client: Client, lead_id: str) -> list[dict[str, Any]]:
    answer = client.http.get(client.url("scoring", f"/v1/leads/{lead_id}/activities"))
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_a_cp932_list_becomes_scores_and_a_second_time_nothing_changes(client: Client, tmp_path: Path) -> None:
    mark = uuid.uuid4().hex[:8]
    email = f"taro.{mark}@example.co.jp"
    path = write(
        tmp_path,
        f"㈱サンプル,製造部,課長,山田　太郎 様,{email},,令和8年5月27日",
        ",,,,,,",
        "サンプル,,,,,,",
        f"サンプル,,部長,佐藤 {mark},info@example.co.jp,,2026/05/27",
    )
    *records, last = told(client, path, "--event", "秋の展示会", "--consent", "email")
    assert [record["status"] for record in records] == ["accepted", "empty", "refused", "accepted"]
    assert last["summary"]["accepted"] == 2
    lead = scored(client, email, 13)
    assert {reason["rule"]: reason["points"] for reason in lead["reasons"]} == {
        "card-exchanged": 3,
        "section-manager-or-above": 10,
    }
    assert (lead["attributes"]["name"], lead["attributes"]["company"]) == ("山田 太郎", "株式会社サンプル")
    again = told(client, path, "--event", "秋の展示会", "--consent", "email")
    assert [record.get("activity", {}).get("id") for record in again[:-1]] == [
        record.get("activity", {}).get("id") for record in records
    ]
    # Behind the repeated card in the same partition: once it is counted, so would the card be.
    client.post({"id": f"{mark}-1", "type": "document_downloaded", "lead": {"email": email}})
    after = scored(client, email, 18)
    activities = activities_of(client, after["id"])
    assert sorted(item["type"] for item in activities) == ["card_exchanged", "document_downloaded"]
    assert next(item for item in activities if item["type"] == "card_exchanged")["properties"]["event"] == "秋の展示会"


def test_silent_lists_are_scored_and_hand_nobody_over(client: Client, tmp_path: Path) -> None:
    mark = uuid.uuid4().hex[:8]
    emails = [f"{name}.{mark}@example.co.jp" for name in ("quiet", "loud")]
    for email, options in zip(emails, (("--silent",), ()), strict=True):
        rows = [f"サンプル,,,{email},{email},,2026/05/{day:02}" for day in range(1, 6)]
        told(client, write(tmp_path, *rows), "--activity", "seminar_attended", *options)
    quiet, loud = (scored(client, email, 50) for email in emails)
    assert len(wait_for(lambda: client.handoffs(loud["id"]))) == 1
    # A live activity of the quiet lead, then another lead's whole way: by then the quiet one was judged twice.
    client.post({"id": f"{mark}-2", "type": "document_downloaded", "lead": {"email": emails[0]}})
    scored(client, emails[0], 55)
    make_hot(client, f"third.{mark}@example.co.jp")
    assert client.handoffs(quiet["id"]) == []


def test_a_dry_run_needs_no_stack_and_a_list_that_is_none_fails(tmp_path: Path, client: Client) -> None:
    path = write(tmp_path, "サンプル,,,山田,taro@example.co.jp,,")
    report = tmp_path / "report.csv"
    *_, last = told(client, path, "--dry-run", "--report", str(report), "--encoding", "cp932")
    assert last["summary"]["dry_run"]
    assert "山田" in report.read_bytes().decode("cp932")
    path.write_text("nothing,known\n", encoding="utf-8")
    for options in (("--dry-run",), ()):
        failed = kizashi(client.stack, "import", str(path), *options)
        assert (failed.returncode, b"no_header" in failed.stderr) == (1, True)
    assert kizashi(client.stack, "import", str(path), "--consent", "fax").returncode == 2


def blocks(language: str, name: str) -> list[str]:
    return re.findall(rf"```{name}\n(.*?)```", (ROOT / "docs" / f"import{language}.md").read_text(), re.DOTALL)


def test_every_command_of_the_guide_works_as_it_stands(client: Client, tmp_path: Path) -> None:
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    env = {name: text for name, text in os.environ.items() if not name.startswith("KIZASHI_")}
    env |= {
        "PATH": f"{Path(sys.executable).parent}:{env['PATH']}",
        "KIZASHI_DATA_DIR": str(client.stack.data.path),
        "INGEST": client.url("ingest", ""),
        "KEY": client.stack.data.cli_key.read_text(encoding="ascii").strip(),
    }

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    printed = [run("sh", "-ec", block) for block in blocks("", "sh")]
    assert len(printed) == 5
    assert "3 accepted, 1 refused" in printed[0]
    assert "山田 太郎" in (tmp_path / "report.csv").read_bytes().decode("cp932")
    assert [run(sys.executable, "-c", block) for block in blocks("", "python")] == ["3\n"]
    (example,) = blocks("", "json")
    *_, shown, summary = [json.loads(line) for line in example.splitlines()]
    told_now = [json.loads(line) for line in printed[3].splitlines()]
    assert summary["summary"].items() <= told_now[-1]["summary"].items()
    assert {note.partition(":")[0] for note in shown["notes"]} <= {
        note.partition(":")[0] for note in told_now[shown["record"] - 1]["notes"]
    }


def test_the_japanese_guide_has_the_same_commands_and_parts() -> None:
    assert blocks("", "sh") == blocks(".ja", "sh")
    assert blocks("", "python") == blocks(".ja", "python")
    texts = [(ROOT / "docs" / f"import{language}.md").read_text() for language in ("", ".ja")]
    assert texts[0].count("\n## ") == texts[1].count("\n## ")
