"""The consumers' side of handoff: published states to crossings, and sales' answers, each batch in one transaction."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import asyncpg
import structlog
from aiokafka import TopicPartition

from services.handoff.answers import AnswerBody, give_answer
from services.handoff.batch import BatchJudging
from services.handoff.core.rules import Rule
from services.handoff.core.seen import SeenLead
from services.handoff.repository import HandoffRepository
from services.handoff.settings import HandoffSettings
from services.handoff.tables import SCHEMA
from shared import codec, offsets, outbox
from shared.clock import Clock
from shared.errors import InvalidMessage, ProblemError
from shared.kafka.dead_letter import dead_letter
from shared.kafka.poison import handle_or_bury
from shared.kafka.records import Batch, Record
from shared.outbox import OutboxRow
from shared.telemetry import CONSUMER_RECORDS, DEAD_LETTERS, QUALIFIED
from shared.topics import QUALIFIED_LEADS

log = structlog.get_logger()


class Work(Protocol):
    """What is done with the readable records of a batch, inside its transaction."""

    async def __call__(self, conn: asyncpg.Connection, records: Sequence[Record]) -> list[OutboxRow]:
        """Returns what is to be published, dead letters included."""


class Handler:
    """One consumer of handoff: positions, transaction, outbox; `work` does the rest."""

    def __init__(self, pool: asyncpg.Pool, settings: HandoffSettings, cluster_id: str, work: Work) -> None:
        self._pool = pool
        self._settings = settings
        self._cluster_id = cluster_id
        self._work = work

    async def load_positions(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """See BatchHandler."""
        async with self._pool.acquire() as conn:
            return await offsets.load(conn, SCHEMA, partitions, self._cluster_id)

    async def begin_positions(self, positions: Mapping[TopicPartition, int]) -> None:
        """See BatchHandler."""
        async with self._pool.acquire() as conn:
            await offsets.begin_at(conn, SCHEMA, dict(positions), self._cluster_id)

    async def handle(self, batch: Batch) -> None:
        """See BatchHandler."""
        await handle_or_bury(batch, self._handle, self._bury)

    async def _handle(self, batch: Batch) -> None:
        async with self._pool.acquire() as conn, conn.transaction():
            await offsets.advance(conn, SCHEMA, batch)
            published = await self._work(conn, batch.records)
            await outbox.append(conn, SCHEMA, published, self._settings.kafka.partitions)
        topic = batch.records[0].topic
        letters = sum(row.topic.endswith("-dlq") for row in published)
        CONSUMER_RECORDS.labels(topic, "handled").inc(len(batch.records) - letters)
        if letters:
            DEAD_LETTERS.labels(topic, "invalid").inc(letters)
            log.warning("dead_letters", count=letters, topic=topic)

    async def _bury(self, batch: Batch, reason: str) -> None:
        async with self._pool.acquire() as conn, conn.transaction():
            await offsets.advance(conn, SCHEMA, batch)
            letters = [dead_letter(record, reason) for record in batch.records]
            await outbox.append(conn, SCHEMA, letters, self._settings.kafka.partitions)
        DEAD_LETTERS.labels(batch.records[0].topic, "refused").inc(len(batch.records))
        log.warning("dead_letter", reason=reason, topic=batch.records[0].topic)


class JudgeStates:
    """The work on `lead-scores`."""

    def __init__(self, rules: Sequence[Rule], installed_at: datetime, clock: Clock) -> None:
        self._rules = rules
        self._installed_at = installed_at
        self._clock = clock

    async def __call__(self, conn: asyncpg.Connection, records: Sequence[Record]) -> list[OutboxRow]:
        """Judge the states; tombstones of merged leads were announced by their survivor and say nothing new."""
        states, letters = [], []
        for record in records:
            if record.value is None:
                continue
            try:
                states.append(SeenLead.of(_decode(record)))
            except InvalidMessage as error:
                letters.append(dead_letter(record, str(error)))
        if not states:
            return letters
        judging = BatchJudging(HandoffRepository(conn), self._rules, self._installed_at, self._clock())
        published = await judging.judge(states)
        _count(published)
        return [*letters, *published]


class TakeAnswers:
    """The work on `handoff-answers`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def __call__(self, conn: asyncpg.Connection, records: Sequence[Record]) -> list[OutboxRow]:
        """Give each answer; one that cannot be taken becomes a dead letter that says why."""
        published: list[OutboxRow] = []
        for record in records:
            try:
                body = AnswerBody.read(_decode(record), with_id=True)
                published += (await give_answer(conn, body.handoff_id or "", body, self._clock())).published
            except (InvalidMessage, ProblemError) as error:
                published.append(dead_letter(record, _why(error)))
        return published


def _why(error: Exception) -> str:
    faults = "; ".join(f"{fault.pointer}: {fault.detail}" for fault in getattr(error, "errors", ()))
    return f"{error} {faults}".strip()


def _decode(record: Record) -> Any:
    if record.value is None:
        raise InvalidMessage("has no value")
    try:
        value = codec.decode(record.value)
    except codec.JsonFault as error:
        raise InvalidMessage(str(error)) from error
    if b"\\u0000" in record.value and codec.has_nul(value):
        raise InvalidMessage("holds a NUL character")
    return value


def _count(published: Sequence[OutboxRow]) -> None:
    for row in published:
        if row.topic == QUALIFIED_LEADS.name and row.value is not None:
            body = codec.decode(row.value)
            QUALIFIED.labels(body["model"]["name"], body["grade"] or "").inc()
