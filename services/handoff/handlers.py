"""The consumers' side of handoff: each batch in one transaction."""

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

import asyncpg
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.handoff.batch import judge_batch
from services.handoff.core.rules import Rulebook
from services.handoff.incoming import Arrived, FirstStart, read_states
from services.handoff.notes import Notes
from services.handoff.outcomes import Done, take_answers
from services.handoff.settings import HandoffSettings
from services.handoff.tables import SCHEMA
from shared import offsets, outbox
from shared.clock import Clock
from shared.errors import TransientError
from shared.kafka.admin import ClusterView
from shared.kafka.client import client_options
from shared.kafka.dead_letter import dead_letter
from shared.kafka.poison import handle_or_bury
from shared.kafka.records import Batch, Record
from shared.settings import KafkaSettings
from shared.telemetry import CONSUMER_BATCH_DURATION, CONSUMER_RECORDS, DEAD_LETTERS, QUALIFIED
from shared.topics import HANDOFF_ANSWERS, LEAD_SCORES, dead_letter_topic

STOP_WITHIN_S = 3.0

log = structlog.get_logger()


class Handler(ABC):
    """One consumer of handoff: positions, transaction, outbox; a subclass does the work on the records."""

    topics: tuple[str, ...]

    def __init__(
        self, pool: asyncpg.Pool, settings: HandoffSettings, cluster: ClusterView, clock: Clock, book: Rulebook
    ) -> None:
        self._pool = pool
        self._book = book
        self._settings = settings
        self._cluster = cluster
        self._clock = clock

    @abstractmethod
    async def _work(self, conn: asyncpg.Connection, records: Sequence[Record]) -> Done:
        """Handle `records` inside their transaction."""

    async def load_positions(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """See BatchHandler."""
        async with self._pool.acquire() as conn:
            return await offsets.load(conn, SCHEMA, partitions, self._cluster)

    async def begin_positions(self, positions: Mapping[TopicPartition, int]) -> None:
        """See BatchHandler."""
        async with self._pool.acquire() as conn, conn.transaction():
            await offsets.begin_at(conn, SCHEMA, dict(positions), self._cluster)

    async def handle(self, batch: Batch) -> None:
        """See BatchHandler."""
        with CONSUMER_BATCH_DURATION.time():
            await handle_or_bury(batch, self._handle, self._bury)

    async def _handle(self, batch: Batch) -> None:
        async with self._pool.acquire() as conn, conn.transaction():
            await offsets.advance(conn, SCHEMA, batch)
            done = await self._work(conn, batch.records)
            await outbox.append(conn, SCHEMA, done.published, self._settings.kafka.partitions)
        for labels in done.qualified:
            QUALIFIED.labels(*labels).inc()
        letters = Counter(row.topic for row in done.published)
        for topic, count in Counter(record.topic for record in batch.records).items():
            dead = letters[dead_letter_topic(topic)]
            CONSUMER_RECORDS.labels(topic, "handled").inc(count - dead)
            self._count_letters(topic, dead, "invalid")

    async def _bury(self, batch: Batch, reason: str) -> None:
        async with self._pool.acquire() as conn, conn.transaction():
            await offsets.advance(conn, SCHEMA, batch)
            letters = [dead_letter(record, reason) for record in batch.records]
            await outbox.append(conn, SCHEMA, letters, self._settings.kafka.partitions)
        self._count_letters(batch.records[0].topic, len(batch.records), "refused")

    def _count_letters(self, topic: str, count: int, reason: str) -> None:
        if count:
            CONSUMER_RECORDS.labels(topic, "dead_letter").inc(count)
            DEAD_LETTERS.labels(topic, reason).inc(count)
            log.warning("dead_letters", count=count, topic=topic, reason=reason)


class StateHandler(Handler):
    """Judges the states of `lead-scores`."""

    topics = (LEAD_SCORES.name,)

    def __init__(
        self,
        pool: asyncpg.Pool,
        settings: HandoffSettings,
        cluster: ClusterView,
        clock: Clock,
        book: Rulebook,
        *,
        installed_at: datetime,
    ) -> None:
        super().__init__(pool, settings, cluster, clock, book)
        grace = timedelta(seconds=settings.handoff.first_start_grace_s)
        self._first_start = FirstStart(installed_at, {}, grace)
        self._told: set[str] = set()

    async def load_positions(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """See BatchHandler. Asked before anything is read, so that it is known by then what was there before."""
        async with self._pool.acquire() as conn:
            self._first_start = replace(self._first_start, ends=await Notes(conn).ends(self.topics[0]))
            return await offsets.load(conn, SCHEMA, partitions, self._cluster)

    async def begin_positions(self, positions: Mapping[TopicPartition, int]) -> None:
        """See BatchHandler. Notes where the partitions end too: what lies before was there before handoff."""
        ends = await end_offsets(self._settings.kafka, positions.keys())
        async with self._pool.acquire() as conn, conn.transaction():
            await Notes(conn).note_ends(self.topics[0], {tp.partition: end for tp, end in ends.items()})
            await offsets.begin_at(conn, SCHEMA, dict(positions), self._cluster)

    async def _work(self, conn: asyncpg.Connection, records: Sequence[Record]) -> Done:
        incoming = read_states(records, self._first_start)
        if not incoming.states and not incoming.ended:
            return Done(incoming.letters)
        self._warn_of_models(incoming.states)
        ledger = await judge_batch(conn, self._book, incoming.states, incoming.ended, self._clock())
        return Done([*incoming.letters, *ledger.published], ledger.qualified)

    def _warn_of_models(self, arrived: Sequence[Arrived]) -> None:
        """Say once which rules ask for a model that scoring does not know, and so hand nobody over. The start cannot
        tell: a model may be published later.
        """
        for rule in self._book.rules:
            if rule.model and arrived and rule.id not in self._told and rule.model not in arrived[-1].state.models:
                known = sorted(arrived[-1].state.models)
                log.warning("rule_without_model", rule=rule.id, model=rule.model, known=known)
                self._told.add(rule.id)


class AnswerHandler(Handler):
    """Takes the answers of `handoff-answers`."""

    topics = (HANDOFF_ANSWERS.name,)

    async def _work(self, conn: asyncpg.Connection, records: Sequence[Record]) -> Done:
        return await take_answers(conn, self._book, records, self._clock())


async def end_offsets(kafka: KafkaSettings, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
    """Where partitions end now. Raises TransientError while Kafka is away."""
    consumer = AIOKafkaConsumer(**client_options(kafka), enable_auto_commit=False)
    try:
        await consumer.start()
        found: Mapping[TopicPartition, int] = await consumer.end_offsets(list(partitions))
    except KafkaError as error:
        raise TransientError(f"Kafka does not say where topics end: {error}") from error
    finally:
        # aiokafka's own `stop` may wait for an absent Kafka without end.
        with suppress(TimeoutError, KafkaError):
            await asyncio.wait_for(consumer.stop(), STOP_WITHIN_S)
    return found
