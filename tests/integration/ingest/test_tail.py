"""`kizashi tail` and `kizashi keys` as commands."""

import asyncio
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from shared.clock import system_clock, to_micros
from shared.errors import ProblemError
from shared.kafka.admin import ensure_topics
from shared.keys import KeyStore
from shared.settings import KafkaSettings
from shared.topics import Topic
from tests.conftest import KafkaServer


def kizashi(*arguments: str, **env: str) -> "subprocess.CompletedProcess[bytes]":
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("KIZASHI_")}
    command = [sys.executable, "-m", "deploy.cli.main", *arguments]
    return subprocess.run(command, env=inherited | env, capture_output=True, timeout=120, check=False)


def rows(done: "subprocess.CompletedProcess[bytes]") -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return [orjson.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def topic(kafka_server: KafkaServer) -> str:
    """Two partitions: 14 JSON records, five that were never committed, one that is no JSON, one tombstone."""
    name = f"tail-{uuid.uuid4().hex[:12]}"
    asyncio.run(_fill(kafka_server.bootstrap_servers, name))
    return name


async def _fill(bootstrap_servers: str, name: str) -> None:
    await ensure_topics(KafkaSettings(bootstrap_servers=bootstrap_servers, partitions=2), [Topic(name, (), 1)])
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, transactional_id=f"{name}-writer")
    base_ms = to_micros(system_clock()) // 1_000
    await producer.start()
    try:
        async with producer.transaction():
            for number in range(14):
                value = orjson.dumps({"number": number, "name": "山田"})
                headers = [("ce_id", str(number).encode())]
                at = base_ms + number
                await producer.send_and_wait(name, value, b"k", number % 2, timestamp_ms=at, headers=headers)
        await producer.begin_transaction()
        for _ in range(5):
            await producer.send_and_wait(name, b'{"never": "committed"}', partition=0)
        await producer.abort_transaction()
        async with producer.transaction():
            await producer.send_and_wait(name, b"\xff\x00", key=b"\xff", partition=1, timestamp_ms=base_ms + 14)
            await producer.send_and_wait(name, None, key=b"gone", partition=1, timestamp_ms=base_ms + 15)
    finally:
        await producer.stop()


def test_the_last_records_by_time(kafka_server: KafkaServer, topic: str, tmp_path: Path) -> None:
    env = {"KIZASHI_KAFKA__BOOTSTRAP_SERVERS": kafka_server.bootstrap_servers}
    found = rows(kizashi("tail", topic, "--data-dir", str(tmp_path), **env))
    assert len(found) == 10
    assert [row["value"]["number"] for row in found[:8]] == list(range(6, 14))
    assert found[0].keys() == {"topic", "partition", "offset", "timestamp", "key", "headers", "value"}
    assert (found[0]["key"], found[0]["headers"], found[0]["value"]["name"]) == ("k", {"ce_id": "6"}, "山田")
    assert found[8]["value_base64"] == "/wA="
    assert "value" not in found[8]
    assert (found[9]["key"], found[9]["value"]) == ("gone", None)
    three = rows(kizashi("tail", topic, "--count", "3", "--json", "--data-dir", str(tmp_path), **env))
    assert three == found[-3:]


def test_all_records_from_the_beginning(kafka_server: KafkaServer, topic: str, tmp_path: Path) -> None:
    env = {"KIZASHI_KAFKA__BOOTSTRAP_SERVERS": kafka_server.bootstrap_servers}
    found = rows(kizashi("tail", topic, "--from-beginning", "--data-dir", str(tmp_path), **env))
    assert len(found) == 16
    assert not [row for row in found if row.get("value") == {"never": "committed"}]
    for partition in (0, 1):
        offsets = [row["offset"] for row in found if row["partition"] == partition]
        assert offsets == sorted(offsets)
    first = rows(kizashi("tail", topic, "--from-beginning", "--count", "2", "--data-dir", str(tmp_path), **env))
    assert len(first) == 2


