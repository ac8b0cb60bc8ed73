"""From the request to the topic, on a real Kafka, also while it is stopped, killed or away."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import orjson

from shared.activity import parse_recorded
from shared.clock import from_rfc3339, system_clock
from shared.identity import Identifier, lead_id_for
from shared.kafka.partition import partition_for
from shared.keys import create_key, revoke_key
from tests.conftest import PARTITIONS, KafkaServer
from tests.integration.ingest.process import IngestProcess, records_of, running_ingest, wait_until


def activity(source: str, number: int = 0) -> dict[str, Any]:
    return {
        "id": f"{source}-{number}",
        "source": source,
        "type": "page_viewed",
        "occurred_at": "2026-11-20T10:15:00+09:00",
        "lead": {"email": f"lead{number}@example.co.jp"},
        "properties": {"url": "https://www.example.co.jp/料金"},
    }


@contextmanager
def stopped(kafka: KafkaServer) -> Iterator[None]:
    """The broker frozen: connections stay, nothing answers."""
    pid = kafka.process.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def ids_on_topic(kafka: KafkaServer, source: str) -> Counter[str]:
    return Counter(dict(record.headers)["ce_id"].decode() for record in records_of(kafka.bootstrap_servers, source))


def test_records_arrive_as_documented(ingest: IngestProcess, topics: KafkaServer, source: str) -> None:
    before = system_clock()
    answer = ingest.post([activity(source, number) for number in range(40)])
    assert (answer.status_code, answer.json()["durability"]) == (202, "kafka")
    records = records_of(topics.bootstrap_servers, source)
    assert Counter(answer.json()["ids"]) == Counter(dict(record.headers)["ce_id"].decode() for record in records)
    for record in records:
        value, headers = orjson.loads(record.value or b""), dict(record.headers)
        lead_id = lead_id_for(b"a secret", Identifier("email", value["lead"]["email"]))
        assert (record.key or b"").decode() == lead_id
        assert record.partition == partition_for(lead_id.encode(), PARTITIONS)
        assert headers["ce_partitionkey"] == record.key
        assert headers["ce_type"] == b"lead.activity.v1"
        assert headers["ce_time"].decode() == value["occurred_at"] == "2026-11-20T01:15:00.000000Z"
        assert headers["x-request-id"].decode() == answer.headers["x-request-id"]
        assert before <= from_rfc3339(value["received_at"]) <= system_clock()
        assert parse_recorded(value).properties == {"url": "https://www.example.co.jp/料金"}
    assert len({record.partition for record in records}) > 1


def test_a_request_is_refused_whole(ingest: IngestProcess, topics: KafkaServer, source: str) -> None:
    answer = ingest.post([activity(source, 1), {**activity(source, 2), "type": "Not A Type"}])
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/1/type")
    assert ids_on_topic(topics, source) == Counter()


def degraded_now(ingest: IngestProcess) -> bool:
    """Whether something still waits on disk, or Kafka is away."""
    status: str = httpx2.get(f"{ingest.url}/readyz", timeout=5).json()["status"]
    return status != "ready"


async def post_all(ingest: IngestProcess, source: str, count: int, at_once: int) -> Counter[int]:
    numbers = iter(range(count))
    statuses: Counter[int] = Counter()

    async def sender(client: httpx2.AsyncClient) -> None:
        for number in numbers:
            answer = await client.post("/v1/activities", json=activity(source, number))
            statuses[answer.status_code] += 1

    async with ingest.client() as client:
        await asyncio.gather(*(sender(client) for _ in range(at_once)))
    return statuses


def test_many_at_once_arrive_once_each(ingest: IngestProcess, topics: KafkaServer, source: str) -> None:
    assert asyncio.run(post_all(ingest, source, 600, 48)) == {202: 600}
    found = ids_on_topic(topics, source)
    assert len(found) == 600
    assert set(found.values()) == {1}


def test_a_revoked_key_ends_at_once(ingest: IngestProcess, source: str) -> None:
    key = create_key(ingest.key_store, source, ["activities:write"], system_clock())
    headers = {"Authorization": f"Bearer {key}"}
    url = f"{ingest.url}/v1/activities"
    assert httpx2.post(url, json=activity(source), headers=headers).status_code == 202
    revoke_key(ingest.key_store, source, system_clock())
    assert httpx2.post(url, json=activity(source), headers=headers).status_code == 401


def test_without_an_acknowledgement_the_answer_says_spool(
    ingest: IngestProcess, topics: KafkaServer, source: str
) -> None:
    assert ingest.post(activity(source, 0)).json()["durability"] == "kafka"
    with stopped(topics):
        answer = ingest.post(activity(source, 1))
        assert (answer.status_code, answer.json()["durability"]) == (202, "spool")
        degraded = httpx2.get(f"{ingest.url}/readyz", timeout=5)
        assert (degraded.status_code, degraded.json()["status"]) == (200, "degraded")
        assert "kept on disk" in degraded.json()["degraded"]
        assert httpx2.get(f"{ingest.url}/healthz", timeout=5).status_code == 200
    wait_until(lambda: not degraded_now(ingest), 30)
    assert ingest.post(activity(source, 2)).json()["durability"] == "kafka"
    assert set(ids_on_topic(topics, source)) == {f"{source}-{number}" for number in range(3)}


def test_a_killed_broker_loses_nothing_that_was_answered(
    ingest: IngestProcess, topics: KafkaServer, source: str
) -> None:
    pid = topics.process.pid
    assert pid is not None
    answered: list[str] = []
    number, until = 0, 1_000_000
    while number < until:
        answer = ingest.post(activity(source, number))
        assert answer.status_code == 202
        answered.extend(answer.json()["ids"])
        if number > 20 and answer.json()["durability"] == "kafka":
            until = min(until, number + 20)
        number += 1
        if number == 20:
            os.kill(pid, signal.SIGKILL)
    found = ids_on_topic(topics, source)
    assert set(answered) <= set(found)
    assert len(answered) >= 39


def test_it_starts_while_kafka_is_away_and_keeps_what_comes(topics: KafkaServer, tmp_path: Path, source: str) -> None:
    with ExitStack() as stack:
        with stopped(topics):
            running = stack.enter_context(running_ingest(tmp_path, topics.bootstrap_servers))
            assert running.post(activity(source, 0)).json()["durability"] == "spool"
        wait_until(lambda: not degraded_now(running), 30)
        assert running.post(activity(source, 1)).json()["durability"] == "kafka"
        assert running.end()[0] == 0
    assert ids_on_topic(topics, source) == Counter([f"{source}-0", f"{source}-1"])


def test_a_stop_under_load_keeps_what_was_answered(topics: KafkaServer, tmp_path: Path, source: str) -> None:
    answered: list[str] = []

    async def send_until_gone(running: IngestProcess) -> None:
        numbers = iter(range(1_000_000))

        async def sender(client: httpx2.AsyncClient) -> None:
            for number in numbers:
                try:
                    answer = await client.post("/v1/activities", json=activity(source, number))
                except httpx2.TransportError:
                    return
                if answer.status_code == 202:
                    answered.extend(answer.json()["ids"])

        async with running.client() as client:
            await asyncio.gather(*(sender(client) for _ in range(16)))

    with running_ingest(tmp_path, topics.bootstrap_servers) as running, ThreadPoolExecutor(1) as pool:
        sending = pool.submit(asyncio.run, send_until_gone(running))
        wait_until(lambda: len(answered) > 200, 30)
        code, seconds = running.end()
        sending.result(30)
    assert code == 0
    assert seconds < 6.0
    found = ids_on_topic(topics, source)
    assert set(answered) <= set(found)


def test_a_stop_does_not_wait_for_a_kafka_that_is_away(topics: KafkaServer, tmp_path: Path, source: str) -> None:
    with (
        running_ingest(tmp_path, topics.bootstrap_servers, ack_timeout_s="30") as running,
        ThreadPoolExecutor(1) as pool,
        stopped(topics),
    ):
        waiting = pool.submit(running.post, activity(source))
        pending = f"{running.url}/metrics"
        wait_until(lambda: "kizashi_ingest_pending_bytes 0.0" not in httpx2.get(pending, timeout=5).text, 10)
        code, seconds = running.end()
        answer = waiting.result(10)
    assert code == 0
    assert seconds < 7.0
    assert (answer.status_code, answer.json()["durability"]) == (202, "spool")
    with running_ingest(tmp_path, topics.bootstrap_servers) as running:
        wait_until(lambda: not degraded_now(running), 30)
    assert set(ids_on_topic(topics, source)) == {f"{source}-0"}
