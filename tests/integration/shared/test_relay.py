"""The relay publishes each row once and in order, also when it, Kafka or PostgreSQL is killed in between."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.events import OutboxRow
from shared.kafka.admin import ensure_topics
from shared.kafka.identity import ProducerIdentity, identity_of, start_producer
from shared.migrate import upgrade
from shared.outbox import append
from shared.settings import DatabaseSettings, KafkaSettings
from shared.topics import Topic
from tests.conftest import KafkaServer, PostgresServer
from tests.integration.shared.relay_process import STEPS

MIGRATIONS = Path("services/scoring/migrations")
PARTITIONS = 3
KEYS = 20


class Bench:
    """An outbox, a topic of its own, and relays that can be killed."""

    def __init__(self, kafka: KafkaServer, database: str, seed: int) -> None:
        self.kafka = KafkaSettings(bootstrap_servers=kafka.bootstrap_servers, partitions=PARTITIONS)
        self.database = DatabaseSettings(url=database)
        self.topic = f"relay-{os.getpid()}-{time.monotonic_ns()}"
        self.dice = random.Random(seed)
        self.written = 0

    async def prepare(self) -> None:
        await upgrade(self.database, MIGRATIONS, "scoring")
        await ensure_topics(self.kafka, [Topic(self.topic, ("test",), 1)])

    async def write(self, conn: asyncpg.Connection, rows: int, more: bytes = b"") -> None:
        """Rows that carry a number rising per key, and `more` behind it."""
        made = []
        for _ in range(rows):
            key = f"k{self.written % KEYS}".encode()
            made.append(OutboxRow(self.topic, key, b"%d" % self.written + b"." * self.dice.randrange(1, 400) + more))
            self.written += 1
        async with conn.transaction():
            await append(conn, "scoring", made, PARTITIONS)

    @contextmanager
    def relay(self, *step: str) -> Iterator[subprocess.Popen[bytes]]:
        """A relay; one with a step kills itself there."""
        env = {
            **os.environ,
            "KIZASHI_KAFKA__BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "KIZASHI_DATABASE__URL": self.database.url.get_secret_value(),
        }
        process = subprocess.Popen([sys.executable, "-m", "tests.integration.shared.relay_process", *step], env=env)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    async def read(self) -> dict[bytes, list[int]]:
        """Everything in the topic as a reader sees it that does not ask for committed data: numbers by key."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka.bootstrap_servers)
        await consumer.start()
        try:
            partitions = [TopicPartition(self.topic, part) for part in range(PARTITIONS)]
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            ends = await consumer.end_offsets(partitions)
            numbers: dict[bytes, list[int]] = defaultdict(list)
            while any([await consumer.position(tp) < ends[tp] for tp in partitions]):
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    for record in records:
                        numbers[record.key].append(int(record.value.partition(b".")[0]))
            return numbers
        finally:
            await consumer.stop()

    async def drained(self, conn: asyncpg.Connection, within_s: float = 60) -> None:
        deadline = time.monotonic() + within_s
        while await conn.fetchval("SELECT count(*) FROM scoring.outbox"):
            assert time.monotonic() < deadline, "the outbox was not emptied"
            await asyncio.sleep(0.1)

    async def assert_exact(self) -> None:
        numbers = await self.read()
        expected = {f"k{key}".encode(): list(range(key, self.written, KEYS)) for key in range(KEYS)}
        assert numbers == expected


@pytest.fixture
async def bench(kafka_server: KafkaServer, database: str) -> Bench:
    made = Bench(kafka_server, database, seed=random.SystemRandom().randrange(1_000_000))
    await made.prepare()
    return made


