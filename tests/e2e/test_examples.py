"""The examples of docs/examples as they stand: subscribers, receivers and the replay, in Python and in Node."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from deploy.local.paths import ROOT
from tests.e2e.client import Client, wait_for
from tests.e2e.test_pipeline import make_hot, person

EXAMPLES = ROOT / "docs" / "examples"
INSTALL_WITHIN_S = 300


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Node examples with what they need, installed as their page says."""
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "subscriber.mjs", "receiver.mjs"):
        shutil.copy(EXAMPLES / name, folder)
    subprocess.run(["npm", "install", "--no-audit", "--no-fund"], cwd=folder, check=True, timeout=INSTALL_WITHIN_S)
    return folder


@contextmanager
def listening(command: list[str], secret: str, folder: Path) -> Iterator[list[str]]:
    """A receiver while the body runs, and the lines it prints."""
    env = {**os.environ, "KIZASHI_WEBHOOK_SECRET": secret, "PYTHONUNBUFFERED": "1"}
    printed = folder / "printed.txt"
    with printed.open("w") as out:
        process = subprocess.Popen(command, env=env, stdout=out, cwd=folder)
        try:
            wait_for(lambda: "listening" in printed.read_text())
            lines: list[str] = []
            yield lines
            lines += printed.read_text().splitlines()
        finally:
            process.terminate()
            process.wait(10)


def receives(client: Client, command: list[str], port: int, folder: Path) -> None:
    """Make a destination for the receiver, qualify a lead, and look for it in what the receiver prints."""
    secret = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"
    spec = {"kind": "webhook", "name": f"example-{folder.name}", "url": f"http://127.0.0.1:{port}/", "secret": secret}
    made: dict[str, Any] = client.http.post(client.url("handoff", "/v1/destinations"), json=spec).json()
    email = person()
    with listening(command, secret, folder) as lines:
        make_hot(client, email)
        attempts = client.url("handoff", f"/v1/destinations/{made['id']}/attempts?outcome=delivered")
        wait_for(lambda: any(email in item["request"]["body"] for item in client.http.get(attempts).json()["items"]))
        forged = client.http.post(f"http://127.0.0.1:{port}/", content=b"{}", headers={"webhook-id": "x"})
        assert forged.status_code == 401
    client.http.delete(client.url("handoff", f"/v1/destinations/{made['id']}"))
    assert any("lead.qualified.v1" in line and email in line for line in lines)


def test_the_python_receiver(client: Client, receiver_port: int, tmp_path: Path) -> None:
    receives(client, [sys.executable, str(EXAMPLES / "receiver.py"), str(receiver_port)], receiver_port, tmp_path)


def test_the_replay_prints_what_was_handed_over_since(client: Client) -> None:
    before = person()
    make_hot(client, before)
    wait_for(partial(_qualified, client, before))
    since = datetime.now(UTC).isoformat()
    email = person()
    make_hot(client, email)
    found = wait_for(
        lambda: [one for one in client.read("qualified-leads") if one["lead"]["identifiers"]["email"] == email]
    )
    command = [sys.executable, str(EXAMPLES / "replay.py"), client.stack.addresses.bootstrap_servers, since]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    assert [line.split()[0] for line in done.stdout.decode().splitlines()] == [f"{found[0]['lead']['id']}:hot:1"]


@pytest.mark.long
def test_the_node_receiver(client: Client, receiver_port: int, node: Path) -> None:
    receives(client, ["node", "receiver.mjs", str(receiver_port)], receiver_port, node)


def _qualified(client: Client, email: str) -> bool:
    return email in str(client.read("qualified-leads"))


@pytest.mark.long
def test_the_node_subscriber_goes_on_where_it_was(client: Client, node: Path) -> None:
    emails = [person(), person()]
    printed: list[list[str]] = []
    for email in emails:
        make_hot(client, email)
        wait_for(partial(_qualified, client, email))
        count = len(client.read("qualified-leads")) - len(printed)
        command = ["node", "subscriber.mjs", client.stack.addresses.bootstrap_servers, f"node-{node.name}", str(count)]
        done = subprocess.run(command, capture_output=True, timeout=60, check=True, cwd=node)
        printed += [line.split() for line in done.stdout.decode().splitlines()]
    assert len({line[0] for line in printed}) == len(printed) == len(client.read("qualified-leads"))
    assert printed[-1][1] == emails[1]
