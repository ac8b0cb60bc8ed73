"""Scoring: through the consumer, on one lead, folding stored leads again; and the relay that publishes."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import orjson

from deploy.bench.measuring import Line, compare, line_of
from deploy.bench.recording import Recording, RecordingPool
from deploy.bench.rig import CONFIG, stack_of
from deploy.bench.sample import activities
from deploy.bench.scoring_processes import cpu_of_processes
from deploy.bench.scoring_rig import Desk, fill, fresh_desk, kafka_of
from deploy.local.stack import Stack
from services.scoring import model_changes
from services.scoring import models as model_store
from services.scoring.helper import Helpers
from services.scoring.refold import Refolder
from services.scoring.settings import ScoringSection
from services.scoring.tables import SCHEMA
from shared import outbox
from shared.clock import system_clock
from shared.events import OutboxRow
from shared.relay import Relay
from shared.topics import LEAD_SCORES

COUNT = 60_000
LEADS = 6_000
NAIVE_COUNT = 2_000
ROWS = 60_000
ROUNDS = 3
UNIFORM, HOT = "bench-activities", "bench-one-lead"
MAX_RECORDS = ScoringSection().max_records


async def measure() -> AsyncIterator[Line]:
    """scoring, scoring_hot_lead, scoring_30_rules, scoring_processes, refold, relay."""
    with stack_of([]) as stack:
        kafka, now = kafka_of(stack), system_clock()
        await fill(kafka, UNIFORM, list(activities(COUNT, LEADS)), now)
        await fill(kafka, HOT, list(activities(COUNT // 4, 1)), now)
        recording = await _record(stack)

        async def through_the_consumer() -> float:
            return await _consume(stack, UNIFORM, COUNT, MAX_RECORDS)

        async def one_transaction_each() -> float:
            return await _consume(stack, UNIFORM, NAIVE_COUNT, 1)

        async def same_sql() -> float:
            async with fresh_desk(stack) as desk, desk.pool.acquire() as conn:
                return COUNT / await recording.replay(conn)

        async def on_one_lead() -> float:
            return await _consume(stack, HOT, COUNT // 4, MAX_RECORDS)

        async def by_thirty_rules() -> float:
            async with fresh_desk(stack, CONFIG / "thirty") as desk:
                return await desk.consume(UNIFORM, COUNT, MAX_RECORDS)

        async def by_processes(count: int) -> float:
            async with fresh_desk(stack) as desk:
                return COUNT / await cpu_of_processes(stack, desk, UNIFORM, COUNT, count)

        scoring = await compare(
            "scoring", "activities/s", through_the_consumer, limit=same_sql, naive=one_transaction_each
        )
        yield scoring
        hot = await compare("scoring_hot_lead", "activities/s", on_one_lead)
        yield replace(hot, limit=scoring.value)
        thirty = await compare("scoring_30_rules", "activities/s", by_thirty_rules)
        yield replace(thirty, limit=scoring.value)
        yield await compare(
            "scoring_processes", "activities/CPU s", lambda: by_processes(2), limit=lambda: by_processes(1)
        )
        yield await _refold(stack)
        yield await compare("relay", "rows/s", lambda: _relay(stack))


async def _consume(stack: Stack, topic: str, wanted: int, max_records: int) -> float:
    async with fresh_desk(stack) as desk:
        return await desk.consume(topic, wanted, max_records)


async def _record(stack: Stack) -> Recording:
    recording = Recording()
    async with fresh_desk(stack) as desk:
        await desk.consume(UNIFORM, COUNT, MAX_RECORDS, RecordingPool(desk.pool, recording))
    return recording


async def _refold(stack: Stack) -> Line:
    async with fresh_desk(stack) as desk:
        await desk.consume(UNIFORM, COUNT, MAX_RECORDS)
        helpers = Helpers()
        refolder = Refolder(desk.pool, desk.settings, desk.models, system_clock, helpers)
        try:
            seen = [await _refolded(desk, refolder, version) for version in range(2, ROUNDS + 3)]
        finally:
            await refolder.forget_ahead()
            await helpers.end()
    return line_of("refold", "activities/s", {"value": seen[1:]})


async def _refolded(desk: Desk, refolder: Refolder, version: int) -> float:
    """Fold everything by a next version of the same model."""
    (file,) = model_store.read_models(desk.settings.config_dir)
    draft = await model_changes.create(desk.pool, "bench", {**file.tree, "daily_max": 20 + version}, None)
    await model_changes.publish(desk.pool, model_changes.Change("bench", draft.name, draft.version), None, None)
    started = time.perf_counter()
    while await refolder.some():
        pass
    return COUNT / (time.perf_counter() - started)


async def _relay(stack: Stack) -> float:
    """Publish rows of the size of a lead's score that wait in the outbox; rows per second."""
    async with fresh_desk(stack) as desk:
        rows = _rows()
        async with desk.pool.acquire() as conn, conn.transaction():
            await outbox.append(conn, SCHEMA, rows, desk.settings.kafka.partitions)
        return await _emptied(desk, len(rows))


async def _emptied(desk: Desk, count: int) -> float:
    relay = Relay(desk.settings, SCHEMA)
    started = time.perf_counter()
    task = asyncio.ensure_future(relay.run())
    while relay.published < count and not task.done():  # noqa: ASYNC110 - the relay tells nobody how far it is
        await asyncio.sleep(0.01)
    took = time.perf_counter() - started
    task.cancel()
    await asyncio.wait({task})
    return count / took


def _rows() -> Sequence[OutboxRow]:
    body: dict[str, Any] = {"lead_id": "0" * 36, "version": 1, "reasons": [{"rule": "r" * 20, "points": 5.0}] * 10}
    value = orjson.dumps(body)
    return [OutboxRow(LEAD_SCORES.name, f"lead-{number}".encode(), value) for number in range(ROWS)]
