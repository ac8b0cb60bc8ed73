"""Handoff: published states through its consumer, judged, kept, and handed over where they cross."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import asyncpg
import orjson
from aiokafka import AIOKafkaProducer

from deploy.bench.measuring import Line, compare
from deploy.bench.rig import CONFIG, stack_of
from deploy.bench.scoring_rig import SECRET, WITHIN_S, Timed, kafka_of
from deploy.local.stack import Stack
from services.handoff.app import HandoffService
from services.handoff.config import FILE, read_handoff_file
from services.handoff.handlers import StateHandler
from services.handoff.settings import HandoffSettings
from services.handoff.tables import SCHEMA
from shared import schemas
from shared.clock import system_clock, to_rfc3339
from shared.events import SCORE_CHANGED
from shared.kafka.admin import ClusterView, ensure_topics
from shared.kafka.client import client_options
from shared.kafka.consumer import ConsumerLoop
from shared.migrate import upgrade
from shared.postgres import create_pool
from shared.settings import DatabaseSettings, KafkaSettings
from shared.topics import Topic

COUNT, LEADS = 30_000, 6_000
STATES = Topic("bench-states", ("bench",), 1)
COLD, HOT = 20.0, 80.0
HOT_EVERY = 100
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
_numbers = itertools.count(1)


async def measure() -> AsyncIterator[Line]:
    """judging."""
    with stack_of([]) as stack:
        await _fill(kafka_of(stack))
        yield await compare("judging", "states/s", lambda: _judged(stack))


async def _fill(kafka: KafkaSettings) -> None:
    await ensure_topics(kafka, [STATES])
    example, now = next(iter(schemas.examples(SCORE_CHANGED).values())), to_rfc3339(system_clock())
    producer = AIOKafkaProducer(**client_options(kafka), acks="all", linger_ms=20)
    await producer.start()
    try:
        for number in range(COUNT):
            state = _state(example, number, now)
            await producer.send(STATES.name, orjson.dumps(state), key=state["lead_id"].encode())
        await producer.flush()
    finally:
        await producer.stop()


def _state(example: dict[str, Any], number: int, now: str) -> dict[str, Any]:
    """The next state of a lead; one lead in a hundred is hot in its last."""
    lead, version = number % LEADS, number // LEADS + 1
    hot = lead % HOT_EVERY == 0 and version == COUNT // LEADS
    models = {name: {**model, "score": HOT if hot else COLD} for name, model in example["models"].items()}
    told: dict[str, Any] = {"lead_id": f"lead-{lead}", "version": version, "evaluated_at": now, "models": models}
    return {**example, **told, "merged_from": []}


async def _judged(stack: Stack) -> float:
    """States a second on a database of its own."""
    url = stack.addresses.database_url
    name = f"bench_handoff_{next(_numbers)}"
    admin = await asyncpg.connect(url)
    try:
        await admin.execute(f"CREATE DATABASE {name}")
        rate = await _consumed(stack, f"{url.rpartition('/')[0]}/{name}")
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()
    return rate


async def _consumed(stack: Stack, url: str) -> float:
    settings = HandoffSettings(
        identity_secret=SECRET, config_dir=CONFIG, kafka=kafka_of(stack), database=DatabaseSettings(url=url)
    )
    await upgrade(settings.database, HandoffService.migrations, SCHEMA)
    book = read_handoff_file(CONFIG / FILE).rulebook()
    pool = await create_pool(settings.database, name="bench", size=4)
    handler = StateHandler(pool, settings, ClusterView("bench"), system_clock, book, installed_at=LONG_AGO)
    timed = Timed(handler, COUNT)
    group = f"bench-states-{next(_numbers)}-{time.time_ns()}"
    loop = ConsumerLoop(settings.kafka, [STATES.name], group, timed, max_records=settings.handoff.max_records)
    task = asyncio.create_task(loop.run())
    try:
        await asyncio.wait_for(timed.done.wait(), WITHIN_S)
        handed = await pool.fetchval("SELECT count(*) FROM handoff.handoff")
        if handed != LEADS // HOT_EVERY:
            raise RuntimeError(f"{handed} leads were handed over")
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await pool.close()
    return timed.per_second
