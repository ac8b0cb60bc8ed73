"""Kafka away for longer: order, deaths, full disks, and the way back, with the service as a process of its own."""

import asyncio
import os
import signal
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import orjson

from tests.conftest import KafkaServer
from tests.integration.ingest.process import IngestProcess, records_of, running_ingest, wait_until
from tests.integration.ingest.test_publishing import activity, degraded_now, ids_on_topic, stopped

LEADS = 7


def of_few_leads(source: str, number: int) -> dict[str, Any]:
    return {**activity(source, number), "lead": {"email": f"lead{number % LEADS}@example.co.jp"}}


def order_on_topic(kafka: KafkaServer, source: str) -> list[list[int]]:
    """The numbers of each lead's activities as they first stand on the topic."""
    orders: dict[str, dict[int, None]] = {}
    for record in records_of(kafka.bootstrap_servers, source):
        value = orjson.loads(record.value or b"")
        orders.setdefault(value["lead"]["email"], {})[int(value["id"].rpartition("-")[2])] = None
    return [list(numbers) for numbers in orders.values()]


async def post_each(ingest: IngestProcess, source: str, numbers: range, at_once: int) -> Counter[str]:
    """Post `numbers`, each lead's in order, up to `at_once` leads at a time; what was said of their durability."""
    said: Counter[str] = Counter()

    async def one_lead(client: httpx2.AsyncClient, lead: int) -> None:
        for number in numbers:
            if number % LEADS == lead:
                answer = await client.post("/v1/activities", json=of_few_leads(source, number))
                said[answer.json().get("durability", str(answer.status_code))] += 1

    async with ingest.client() as client:
        await asyncio.gather(*(one_lead(client, lead) for lead in range(at_once)))
    return said


def test_order_holds_through_the_spool_and_back(topics: KafkaServer, tmp_path: Path, source: str) -> None:
    with running_ingest(tmp_path, topics.bootstrap_servers, ack_timeout_s="1") as running:
        assert asyncio.run(post_each(running, source, range(70), LEADS)) == {"kafka": 70}
        with stopped(topics):
            assert asyncio.run(post_each(running, source, range(70, 700), LEADS)) == {"spool": 630}
        # Sent while the spool is drained: they queue behind it, or wait for its last stretch.
        assert asyncio.run(post_each(running, source, range(700, 1_400), LEADS)).total() == 700
        wait_until(lambda: not degraded_now(running), 30)
        assert asyncio.run(post_each(running, source, range(1_400, 1_470), LEADS)) == {"kafka": 70}
    orders = order_on_topic(topics, source)
    assert sorted(number for order in orders for number in order) == list(range(1_470))
    assert all(order == sorted(order) for order in orders)


def test_a_killed_worker_leaves_nothing_behind(topics: KafkaServer, tmp_path: Path, source: str) -> None:
    with ExitStack() as stack:
        with stopped(topics):
            for worker in range(3):
                running = stack.enter_context(running_ingest(tmp_path, topics.bootstrap_servers))
                answer = running.post([activity(source, 10 * worker + number) for number in range(10)])
                assert answer.json()["durability"] == "spool"
                if worker < 2:
                    os.kill(running.process.pid, signal.SIGKILL)
                    running.process.wait()
        wait_until(lambda: not degraded_now(running), 30)
        assert running.end()[0] == 0
    assert set(ids_on_topic(topics, source)) == {f"{source}-{number}" for number in range(30)}
    assert [path.name for path in (tmp_path / "spool").iterdir()] == ["lock"]


def test_a_living_worker_takes_over_from_one_that_died(topics: KafkaServer, tmp_path: Path, source: str) -> None:
    with ExitStack() as stack:
        with stopped(topics):
            first, second = (stack.enter_context(running_ingest(tmp_path, topics.bootstrap_servers)) for _ in range(2))
            assert second.post(activity(source, 1)).json()["durability"] == "spool"
            os.kill(second.process.pid, signal.SIGKILL)
        wait_until(lambda: set(ids_on_topic(topics, source)) == {f"{source}-1"}, 30)
        assert first.post(activity(source, 2)).json()["durability"] == "kafka"


def test_a_full_spool_refuses_and_recovers(topics: KafkaServer, tmp_path: Path, source: str) -> None:
    with running_ingest(tmp_path, topics.bootstrap_servers, ack_timeout_s="1", spool_max_bytes="20000") as running:
        taken = []
        with stopped(topics):
            for number in range(100):
                answer = running.post(activity(source, number))
                if answer.status_code != 202:
                    break
                taken.append(number)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert "the spool is full" in answer.json()["detail"]
            assert int(answer.headers["retry-after"]) > 0
            assert 10 < len(taken) < 60
        wait_until(lambda: not degraded_now(running), 30)
        assert running.post(activity(source, 200)).json()["durability"] == "kafka"
    assert set(ids_on_topic(topics, source)) == {f"{source}-{number}" for number in [*taken, 200]}


def test_an_unwritable_spool_refuses_says_so_and_recovers(topics: KafkaServer, tmp_path: Path, source: str) -> None:
    # A file where a folder should be: root may write anywhere, so permissions would prove nothing.
    (tmp_path / "spool").write_text("in the way")
    with running_ingest(tmp_path, topics.bootstrap_servers, ack_timeout_s="1") as running:
        assert "the spool cannot be written" in httpx2.get(f"{running.url}/readyz", timeout=5).json()["degraded"]
        assert running.post(activity(source, 0)).json()["durability"] == "kafka"
        with stopped(topics):
            refused = running.post(activity(source, 1))
            assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
            assert "the spool cannot be written" in refused.json()["detail"]
            not_ready = httpx2.get(f"{running.url}/readyz", timeout=5)
            assert (not_ready.status_code, not_ready.json()["failing"]) == (503, ["kafka", "spool"])
            (tmp_path / "spool").unlink()
            assert running.post(activity(source, 2)).json()["durability"] == "spool"
        wait_until(lambda: not degraded_now(running), 30)
    assert {f"{source}-0", f"{source}-2"} <= set(ids_on_topic(topics, source))