def test_following_shows_what_comes(kafka_server: KafkaServer, topic: str, tmp_path: Path) -> None:
    env = {**os.environ, "KIZASHI_KAFKA__BOOTSTRAP_SERVERS": kafka_server.bootstrap_servers}
    arguments = ["tail", topic, "--follow", "--count", "13", "--data-dir", str(tmp_path)]
    command = [sys.executable, "-m", "deploy.cli.main", *arguments]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE) as following:
        assert following.stdout is not None
        seen = [orjson.loads(following.stdout.readline()) for _ in range(13 - 3)]
        asyncio.run(_fill_more(kafka_server.bootstrap_servers, topic))
        seen += [orjson.loads(line) for line in following.stdout]
        assert following.wait(30) == 0
    assert [row["value"] for row in seen[-3:]] == [{"later": 0}, {"later": 1}, {"later": 2}]


async def _fill_more(bootstrap_servers: str, name: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap_servers) as producer:
        for number in range(3):
            await producer.send_and_wait(name, orjson.dumps({"later": number}), partition=0)


def test_what_is_not_there_is_told(kafka_server: KafkaServer, tmp_path: Path) -> None:
    env = {"KIZASHI_KAFKA__BOOTSTRAP_SERVERS": kafka_server.bootstrap_servers}
    unknown = kizashi("tail", "no-such-topic", "--data-dir", str(tmp_path), **env)
    assert (unknown.returncode, b"no-such-topic" in unknown.stderr) == (1, True)
    away = kizashi(
        "tail", "lead-activities", "--data-dir", str(tmp_path), KIZASHI_KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:9"
    )
    assert (away.returncode, b"127.0.0.1:9" in away.stderr, away.stdout) == (1, True, b"")
    assert kizashi("tail", "lead-activities", "--data-dir", str(tmp_path)).returncode == 1
    assert kizashi("tail").returncode == 2


def test_keys_from_their_making_to_their_end(tmp_path: Path) -> None:
    folder = ("--data-dir", str(tmp_path), "--json")
    [made] = rows(kizashi("keys", "create", "website", "--scope", "activities:write", "--scope", "leads:read", *folder))
    assert (made["name"], made["scopes"]) == ("website", ["activities:write", "leads:read"])
    store, header = KeyStore(tmp_path / "keys.json"), f"Bearer {made['key']}"
    assert store.authorize(header, "leads:read", system_clock()).name == "website"
    [listed] = orjson.loads(kizashi("keys", "list", *folder).stdout)
    assert listed["state"] == "active"
    assert made["key"] not in str(listed)
    [expiring] = rows(kizashi("keys", "expire", "website", "--in", "1d", *folder))
    assert expiring["state"] == "active"
    [revoked] = rows(kizashi("keys", "revoke", "website", *folder))
    assert revoked["state"] == "revoked"
    with pytest.raises(ProblemError):
        store.authorize(header, "leads:read", system_clock())


def test_wrong_use_of_keys_is_told(tmp_path: Path) -> None:
    folder = ("--data-dir", str(tmp_path))
    assert kizashi("keys", "create", "a", "--scope", "leads:delete", *folder).returncode == 2
    assert kizashi("keys", "create", "a", *folder).returncode == 2
    for _ in range(2):  # a second key of the name is how keys are changed without a gap
        assert kizashi("keys", "create", "a", "--scope", "admin", *folder).returncode == 0
    again = kizashi("keys", "create", "a", "--scope", "admin", *folder)
    assert (again.returncode, b"already" in again.stderr) == (1, True)
    assert kizashi("keys", "revoke", "nobody", *folder).returncode == 1
    assert kizashi("keys", "expire", "a", "--at", "yesterday", *folder).returncode == 2


def test_the_key_file_may_lie_elsewhere(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.json"
    done = kizashi(
        "keys", "create", "a", "--scope", "admin", "--data-dir", str(tmp_path), KIZASHI_KEY_STORE=str(elsewhere)
    )
    assert done.returncode == 0
    assert KeyStore(elsewhere).authorize(f"Bearer {done.stdout.decode().strip()}", "admin", system_clock()).name == "a"
