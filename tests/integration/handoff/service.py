"""The handoff service as a process of its own, on real servers, to be asked and to be killed."""

import asyncio
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy.local import ports
from shared.kafka.admin import ensure_topics
from shared.kafka.partition import partition_for
from shared.keys import create_key
from shared.settings import KafkaSettings
from tests.conftest import PARTITIONS

RULES = "rules:\n  - {id: hot, enter: 50, leave: 45, close_after: 31d, to: inside-sales, when: immediately}\n"


@dataclass
class Stack:
    """A database, topics, a configuration, and the processes started on them."""

    kafka: KafkaSettings
    database: str
    folder: Path
    keys: dict[str, str] = field(default_factory=dict)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    more: dict[str, str] = field(default_factory=dict)
    """Further settings."""
    port: int = 0
    # Of this stack alone: the killed members of another's would hold partitions for a while.
    group: str = field(default_factory=lambda: f"handoff-{uuid.uuid4().hex}")

    async def prepare(self) -> None:
        """Topics, configuration, keys."""
        await ensure_topics(self.kafka)
        self.write_rules(RULES)
        for name, scope in (("reader", "handoffs:read"), ("writer", "handoffs:write"), ("admin", "admin")):
            self.keys[name] = create_key(self.folder / "keys.json", name, [scope], datetime.now(UTC))

    def write_rules(self, rules: str) -> None:
        """Replace `handoff.yaml`."""
        (self.folder / "handoff.yaml").write_text(rules, encoding="utf-8")

    def start(self) -> subprocess.Popen[bytes]:
        """One process; its port becomes that of `get` and `post`."""
        self.port = ports.free_block().services["handoff"]
        env = {
            **os.environ,
            "KIZASHI_CONFIG_DIR": str(self.folder),
            "KIZASHI_DATA_DIR": str(self.folder),
            "KIZASHI_HTTP__PORT": str(self.port),
            "KIZASHI_KAFKA__BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "KIZASHI_KAFKA__PARTITIONS": str(PARTITIONS),
            "KIZASHI_DATABASE__URL": self.database,
            "KIZASHI_HANDOFF__GROUP": self.group,
            **self.more,
        }
        log = (self.folder / "service.log").open("ab")
        process = subprocess.Popen([sys.executable, "-m", "services.handoff"], env=env, stdout=log, stderr=log)
        log.close()
        self.processes.append(process)
        return process

    def stop(self) -> None:
        """End every process."""
        for process in self.processes:
            process.kill()
            process.wait()

    def request(
        self,
        method: str,
        path: str,
        key: str | None = "admin",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """One request to the process started last."""
        sent = {"Authorization": f"Bearer {self.keys[key]}"} if key else {}
        url = f"http://127.0.0.1:{self.port}{path}"
        return httpx2.request(method, url, headers={**sent, **(headers or {})}, json=body, timeout=20)

    async def ready(self, within_s: float = 40) -> None:
        """Wait until `/readyz` says so."""

        def answers() -> bool:
            try:
                return self.request("GET", "/readyz", None).status_code == 200
            except httpx2.TransportError:
                return False

        await self.until(answers, within_s)

    async def until(self, condition: Callable[[], bool], within_s: float = 40) -> None:
        """Wait for a condition."""
        deadline = time.monotonic() + within_s
        while not await asyncio.to_thread(condition):
            assert time.monotonic() < deadline, (self.folder / "service.log").read_text()[-3000:]
            await asyncio.sleep(0.05)

    async def write(self, records: Sequence[tuple[str, bytes]], topic: str = "lead-scores") -> None:
        """Publish records in order, as scoring would."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self.kafka.bootstrap_servers, acks="all", enable_idempotence=True, linger_ms=5
        )
        await producer.start()
        try:
            sent = [
                await producer.send(topic, value, key.encode(), partition=partition_for(key.encode(), PARTITIONS))
                for key, value in records
            ]
            await asyncio.gather(*sent)
        finally:
            await producer.stop()

    async def read(self, topic: str, leads: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Key, headers and value of all records of these leads, as a reader sees them that takes uncommitted ones."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka.bootstrap_servers)
        await consumer.start()
        found = []
        try:
            partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            ends = await consumer.end_offsets(partitions)
            while any([await consumer.position(tp) < ends[tp] for tp in partitions]):
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    found += [
                        {"key": raw.key.decode(), "headers": dict(raw.headers), "value": json.loads(raw.value)}
                        for raw in records
                        if raw.key and raw.key.decode() in leads
                    ]
        finally:
            await consumer.stop()
        return found

    async def drained(self, topic: str = "lead-scores", within_s: float = 60) -> None:
        """Wait until everything in `topic` was handled and everything it led to was published."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka.bootstrap_servers)
        await consumer.start()
        try:
            ends = await consumer.end_offsets([TopicPartition(topic, number) for number in range(PARTITIONS)])
        finally:
            await consumer.stop()
        conn = await asyncpg.connect(self.database)
        deadline = time.monotonic() + within_s
        try:
            while not await _is_drained(conn, topic, {tp.partition: end for tp, end in ends.items()}):
                assert time.monotonic() < deadline, (self.folder / "service.log").read_text()[-3000:]
                await asyncio.sleep(0.05)
        finally:
            await conn.close()


async def _is_drained(conn: asyncpg.Connection, topic: str, ends: Mapping[int, int]) -> bool:
    try:
        rows = await conn.fetch("SELECT partition, next_offset FROM handoff.consumer_offset WHERE topic = $1", topic)
        waiting = await conn.fetchval("SELECT count(*) FROM handoff.outbox")
    except asyncpg.UndefinedTableError:
        return False
    at = {row[0]: row[1] for row in rows}
    return waiting == 0 and all(at.get(partition, 0) >= end for partition, end in ends.items())
