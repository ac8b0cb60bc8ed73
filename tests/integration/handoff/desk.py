"""A handoff consumer without Kafka: batches are handed to the real handlers, on a real PostgreSQL."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import orjson
from aiokafka import TopicPartition

from services.handoff.core.rules import Rulebook, load_rules
from services.handoff.handlers import AnswerHandler, Handler, StateHandler
from services.handoff.notes import Notes
from services.handoff.runs import Runs
from services.handoff.settings import HandoffSettings
from services.handoff.tables import SCHEMA
from services.handoff.timers import Timers
from shared import offsets
from shared.kafka.admin import ClusterView
from shared.kafka.partition import partition_for
from shared.kafka.records import Batch, Record
from shared.migrate import upgrade
from shared.postgres import create_pool
from shared.settings import DatabaseSettings, KafkaSettings
from tests.conftest import PARTITIONS
from tests.unit.handoff.builders import body, day

MIGRATIONS = Path("services/handoff/migrations")
NOW = day(1)
RULES = "rules:\n  - {id: hot, enter: 50, leave: 45, to: inside-sales, when: immediately}\n"
(STATES,), (ANSWERS,) = StateHandler.topics, AnswerHandler.topics


@dataclass
class Desk:
    """Consumers on one database. `ends` is where each partition of the imagined topics ends."""

    pool: asyncpg.Pool
    settings: HandoffSettings
    book: Rulebook
    now: datetime = NOW
    ends: dict[TopicPartition, int] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)

    def handler(self, topic: str = STATES) -> Handler:
        if topic == ANSWERS:
            return AnswerHandler(self.pool, self.settings, ClusterView("cluster"), lambda: self.now, self.book)
        return StateHandler(
            self.pool, self.settings, ClusterView("cluster"), lambda: self.now, self.book, installed_at=day(0)
        )

    def timers(self) -> Timers:
        return Timers(self.pool, self.settings, lambda: self.now, self.book)

    def runs(self, backlog: Any = None) -> Runs:
        return Runs(self.pool, self.settings, lambda: self.now, self.book, backlog)

    async def run_at(self, now: datetime) -> None:
        """Everything that time alone does, up to `now`."""
        self.now = now
        while await self.runs().tick() or await self.timers().tick():
            pass

    def published(self, lead: str, score: float | None, at: float = 1, **more: Any) -> tuple[str, bytes]:
        """The next state of a lead as a record: key and value."""
        self.versions[lead] = more.pop("version", self.versions.get(lead, 0) + 1)
        return lead, orjson.dumps(body(score, at, lead_id=lead, version=self.versions[lead], **more))

    async def merged_away(self, lead: str, into: str) -> None:
        """Handle the tombstone of a lead that was merged, as one batch."""
        batch = await self.batch([(lead, None)])
        batch.records[0].headers = [("merged_into", into.encode())]
        await self.handler().handle(batch)

    async def batch(self, records: Sequence[tuple[str | None, bytes | None]], topic: str = STATES) -> Batch:
        """Keys and values as records at the ends of their partitions."""
        made: list[Record] = []
        expected: dict[TopicPartition, int] = {}
        for key, value in records:
            tp = TopicPartition(topic, partition_for(key.encode(), PARTITIONS) if key else 0)
            offset = self.ends.get(tp, 0)
            expected.setdefault(tp, offset)
            made.append(Record(topic, tp.partition, offset, 0, key.encode() if key else None, value, []))
            self.ends[tp] = offset + 1
        made.sort(key=lambda record: record.partition)
        async with self.pool.acquire() as conn:
            await offsets.begin_at(conn, SCHEMA, dict.fromkeys(expected, 0), ClusterView("cluster"))
        return Batch(made, expected, {tp: self.ends[tp] for tp in expected})

    async def states(self, *records: tuple[str, bytes | None]) -> None:
        """Handle states as one batch."""
        await self.handler().handle(await self.batch(records))

    async def answers(self, *answers: Any) -> None:
        """Handle answers as one batch of `handoff-answers`; bytes as they are, all else as JSON."""
        values = [item if isinstance(item, bytes) else orjson.dumps(item) for item in answers]
        batch = await self.batch([("k", value) for value in values], ANSWERS)
        await self.handler(ANSWERS).handle(batch)

    async def outbox(self, topic: str) -> list[Any]:
        """The values in the outbox for `topic`, in order."""
        rows = await self.pool.fetch("SELECT value FROM handoff.outbox WHERE topic = $1 ORDER BY id", topic)
        return [orjson.loads(row[0]) for row in rows]

    async def cycles(self) -> list[tuple[str, str, int]]:
        """Lead, rule and cycle of every qualified lead."""
        return [(item["lead"]["id"], item["rule"], item["cycle"]) for item in await self.outbox("qualified-leads")]

    async def standing(self) -> list[str]:
        """The states of all handoffs in the order of their making."""
        return [row[0] for row in await self.pool.fetch("SELECT state FROM handoff.handoff ORDER BY recorded_at, id")]


async def open_desk(database_url: str, rules: str = RULES) -> Desk:
    """A migrated database and handlers on it."""
    settings = HandoffSettings(kafka=KafkaSettings(partitions=PARTITIONS), database=DatabaseSettings(url=database_url))
    await upgrade(settings.database, MIGRATIONS, SCHEMA)
    pool = await create_pool(settings.database, name="test", size=6)
    async with pool.acquire() as conn:
        await Notes(conn).install(day(0))
    return Desk(pool, settings, load_rules(rules).rulebook(1))
