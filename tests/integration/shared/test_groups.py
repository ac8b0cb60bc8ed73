"""Members of a consumer group to whom Kafka gives nothing, or whose database does not say where they are to read."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition

from shared.errors import KizashiError
from shared.kafka import consumer as module
from shared.kafka.admin import ensure_topics
from shared.kafka.client import client_options
from shared.kafka.consumer import ConsumerLoop
from shared.kafka.records import Batch
from shared.settings import KafkaSettings
from shared.topics import Topic
from tests.conftest import KafkaServer

WITHIN_S = 40.0


class Positions:
    """A handler that reads from the beginning and keeps nothing; its database fails as often as it has `faults`."""

    def __init__(self, *faults: Exception) -> None:
        self.faults = [*faults]

    async def load_positions(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        if self.faults:
            raise self.faults.pop()
        return dict.fromkeys(partitions, 0)

    async def begin_positions(self, positions: Mapping[TopicPartition, int]) -> None: ...

    async def handle(self, batch: Batch) -> None: ...


class Dawdler(ConsumerRebalanceListener):  # type: ignore[misc]
    """A member that lets the others wait before it gives its partitions back."""

    def __init__(self) -> None:
        self.may = asyncio.Event()
        self.has: Collection[TopicPartition] = ()

    async def on_partitions_revoked(self, _: Collection[TopicPartition]) -> None:
        if self.has:
            await self.may.wait()

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self.has = assigned


@pytest.fixture
def kafka(kafka_server: KafkaServer) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=kafka_server.bootstrap_servers, partitions=1)


@asynccontextmanager
async def a_topic(kafka: KafkaSettings) -> AsyncIterator[str]:
    topic = f"groups-{time.monotonic_ns()}"
    await ensure_topics(kafka, [Topic(topic, ("test",), 1)])
    yield topic


@asynccontextmanager
async def member(
    kafka: KafkaSettings, topic: str, name: str, positions: Positions | None = None
) -> AsyncIterator[ConsumerLoop]:
    loop = ConsumerLoop(kafka, [topic], f"of-{topic}", cast("Any", positions or Positions()), instance=name)
    task = asyncio.create_task(loop.run())
    try:
        yield loop
    finally:
        task.cancel()
        await asyncio.wait({task})


@asynccontextmanager
async def a_group_that_has_read(kafka: KafkaSettings) -> AsyncIterator[str]:
    """Kafka then has a position of its own to go on from, so that nothing else asks for ours."""
    async with a_topic(kafka) as topic:
        async with member(kafka, topic, "a") as loop:
            await until(lambda: loop.problem is None)
            while await committed(kafka, topic) is None:  # noqa: ASYNC110 - the loop tells nobody what it commits
                await asyncio.sleep(0.1)
        yield topic


async def committed(kafka: KafkaSettings, topic: str) -> int | None:
    consumer = AIOKafkaConsumer(**client_options(kafka), group_id=f"of-{topic}", enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        at: int | None = await consumer.committed(TopicPartition(topic, 0))
        return at
    finally:
        await consumer.stop()


async def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_who_could_not_read_its_positions_reads_them_again(kafka: KafkaSettings) -> None:
    positions = Positions(ValueError("unforeseen"))
    async with a_group_that_has_read(kafka) as topic, member(kafka, topic, "a", positions) as loop:
        await until(lambda: loop.problem is None)
        assert len(loop.positions) == 1


async def test_what_stays_wrong_with_positions_ends_the_reading(kafka: KafkaSettings) -> None:
    async with a_group_that_has_read(kafka) as topic:
        faults = [KizashiError("of another Kafka") for _ in range(2)]
        loop = ConsumerLoop(kafka, [topic], f"of-{topic}", cast("Any", Positions(*faults)), instance="a")
        with pytest.raises(KizashiError, match="of another Kafka"):
            await asyncio.wait_for(loop.run(), WITHIN_S)


async def test_one_more_than_there_are_partitions_stands_by_and_takes_over(kafka: KafkaSettings) -> None:
    async with a_topic(kafka) as topic, member(kafka, topic, "a") as one:
        await until(lambda: one.problem is None)
        async with member(kafka, topic, "b") as other:
            await until(lambda: one.problem is None and other.problem is None)
            assert sorted(len(loop.positions) for loop in (one, other)) == [0, 1]
        await until(lambda: len(one.positions) == 1)


async def test_a_topic_that_kafka_does_not_name_yet_is_read_soon_after_it_does(kafka: KafkaSettings) -> None:
    """As after a restart, when a broker answers before it knows its topics: the leader shares out nothing."""
    topic = f"groups-{time.monotonic_ns()}"
    async with member(kafka, topic, "a") as one, member(kafka, topic, "b") as other:
        await until(lambda: all(f"names no partitions of {topic}" in str(loop.problem) for loop in (one, other)))
        await ensure_topics(kafka.model_copy(update={"partitions": 2}), [Topic(topic, ("test",), 1)])
        await until(lambda: [len(loop.positions) for loop in (one, other)] == [1, 1])
        assert [loop.problem for loop in (one, other)] == [None, None]


async def test_who_is_given_nothing_says_so_and_goes_on_asking(
    kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STUCK_AFTER_S", 1.0)
    async with a_topic(kafka) as topic:
        dawdler = Dawdler()
        first = AIOKafkaConsumer(
            **client_options(kafka), group_id=f"of-{topic}", rebalance_timeout_ms=60_000, enable_auto_commit=False
        )
        first.subscribe([topic], listener=dawdler)
        await first.start()
        try:
            await until(lambda: bool(dawdler.has))
            async with member(kafka, topic, "a") as waiting:
                await until(lambda: "no partitions were given out" in str(waiting.problem))
                dawdler.may.set()
                await until(lambda: waiting.problem is None)
        finally:
            dawdler.may.set()
            await first.stop()
