"""A scoring consumer on its own, between a real topic and a real database."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import orjson
from aiokafka import AIOKafkaProducer, TopicPartition

from deploy.bench.rig import CONFIG
from deploy.local.stack import Stack
from services.scoring import models as model_store
from services.scoring.app import ScoringService
from services.scoring.handlers import ActivityHandler
from services.scoring.helper import Helpers
from services.scoring.models import ModelsInForce
from services.scoring.partitions import ensure_partitions
from services.scoring.settings import ScoringSettings
from services.scoring.tables import SCHEMA
from shared.activity import parse_posted, to_record
from shared.clock import system_clock
from shared.garbage import settle
from shared.identity import lead_id_for
from shared.kafka.admin import ClusterView, ensure_topics
from shared.kafka.client import client_options
from shared.kafka.consumer import BatchHandler, ConsumerLoop
from shared.kafka.partition import partition_for
from shared.kafka.records import Batch
from shared.migrate import upgrade
from shared.postgres import create_pool
from shared.relay import Relay
from shared.settings import DatabaseSettings, KafkaSettings
from shared.topics import ALL, Topic

SECRET = "the identity secret of the measurements"  # noqa: S105 - of a database that is thrown away
WITHIN_S = 300.0
_numbers = itertools.count(1)


@dataclass(slots=True)
class Timed:
    """A handler that notes when its first record came and its last was done; `done` is set after `wanted` records."""

    inner: BatchHandler
    wanted: int
    started: float = 0.0
    ended: float = 0.0
    count: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def load_positions(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """See BatchHandler."""
        return await self.inner.load_positions(partitions)

    async def begin_positions(self, positions: Mapping[TopicPartition, int]) -> None:
        """See BatchHandler."""
        await self.inner.begin_positions(positions)

    async def handle(self, batch: Batch) -> None:
        """See BatchHandler."""
        self.started = self.started or time.perf_counter()
        await self.inner.handle(batch)
        self.ended = time.perf_counter()
        self.count += len(batch.records)
        if self.count >= self.wanted:
            self.done.set()

    @property
    def per_second(self) -> float:
        """Records per second, from the first to the last."""
        return self.count / (self.ended - self.started)


@dataclass(frozen=True, slots=True)
class Desk:
    """One fresh database with the measurements' model in force."""

    settings: ScoringSettings
    pool: asyncpg.Pool
    models: ModelsInForce

    async def consume(self, topic: str, wanted: int, max_records: int, pool: Any = None) -> float:
        """Score `wanted` records of `topic` as a service with a backlog, publishing meanwhile; records per second."""
        helpers = Helpers()
        while helpers.idle() is None:  # noqa: ASYNC110 - a helper tells nobody
            await asyncio.sleep(0.01)
        handler = ActivityHandler(
            pool or self.pool, self.settings, self.models, ClusterView("bench"), system_clock, helpers
        )
        timed = Timed(handler, wanted)
        group = f"bench-{next(_numbers)}-{time.time_ns()}"
        loop = ConsumerLoop(
            self.settings.kafka, [topic], group, timed, max_records=max_records, prepare=handler.prepare
        )
        async with _running(helpers.keep()), _running(loop.run()), _running(Relay(self.settings, SCHEMA).run()):
            await asyncio.wait_for(timed.done.wait(), WITHIN_S)
        return timed.per_second


@asynccontextmanager
async def _running(work: Any) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def fresh_desk(stack: Stack, config: Path = CONFIG) -> AsyncIterator[Desk]:
    """A database of its own on the stack's PostgreSQL, with the model in `config`, removed in the end."""
    url = stack.addresses.database_url
    name = f"bench_{next(_numbers)}"
    admin = await asyncpg.connect(url)
    try:
        await admin.execute(f"CREATE DATABASE {name}")
        async with _desk_on(stack, f"{url.rpartition('/')[0]}/{name}", config) as desk:
            yield desk
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()


@asynccontextmanager
async def _desk_on(stack: Stack, url: str, config: Path) -> AsyncIterator[Desk]:
    settings = ScoringSettings(
        identity_secret=SECRET,
        config_dir=config,
        kafka=kafka_of(stack),
        database=DatabaseSettings(url=url),
    )
    await upgrade(settings.database, ScoringService.migrations, SCHEMA)
    pool = await create_pool(settings.database, name="bench", size=4)
    try:
        async with pool.acquire() as conn:
            await ensure_partitions(conn, system_clock())
            models = await model_store.publish(conn, model_store.read_models(config))
        settle()
        yield Desk(settings, pool, models)
    finally:
        await pool.close()


def kafka_of(stack: Stack) -> KafkaSettings:
    """How to reach the stack's Kafka."""
    return KafkaSettings(bootstrap_servers=stack.addresses.bootstrap_servers)


async def fill(kafka: KafkaSettings, topic: str, posted: "list[dict[str, Any]]", now: datetime) -> None:
    """Write activities to a new topic as ingest does."""
    await ensure_topics(kafka, [*ALL, Topic(topic, ("bench",), 1)])
    lead_id = partial(lead_id_for, SECRET.encode())
    producer = AIOKafkaProducer(**client_options(kafka), acks="all", linger_ms=20)
    await producer.start()
    try:
        for raw in posted:
            activity = parse_posted(raw, id_if_absent="", source_if_absent="bench", received_at=now, region="JP")
            key = lead_id(activity.identifiers[0]).encode()
            await producer.send(
                topic, orjson.dumps(to_record(activity)), key=key, partition=partition_for(key, kafka.partitions)
            )
        await producer.flush()
    finally:
        await producer.stop()
