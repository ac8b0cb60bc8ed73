"""Reading a topic from outside, without a consumer group: what the commands do."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from shared.errors import KizashiError
from shared.kafka.admin import view_cluster
from shared.kafka.client import client_options
from shared.settings import KafkaSettings

POLL_MS = 200
QUIET_POLLS = 25
"""So many polls in a row without a record, five seconds, and the end counts as reached: what is left holds no records
(markers of transactions, holes of compaction)."""


@dataclass(frozen=True, slots=True)
class OpenTopic:
    """A topic under reading: where each partition began and ended when it was opened."""

    consumer: AIOKafkaConsumer
    begin: Mapping[TopicPartition, int]
    end: Mapping[TopicPartition, int]

    def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        """Go on reading from `positions`."""
        for tp, at in positions.items():
            self.consumer.seek(tp, at)

    async def until_end(self) -> AsyncIterator[list["ConsumerRecord[bytes, bytes]"]]:
        """Lists of records up to `end`, each partition's in order; what arrives beyond it meanwhile is left."""
        quiet = 0
        while quiet < QUIET_POLLS:
            behind = [tp for tp in self.end if await self.consumer.position(tp) < self.end[tp]]
            if not behind:
                break
            records = _flatten(await self.consumer.getmany(*behind, timeout_ms=POLL_MS))
            quiet = 0 if records else quiet + 1
            yield [raw for raw in records if raw.offset < self.end[TopicPartition(raw.topic, raw.partition)]]
        self.seek(self.end)

    async def coming(self) -> list["ConsumerRecord[bytes, bytes]"]:
        """What has arrived since; waits a moment where nothing has."""
        return _flatten(await self.consumer.getmany(timeout_ms=POLL_MS))


@asynccontextmanager
async def reading(
    kafka: KafkaSettings, topic: str, isolation: Literal["read_committed", "read_uncommitted"] = "read_committed"
) -> AsyncIterator[OpenTopic]:
    """Open a topic at its beginning.

    Raises KizashiError for a topic that does not exist, TransientError and KafkaError when Kafka does not answer.
    """
    view = await view_cluster(kafka, [topic])
    if topic not in view.partitions:
        raise KizashiError(f"there is no topic {topic} in Kafka at {kafka.bootstrap_servers}")
    partitions = [TopicPartition(topic, number) for number in range(view.partitions[topic])]
    consumer = AIOKafkaConsumer(
        **client_options(kafka),
        isolation_level=isolation,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        request_timeout_ms=10_000,
    )
    await consumer.start()
    try:
        consumer.assign(partitions)
        begin = await consumer.beginning_offsets(partitions)
        opened = OpenTopic(consumer, begin, await consumer.end_offsets(partitions))
        opened.seek(begin)
        yield opened
    finally:
        with suppress(KafkaError, asyncio.TimeoutError):
            await asyncio.wait_for(consumer.stop(), 3)


def _flatten(
    fetched: Mapping[TopicPartition, Collection["ConsumerRecord[bytes, bytes]"]],
) -> list["ConsumerRecord[bytes, bytes]"]:
    return [raw for tp in sorted(fetched) for raw in fetched[tp]]
