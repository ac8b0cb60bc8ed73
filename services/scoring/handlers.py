"""The consumers' side of scoring: each batch in one transaction."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from functools import partial

import asyncpg
import structlog
from aiokafka import TopicPartition

from services.scoring.admitting import admit
from services.scoring.batch import BatchScoring
from services.scoring.entering import Work, take_recyclings
from services.scoring.entry_repository import EntryRepository
from services.scoring.erasures import Erasures
from services.scoring.helper import Helpers
from services.scoring.incoming import Incoming, read_ahead, read_outcomes, read_records
from services.scoring.models import ModelsInForce
from services.scoring.repository import LostRaceError, ScoringRepository
from services.scoring.settings import ScoringSettings
from services.scoring.tables import SCHEMA
from shared import offsets, outbox
from shared.clock import Clock
from shared.identity import lead_id_for
from shared.kafka.admin import ClusterView
from shared.kafka.dead_letter import dead_letter
from shared.kafka.poison import handle_or_bury
from shared.kafka.records import Batch, Record
from shared.telemetry import CONSUMER_BATCH_DURATION, CONSUMER_RECORDS, DEAD_LETTERS, END_TO_END, SCORING_DURATION
from shared.topics import HANDOFF_OUTCOMES, LEAD_ACTIVITIES

MAX_RACES = 5
AT_ONCE = 100
"""So many records are read ahead before the batch in hand may go on: a millisecond or two."""

log = structlog.get_logger()


class Handler(ABC):
    """One consumer of scoring: positions, and burying what can never be handled. One per process and topic."""

    topic: str

    def __init__(
        self, pool: asyncpg.Pool, settings: ScoringSettings, models: ModelsInForce, cluster: ClusterView, clock: Clock
    ) -> None:
        self._pool = pool
        self._settings = settings
        self._models = models
        self._cluster = cluster
        self._clock = clock
        self._base_id_for = partial(lead_id_for, settings.identity_key)
        self._erasures = Erasures(self._base_id_for)

    @abstractmethod
    async def _handle(self, batch: Batch) -> None:
        """Handle a batch in one transaction that moves its positions too."""

    async def load_positions(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """See BatchHandler."""
        async with self._pool.acquire() as conn:
            return await offsets.load(conn, SCHEMA, partitions, self._cluster)

    async def begin_positions(self, positions: Mapping[TopicPartition, int]) -> None:
        """See BatchHandler."""
        async with self._pool.acquire() as conn:
            await offsets.begin_at(conn, SCHEMA, dict(positions), self._cluster)

    async def handle(self, batch: Batch) -> None:
        """See BatchHandler."""
        with CONSUMER_BATCH_DURATION.time():
            await handle_or_bury(batch, self._handle, self._bury)

    async def _bury(self, batch: Batch, reason: str) -> None:
        async with self._pool.acquire() as conn, conn.transaction():
            await offsets.advance(conn, SCHEMA, batch)
            letters = [dead_letter(record, reason) for record in batch.records]
            await outbox.append(conn, SCHEMA, letters, self._settings.kafka.partitions)
        log.warning("dead_letter", reason=reason, topic=self.topic)
        DEAD_LETTERS.labels(self.topic, "refused").inc(len(batch.records))

    def _count_letters(self, letters: int) -> None:
        CONSUMER_RECORDS.labels(self.topic, "dead_letter").inc(letters)
        if letters:
            DEAD_LETTERS.labels(self.topic, "invalid").inc(letters)
            log.warning("dead_letters", count=letters, topic=self.topic)


class ActivityHandler(Handler):
    """Turns records of `lead-activities` into scores."""

    topic = LEAD_ACTIVITIES.name

    def __init__(
        self,
        pool: asyncpg.Pool,
        settings: ScoringSettings,
        models: ModelsInForce,
        cluster: ClusterView,
        clock: Clock,
        helpers: Helpers | None = None,
    ) -> None:
        """`helpers` fold a part of large batches."""
        super().__init__(pool, settings, models, cluster, clock)
        self._helpers = helpers

    async def prepare(self, records: Sequence[Record]) -> None:
        """Read the records of the next batch while the database works on this one."""
        for start in range(0, len(records), AT_ONCE):
            read_ahead(records[start : start + AT_ONCE], self._settings.region)
            await asyncio.sleep(0)

    async def _handle(self, batch: Batch) -> None:
        incoming = read_records(batch.records, self._settings.region)
        for _ in range(MAX_RACES):
            try:
                new, conflicts = await self._commit(batch, incoming)
            except LostRaceError as error:
                log.info("lost_race", detail=str(error))
            else:
                self._count(batch, incoming, new, conflicts)
                return
        raise LostRaceError(f"other workers were faster {MAX_RACES} times")

    async def _commit(self, batch: Batch, incoming: Incoming) -> tuple[int, int]:
        """Returns how many activities were new, and how many known ones came with another body."""
        async with self._pool.acquire() as conn, conn.transaction():
            models = await self._models.pin(conn)
            await offsets.advance(conn, SCHEMA, batch)
            await self._erasures.refresh(conn)
            repository = ScoringRepository(conn)
            new, conflicts = await repository.add_keys(incoming.fingerprints)
            published = list(incoming.letters)
            fresh = {key: activity for key, activity in incoming.activities.items() if key in new}
            admitted = await admit(repository, models, self._erasures, fresh, incoming.bodies)
            if admitted.refused:
                await repository.void_keys(admitted.refused)
            if admitted.fresh:
                entries, named = EntryRepository(conn), self._erasures.lead_id_for
                scoring = BatchScoring(repository, entries, models, named, self._clock(), self._helpers)
                publish = partial(outbox.append, conn, SCHEMA, partitions=self._settings.kafka.partitions)
                with SCORING_DURATION.time():
                    published += await scoring.score(admitted.fresh, admitted.bodies, publish)
            await outbox.append(conn, SCHEMA, published, self._settings.kafka.partitions)
        return len(new), conflicts

    def _count(self, batch: Batch, incoming: Incoming, new: int, conflicts: int) -> None:
        letters = len(incoming.letters)
        CONSUMER_RECORDS.labels(self.topic, "new").inc(new)
        CONSUMER_RECORDS.labels(self.topic, "duplicate").inc(len(batch.records) - letters - new)
        CONSUMER_RECORDS.labels(self.topic, "conflict").inc(conflicts)
        if received := [activity.received_at for activity in incoming.activities.values() if activity.received_at]:
            END_TO_END.labels("scored").observe(max((self._clock() - min(received)).total_seconds(), 0.0))
        self._count_letters(letters)


class OutcomeHandler(Handler):
    """Takes note of what sales sent back, from `handoff-outcomes`."""

    topic = HANDOFF_OUTCOMES.name

    async def _handle(self, batch: Batch) -> None:
        returned = read_outcomes(batch.records)
        async with self._pool.acquire() as conn, conn.transaction():
            models = await self._models.pin(conn)
            await offsets.advance(conn, SCHEMA, batch)
            published = list(returned.letters)
            await self._erasures.refresh(conn)
            work = Work(conn, models, self._erasures.lead_id_for, self._base_id_for, self._clock())
            for lead_id, entries in sorted(returned.entries.items()):
                published += await take_recyclings(work, lead_id, entries)
            await outbox.append(conn, SCHEMA, published, self._settings.kafka.partitions)
        letters = len(returned.letters)
        CONSUMER_RECORDS.labels(self.topic, "handled").inc(len(batch.records) - letters)
        self._count_letters(letters)
