"""What runs wait for: what stood in `lead-scores` when they fell due has been judged, by whichever process."""

from collections.abc import Mapping
from datetime import datetime
from time import monotonic

import asyncpg
import structlog
from aiokafka import TopicPartition

from services.handoff.handlers import end_offsets
from services.handoff.tables import SCHEMA
from shared import offsets
from shared.errors import TransientError, reason
from shared.kafka.admin import ClusterView
from shared.kafka.client import answered
from shared.settings import KafkaSettings
from shared.topics import LEAD_SCORES

STALLED_AFTER_S = 60.0
"""Several times as long as it takes until the partitions of a process that died or hangs are another's."""

log = structlog.get_logger()


class Backlog:
    """One wait at a time. A process knows of its own partitions only, and of those of one that was stopped nobody does:
    so the ends of all partitions are asked for, and the positions in the database decide.
    """

    def __init__(self, pool: asyncpg.Pool, kafka: KafkaSettings, cluster: ClusterView) -> None:
        self._pool = pool
        self._kafka = kafka
        self._cluster = cluster
        self._partitions = [TopicPartition(LEAD_SCORES.name, number) for number in range(kafka.partitions)]
        self._since: datetime | None = None
        self._ends: Mapping[TopicPartition, int] | None = None
        self._behind: Mapping[TopicPartition, int] | None = None
        self._moved_at = 0.0

    async def judged(self, now: datetime) -> datetime | None:
        """Begin to wait, or go on; None while it is not over, in the end the instant at which it began.

        Nobody waits without end for states that are not judged: after a minute in which no position moved they are left
        behind. That minute does not pass while Kafka is away, as nothing can be handed over meanwhile. A wait that is
        left, because another process began the runs, costs the next one a look, which finds nothing of then to begin.
        """
        since = self._since = self._since or now
        if not await self._is_over():
            return None
        self._since = self._ends = self._behind = None
        return since

    async def _is_over(self) -> bool:
        if self._ends is None:
            self._ends = await self._ask_kafka()
        if self._ends is None:
            return False
        behind = await self._find_behind(self._ends)
        if behind != self._behind:
            self._behind, self._moved_at = behind, monotonic()
        return not behind or await self._is_given_up(self._ends, behind)

    async def _is_given_up(self, ends: Mapping[TopicPartition, int], behind: Mapping[TopicPartition, int]) -> bool:
        if monotonic() - self._moved_at < STALLED_AFTER_S:
            return False
        if await self._ask_kafka() is None:
            self._moved_at = monotonic()
            return False
        waiting = {tp.partition: ends[tp] - at for tp, at in behind.items()}
        log.warning("runs_without_backlog", detail="states that wait are left to the next runs", waiting=waiting)
        return True

    async def _ask_kafka(self) -> Mapping[TopicPartition, int] | None:
        """Where all partitions end; None while Kafka is away."""
        try:
            return await answered(end_offsets(self._kafka, self._partitions))
        except (TransientError, OSError) as error:
            log.warning("runs_wait_for_kafka", problem=reason(error))
            return None

    async def _find_behind(self, ends: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
        """Where partitions stand that have not come to their end. Raises ForeignKafkaError as the consumers do."""
        async with self._pool.acquire() as conn:
            known = await offsets.load(conn, SCHEMA, self._partitions, self._cluster)
        # One that is not known has been read by nobody, which is no matter where nothing stands in it.
        return {tp: known.get(tp, 0) for tp, end in ends.items() if known.get(tp, 0) < end}
