"""The consumer's side of scoring: a batch of `lead-activities` in one transaction."""

from collections.abc import Collection, Mapping
from functools import partial

import asyncpg
import structlog
from aiokafka import TopicPartition

from services.scoring.batch import BatchScoring
from services.scoring.incoming import Incoming, read_records
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
from shared.kafka.records import Batch
from shared.telemetry import CONSUMER_BATCH_DURATION, CONSUMER_RECORDS, DEAD_LETTERS
from shared.topics import LEAD_ACTIVITIES

MAX_RACES = 5

log = structlog.get_logger()


class ActivityHandler:
    """Turns records of `lead-activities` into scores. One per process."""

    def __init__(
        self, pool: asyncpg.Pool, settings: ScoringSettings, models: ModelsInForce, cluster: ClusterView, clock: Clock
    ) -> None:
        self._pool = pool
        self._settings = settings
        self._models = models
        self._cluster = cluster
        self._clock = clock
        self._lead_id_for = partial(lead_id_for, settings.identity_key)

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
            repository = ScoringRepository(conn)
            new, conflicts = await repository.add_keys(incoming.activities.values())
            published = list(incoming.letters)
            if new:
                scoring = BatchScoring(repository, models, self._lead_id_for, self._clock())
                fresh = {key: activity for key, activity in incoming.activities.items() if key in new}
                published += await scoring.score(fresh, incoming.bodies)
            await outbox.append(conn, SCHEMA, published, self._settings.kafka.partitions)
        return len(new), conflicts

    async def _bury(self, batch: Batch, reason: str) -> None:
        async with self._pool.acquire() as conn, conn.transaction():
            await offsets.advance(conn, SCHEMA, batch)
            letters = [dead_letter(record, reason) for record in batch.records]
            await outbox.append(conn, SCHEMA, letters, self._settings.kafka.partitions)
        log.warning("dead_letter", reason=reason, topic=LEAD_ACTIVITIES.name)
        DEAD_LETTERS.labels(LEAD_ACTIVITIES.name, "refused").inc(len(batch.records))

    def _count(self, batch: Batch, incoming: Incoming, new: int, conflicts: int) -> None:
        topic, letters = LEAD_ACTIVITIES.name, len(incoming.letters)
        CONSUMER_RECORDS.labels(topic, "new").inc(new)
        CONSUMER_RECORDS.labels(topic, "duplicate").inc(len(batch.records) - letters - new)
        CONSUMER_RECORDS.labels(topic, "conflict").inc(conflicts)
        CONSUMER_RECORDS.labels(topic, "dead_letter").inc(letters)
        if letters:
            DEAD_LETTERS.labels(topic, "invalid").inc(letters)
            log.warning("dead_letters", count=letters, topic=topic)
