"""Seen from outside: has everything that was sent been counted and handed over, and what stands on a topic?"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import asyncpg
import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.errors import KizashiError
from shared.kafka.admin import view_cluster
from shared.kafka.client import client_options
from shared.settings import KafkaSettings, Settings
from shared.topics import LEAD_SCORES, QUALIFIED_LEADS

PATIENCE_S = 60.0
"""How long nothing may move before the wait is given up."""
_POLL_S = 0.1
# A crossing may wait 15 s for the verdict on a mail click; nothing else comes later.
_QUIET_S = 20.0


@dataclass(frozen=True, slots=True)
class Sight:
    """How far the services are at one moment. `judged` of `published` states; `waiting` records to be published."""

    counted: int
    published: int
    judged: int
    waiting: int
    qualified: int


class Watcher:
    """Looks at a running stack without taking part in it. Use as `async with Watcher(settings) as watcher`."""

    def __init__(self, settings: Settings) -> None:
        self._kafka, self._database = settings.kafka, settings.database.url.get_secret_value()

    async def __aenter__(self) -> "Watcher":
        self._consumer = _consumer(self._kafka)
        await self._consumer.start()
        self._conn = await asyncpg.connect(self._database)
        self._partitions = {
            topic: await _partitions(self._kafka, topic) for topic in (LEAD_SCORES.name, QUALIFIED_LEADS.name)
        }
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._conn.close()
        await self._consumer.stop()

    async def until_counted(self, activities: int, on_progress: Callable[[int], None]) -> None:
        """Wait until scoring has counted so many activities and published what follows. Raises KizashiError."""
        patience = _Patience("scoring")
        while True:
            counted = await self._number("SELECT count(*) FROM scoring.activity_key")
            waiting = await self._number("SELECT count(*) FROM scoring.outbox")
            on_progress(counted)
            if counted >= activities and not waiting:
                return
            await patience.wait((counted, waiting), f"{counted:,} of {activities:,} activities are counted")

    async def until_handed_over(self, expected: int) -> None:
        """Wait until handoff has judged every state and `expected` leads, or as many as there ever come, are out.

        Raises KizashiError when handoff does not get on.
        """
        patience, last, since = _Patience("handoff"), -1, time.monotonic()
        while True:
            sight = await self.look()
            if sight.qualified != last:
                last, since = sight.qualified, time.monotonic()
            if sight.judged >= sight.published and not sight.waiting:
                if sight.qualified >= expected or time.monotonic() - since > _QUIET_S:
                    return
                await asyncio.sleep(_POLL_S)
                continue
            await patience.wait(sight, f"{sight.judged:,} of {sight.published:,} published states are judged")

    async def look(self) -> Sight:
        """How far everything is now."""
        # Published before judged, so that nothing looks done that is not.
        counted = await self._number("SELECT count(*) FROM scoring.activity_key")
        waiting = await self._number("SELECT count(*) FROM scoring.outbox")
        published = await self._end(LEAD_SCORES.name)
        judged = await self._number(
            "SELECT coalesce(sum(next_offset), 0) FROM handoff.consumer_offset WHERE topic = $1", LEAD_SCORES.name
        )
        waiting += await self._number("SELECT count(*) FROM handoff.outbox")
        return Sight(counted, published, judged, waiting, await self._end(QUALIFIED_LEADS.name))

    async def _number(self, query: str, *arguments: Any) -> int:
        return int(await self._conn.fetchval(query, *arguments))

    async def _end(self, topic: str) -> int:
        ends: dict[TopicPartition, int] = await self._consumer.end_offsets(self._partitions[topic])
        return sum(ends.values())


class _Patience:
    """Sleeps between looks, and gives up when one look was like the last for too long."""

    def __init__(self, who: str) -> None:
        self._who, self._since = who, time.monotonic()
        self._seen: object = None

    async def wait(self, seen: object, where: str) -> None:
        if seen != self._seen:
            self._seen, self._since = seen, time.monotonic()
        if time.monotonic() - self._since > PATIENCE_S:
            raise KizashiError(f"{self._who} has not moved for {PATIENCE_S:.0f} s: {where}")
        await asyncio.sleep(_POLL_S)


async def read_topic(kafka: KafkaSettings, topic: str) -> list[tuple[bytes, Any]]:
    """Key and value of every committed record of a topic, in order within each lead; None is a tombstone's value."""
    consumer = _consumer(kafka)
    await consumer.start()
    try:
        partitions = await _partitions(kafka, topic)
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        records: list[tuple[bytes, Any]] = []
        deadline = time.monotonic() + PATIENCE_S
        while behind := [one for one in partitions if await consumer.position(one) < ends[one]]:
            for found in (await consumer.getmany(*behind, timeout_ms=200)).values():
                records += [(record.key, orjson.loads(record.value) if record.value else None) for record in found]
            if time.monotonic() > deadline:
                raise KizashiError(f"{topic} could not be read to its end within {PATIENCE_S:.0f} s")
        return records
    finally:
        await consumer.stop()


def _consumer(kafka: KafkaSettings) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        **client_options(kafka),
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )


async def _partitions(kafka: KafkaSettings, topic: str) -> list[TopicPartition]:
    view = await view_cluster(kafka, [topic])
    return [TopicPartition(topic, number) for number in range(view.partitions[topic])]