async def _load(bench: Bench, conn: asyncpg.Connection, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await bench.write(conn, bench.dice.randrange(1, 400))
        await asyncio.sleep(0.01)


async def test_kill_9_of_the_relay_loses_doubles_and_reorders_nothing(bench: Bench) -> None:
    conn = await asyncpg.connect(bench.database.url.get_secret_value())
    try:
        for _ in range(8):
            with bench.relay():
                await _load(bench, conn, 0.8 + bench.dice.random())
        with bench.relay():
            await bench.drained(conn)
    finally:
        await conn.close()
    assert bench.written > 1_000
    await bench.assert_exact()


@pytest.mark.parametrize("step", STEPS)
async def test_death_at_every_step(bench: Bench, step: str) -> None:
    conn = await asyncpg.connect(bench.database.url.get_secret_value())
    try:
        for _ in range(3):
            with bench.relay(step) as relay:
                while relay.poll() is None:
                    await _load(bench, conn, 0.1)
            assert relay.returncode == -signal.SIGKILL
        with bench.relay():
            await bench.drained(conn)
    finally:
        await conn.close()
    await bench.assert_exact()


async def test_a_row_of_several_mebibytes_stops_nobody(bench: Bench) -> None:
    conn = await asyncpg.connect(bench.database.url.get_secret_value())
    try:
        with bench.relay():
            for more in (b"", bench.dice.randbytes(6_000_000), b""):
                await bench.write(conn, 3, more)
                await bench.write(conn, KEYS)
            await bench.drained(conn)
    finally:
        await conn.close()
    await bench.assert_exact()


async def test_kafka_killed_under_the_relay(bench: Bench, kafka_server: KafkaServer) -> None:
    conn = await asyncpg.connect(bench.database.url.get_secret_value())
    try:
        with bench.relay():
            for _ in range(2):
                await _load(bench, conn, 1.5)
                _kill(kafka_server)
            await bench.drained(conn)
    finally:
        await conn.close()
    await bench.assert_exact()


async def test_a_stopped_relay_loses_its_lock_and_does_no_harm_afterwards(bench: Bench) -> None:
    conn = await asyncpg.connect(bench.database.url.get_secret_value())
    try:
        with bench.relay() as stopped, bench.relay():
            await _load(bench, conn, 2.0)
            stopped.send_signal(signal.SIGSTOP)
            await _load(bench, conn, 1.0)
            await bench.drained(conn)
            stopped.send_signal(signal.SIGCONT)
            await _load(bench, conn, 1.0)
            await bench.drained(conn)
    finally:
        await conn.close()
    await bench.assert_exact()


async def test_postgres_killed_under_the_relay(bench: Bench, postgres_server: PostgresServer) -> None:
    conn = await asyncpg.connect(bench.database.url.get_secret_value())
    with bench.relay():
        await _load(bench, conn, 1.5)
        _kill(postgres_server)
        conn = await _connect_again(bench)
        await bench.drained(conn)
        await conn.close()
    await bench.assert_exact()


async def test_the_private_names_of_the_producer_still_work(bench: Bench) -> None:
    first = await start_producer(bench.kafka, None)
    await (await first.send(bench.topic, b"0", partition=0))
    identity = identity_of(first)
    await first.stop()
    assert identity.sequences == {TopicPartition(bench.topic, 0): 1}
    again = await start_producer(
        bench.kafka, ProducerIdentity(identity.producer_id, identity.epoch, {TopicPartition(bench.topic, 0): 0})
    )
    repeated = await (await again.send(bench.topic, b"0", partition=0))
    await again.stop()
    assert repeated.offset == 0


async def _connect_again(bench: Bench) -> asyncpg.Connection:
    deadline = time.monotonic() + 30
    while True:
        try:
            return await asyncpg.connect(bench.database.url.get_secret_value())
        except (OSError, asyncpg.PostgresError):
            assert time.monotonic() < deadline, "PostgreSQL did not come back"
            await asyncio.sleep(0.1)


def _kill(server: KafkaServer | PostgresServer) -> None:
    """Its supervisor starts it again."""
    assert server.process.pid is not None
    os.kill(server.process.pid, signal.SIGKILL)
