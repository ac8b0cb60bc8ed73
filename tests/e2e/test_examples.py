"""The examples of docs/examples as they stand: subscribers, receivers and the replay, in Python and in Node."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from aiokafka import AIOKafkaProducer
from standardwebhooks.webhooks import Webhook

from deploy.local.paths import ROOT
from shared.kafka.admin import ensure_topics
from shared.settings import KafkaSettings
from shared.topics import Topic
from tests.conftest import KafkaServer
from tests.e2e.client import Client, wait_for
from tests.e2e.test_pipeline import make_hot, person

EXAMPLES = ROOT / "docs" / "examples"
INSTALL_WITHIN_S = 300
SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"


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


def retries(command: list[str], port: int, folder: Path) -> None:
    """Work that failed is done by the retry, and once done not again."""
    signer = Webhook(SECRET)
    broken: dict[str, Any] = {"type": "lead.qualified.v1", "data": None}
    whole = broken | {"data": {"lead": {}}}

    def send(event: dict[str, Any]) -> int:
        now, body = datetime.now(UTC), json.dumps(event)
        headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(now.timestamp()))}
        headers["webhook-signature"] = signer.sign("msg_1", now, body)
        return httpx2.post(f"http://127.0.0.1:{port}/", content=body, headers=headers, trust_env=False).status_code

    with listening(command, SECRET, folder) as lines:
        assert [send(event) for event in (broken, broken, whole, whole)] == [500, 500, 204, 204]
    assert [line.split()[0] for line in lines] == ["listening", "msg_1"]


def receives(client: Client, command: list[str], port: int, folder: Path) -> None:
    """Make a destination for the receiver, qualify a lead, and look for it in what the receiver prints."""
    url = f"http://127.0.0.1:{port}/"
    spec = {"kind": "webhook", "name": f"example-{folder.name}", "url": url, "secret": SECRET}
    made: dict[str, Any] = client.http.post(client.url("handoff", "/v1/destinations"), json=spec).json()
    email = person()
    with listening(command, SECRET, folder) as lines:
        make_hot(client, email)
        attempts = client.url("handoff", f"/v1/destinations/{made['id']}/attempts?outcome=delivered")
        wait_for(lambda: any(email in item["request"]["body"] for item in client.http.get(attempts).json()["items"]))
        forged = client.http.post(f"http://127.0.0.1:{port}/", content=b"{}", headers={"webhook-id": "x"})
        assert forged.status_code == 401
    client.http.delete(client.url("handoff", f"/v1/destinations/{made['id']}"))
    assert any("lead.qualified.v1" in line and email in line for line in lines)


def test_the_python_receiver(client: Client, receiver_port: int, tmp_path: Path) -> None:
    receives(client, [sys.executable, str(EXAMPLES / "receiver.py"), str(receiver_port)], receiver_port, tmp_path)


def test_the_python_receiver_does_what_failed_when_it_comes_again(receiver_port: int, tmp_path: Path) -> None:
    retries([sys.executable, str(EXAMPLES / "receiver.py"), str(receiver_port)], receiver_port, tmp_path)


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


@pytest.mark.long
def test_the_node_receiver_does_what_failed_when_it_comes_again(receiver_port: int, node: Path) -> None:
    retries(["node", "receiver.mjs", str(receiver_port)], receiver_port, node)


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


@pytest.mark.long
async def test_two_node_subscribers_share_the_work(kafka_server: KafkaServer, node: Path, tmp_path: Path) -> None:
    """The first has read all of it ahead when the second joins; slow work on it must not be done by both."""
    topic, count = f"shared-{node.name}-{tmp_path.name}", 300
    await _write(kafka_server, topic, count)
    slow = (EXAMPLES / "subscriber.mjs").read_text().replace("'qualified-leads'", f"'{topic}'")
    slow = slow.replace("const lead = JSON", "await new Promise((done) => setTimeout(done, 50))\n  const lead = JSON")
    (node / "slow.mjs").write_text(slow)
    command = ["node", "slow.mjs", kafka_server.bootstrap_servers, topic]
    outputs = [tmp_path / name for name in ("first", "second")]
    with ExitStack() as running:
        for output in outputs:
            running.enter_context(_writing(command, output, node))
            wait_for(partial(_has_lines, output, 10))
        wait_for(lambda: len(set(_ids(outputs))) == count, 60)
    ids = _ids(outputs)
    assert len(set(ids)) == count
    # What was in hand when the second joined may be done by both.
    assert len(ids) - count <= 2


def _ids(outputs: list[Path]) -> list[str]:
    return [line.split()[0] for output in outputs for line in output.read_text().splitlines()]


def _has_lines(output: Path, count: int) -> bool:
    return len(output.read_text().splitlines()) >= count


@contextmanager
def _writing(command: list[str], output: Path, folder: Path) -> Iterator[None]:
    with output.open("w") as out:
        process = subprocess.Popen(command, stdout=out, cwd=folder)
        try:
            yield
        finally:
            process.terminate()
            process.wait(10)


async def _write(kafka: KafkaServer, topic: str, count: int) -> None:
    """Records as the examples read them, spread over six partitions."""
    settings = KafkaSettings(bootstrap_servers=kafka.bootstrap_servers, partitions=6)
    await ensure_topics(settings, [Topic(topic, ("a test",), 1)])
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers)
    await producer.start()
    for number in range(count):
        lead = {"lead": {"identifiers": {"email": "a@example.com"}}, "score": 50.0, "reasons": []}
        value, headers = json.dumps(lead).encode(), [("ce_id", f"id-{number}".encode())]
        await producer.send(topic, value, partition=number % 6, headers=headers)
    await producer.stop()
