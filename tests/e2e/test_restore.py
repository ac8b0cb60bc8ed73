"""Restores that go wrong, and what people did since the backup: nothing is lost, and nobody comes back."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from deploy.local import ports
from deploy.local.paths import DataFolder
from tests.e2e.client import Client, kizashi, wait_for
from tests.e2e.test_backup import Detached, empty, succeeds

PEOPLE = ("kept", "erased", "one", "other")
KILLED = """
import os, signal, sys
from deploy.cli import main, restore
async def recover(*_):
    os.kill(os.getpid(), signal.SIGKILL)
restore.{part}.recover = recover
sys.argv[:1] = ["kizashi", "restore"]
main.main()
"""


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Detached]:
    # PostgreSQL does not run as root and has to pass through.
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o711)
    started = Detached(DataFolder.at(tmp_path / "data"))
    succeeds(started, "up", "--detach", "--port-base", str(ports.free_block().base))
    yield started
    kizashi(started, "down")


def address(name: str) -> str:
    return f"{name}@{name}.example.jp"


def did(name: str, *types: str) -> list[dict[str, Any]]:
    return [{"id": f"{name}-{type_}", "type": type_, "lead": {"email": address(name)}} for type_ in types]


def found(client: Client, name: str) -> dict[str, Any] | None:
    return client.lead(address(name))


def ask(client: Client, method: str, path: str, **body: Any) -> Any:
    answer = client.http.request(method, client.url("scoring", f"/v1/leads/{path}"), json=body or None)
    assert answer.is_success, answer.text
    return answer


def post(client: Client, *activities: dict[str, Any]) -> dict[str, str]:
    """Post, and wait for everybody; their ids."""
    client.post(*activities)
    names = {one["lead"]["email"].partition("@")[0] for one in activities}
    return {name: wait_for(partial(found, client, name))["id"] for name in names}


def do_things(client: Client, ids: dict[str, str]) -> None:
    """What people do: points, a merge, an erasure."""
    ask(client, "POST", f"{ids['kept']}/points", id="p1", points=4, reason="met at the fair")
    ask(client, "POST", f"{ids['one']}/merge", **{"with": ids["other"]})
    ask(client, "DELETE", ids["erased"])
    wait_for(lambda: "lead.erased.v1" in {dict(one.headers)["ce_type"].decode() for one in lifecycle(client)})


def lifecycle(client: Client) -> list[Any]:
    return client.records("lead-lifecycle")


def standing(client: Client, ids: dict[str, str]) -> dict[str, Any]:
    """By name: the id that everybody's id leads to, and the score; None for somebody who is not there."""
    answers = {name: client.http.get(client.url("scoring", f"/v1/leads/{id_}")) for name, id_ in ids.items()}
    return {
        name: (answer.json()["id"], answer.json()["score"]) if answer.status_code == 200 else None
        for name, answer in answers.items()
    }


def is_as_before(stack: Detached, ids: dict[str, str], before: dict[str, Any]) -> None:
    """Everybody stands where they stood, no cycle is there twice, and who was erased is gone from everywhere."""
    with Client(stack) as client:
        wait_for(lambda: standing(client, ids) == before, found=lambda: standing(client, ids))
        assert before["erased"] is None
        assert before["other"] == before["one"]
        assert client.latest("lead-scores").get(ids["erased"].encode()) is None
        open_ = [one["state"] for one in client.handoffs(ids["erased"]) if one["state"] != "lapsed"]
        assert open_ == []
        cycles = Counter((one["lead"]["id"], one["rule"], one["cycle"]) for one in client.read("qualified-leads"))
        assert set(cycles.values()) == {1}
    assert b"0 differences" in kizashi(stack, "replay").stdout


def refused(stack: Detached, *arguments: str) -> str:
    done = kizashi(stack, *arguments)
    assert done.returncode == 1, done.stdout
    return done.stderr.decode()


def is_killed(stack: Detached, part: str, *arguments: str) -> None:
    command = [sys.executable, "-c", KILLED.format(part=part), *arguments, "--data-dir", str(stack.data.path)]
    env = {name: text for name, text in os.environ.items() if not name.startswith("KIZASHI_")}
    done = subprocess.run(command, env=env, capture_output=True, timeout=120, check=False)
    assert done.returncode == -9, done.stderr


HOT = ("quote_requested", "demo_requested", "inquiry_sent")


@pytest.mark.timeout(600)
def test_a_damaged_backup_changes_nothing_and_a_restore_that_was_killed_is_finished_first(
    stack: Detached, tmp_path: Path
) -> None:
    backup = tmp_path / "backup"
    with Client(stack) as client:
        ids = post(client, *(one for name in PEOPLE for one in did(name, *HOT)))
        wait_for(lambda: len({one["lead"]["id"] for one in client.read("qualified-leads")}) == len(PEOPLE))
        succeeds(stack, "backup", str(backup))
        ids |= post(client, *did("later", *HOT))
        do_things(client, ids)
        ask(client, "DELETE", ids["later"])
        before = standing(client, ids)
        assert before["later"] is None
    succeeds(stack, "down")

    for number, sealed in enumerate((True, False)):
        damaged = shutil.copytree(backup, tmp_path / f"damaged-{number}")
        dump = damaged / "kizashi.dump"
        os.truncate(dump, dump.stat().st_size * 2 // 3)
        if not sealed:
            (damaged / "backup.json").unlink(missing_ok=True)
        refused(stack, "restore", str(damaged))
    is_killed(stack, "scoring_recovery", str(backup))
    assert "run `kizashi restore --database-is-restored`" in refused(stack, "up", "--detach")
    is_killed(stack, "handoff_recovery", "--database-is-restored")
    assert "run `kizashi restore --database-is-restored`" in refused(stack, "up", "--detach")
    said = succeeds(stack, "restore", "--database-is-restored")
    assert " erasures of people" in said
    succeeds(stack, "up", "--detach")
    is_as_before(stack, ids, before)


@pytest.mark.timeout(600)
def test_an_emptied_database_is_not_started_on_and_is_filled_with_what_people_did(stack: Detached) -> None:
    with Client(stack) as client:
        ids = post(client, *(one for name in PEOPLE for one in did(name, *HOT)))
        wait_for(lambda: len({one["lead"]["id"] for one in client.read("qualified-leads")}) == len(PEOPLE))
        do_things(client, ids)
        before = standing(client, ids)
        versions = {key: state["version"] for key, state in client.latest("lead-scores").items()}
    empty(stack)
    succeeds(stack, "down")
    said = refused(stack, "up", "--detach")
    assert "kizashi restore" in said
    assert "kizashi replay --from-topic" in said
    succeeds(stack, "replay", "--from-topic")
    succeeds(stack, "up", "--detach")
    is_as_before(stack, ids, before)
    with Client(stack) as client:
        latest = client.latest("lead-scores")
        assert all(state["version"] >= versions.get(key, 0) for key, state in latest.items())
