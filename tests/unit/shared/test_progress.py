"""A consumer that is behind without reading on ends; one whose records are just on their way does not. What it holds
follows what the group gives and takes.
"""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import TopicPartition

from shared.kafka import consumer as module
from shared.kafka.consumer import ConsumerLoop, StuckError
from shared.kafka.rivals import TOO_MANY, WITHIN_S, Rivals
from shared.settings import KafkaSettings

ONE = TopicPartition("t", 0)


class Broker:
    """Says where the partition ends."""

    def __init__(self) -> None:
        self.end = 5

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, self.end)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    now = SimpleNamespace(s=0.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now.s))
    return now


def a_loop(position: int) -> Any:
    loop = cast("Any", ConsumerLoop.__new__(ConsumerLoop))
    loop._positions, loop._progress_at, loop._behind = {ONE: position}, 0.0, {}
    loop._without_since = None
    return loop


async def test_a_record_that_was_written_just_now_ends_nothing(clock: SimpleNamespace) -> None:
    loop, broker = a_loop(5), Broker()
    for clock.s in (31.0, 62.0):
        await loop._check_progress(broker)
    broker.end = 6
    clock.s = 93.0
    await loop._check_progress(broker)
    loop._positions[ONE], loop._progress_at, clock.s = 6, 93.5, 130.0
    await loop._check_progress(broker)


async def test_who_stays_behind_is_found_out_soon_after(clock: SimpleNamespace) -> None:
    loop, broker = a_loop(4), Broker()
    clock.s = 31.0
    await loop._check_progress(broker)
    clock.s = 31.0 + module.CONFIRMED_AFTER_S + 0.1
    with pytest.raises(StuckError):
        await loop._check_progress(broker)


async def test_who_is_given_nothing_for_long_begins_anew(clock: SimpleNamespace) -> None:
    loop = cast("Any", ConsumerLoop(KafkaSettings(), ["t"], "g", cast("Any", Slow())))
    await loop.on_partitions_revoked([])
    clock.s = 29.0
    await loop._check_progress(Broker())
    clock.s = 31.0
    with pytest.raises(OSError, match="no partitions were given out for 30 s"):
        await loop._check_progress(Broker())
    await loop.on_partitions_assigned([])
    clock.s = 200.0
    await loop._check_progress(Broker())


async def test_rivals_are_forgotten_also_where_no_record_comes() -> None:
    loop = cast("Any", ConsumerLoop(KafkaSettings(), ["t"], "g", cast("Any", Slow()), instance="a"))
    now = SimpleNamespace(s=0.0)
    loop._rivals = Rivals("g", "a", lambda: now.s)
    for now.s in range(TOO_MANY):
        await loop.on_partitions_assigned([])
    assert "another process" in str(loop.problem)
    now.s += WITHIN_S
    assert loop.problem is None


OTHER = TopicPartition("t", 1)


class Member:
    """A member of a group as the client shows it: the old assignment until there is a new one."""

    def __init__(self) -> None:
        self.assigned = {ONE, OTHER}

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset(self.assigned)

    def pause(self, *_: TopicPartition) -> None: ...

    resume = pause

    def seek(self, *_: object) -> None: ...

    def highwater(self, partition: TopicPartition) -> int:
        assert partition in self.assigned, "Partition is not assigned"
        return 5


class Slow:
    """A database that answers later."""

    async def load_positions(self, partitions: frozenset[TopicPartition]) -> dict[TopicPartition, int]:
        await asyncio.sleep(0.02)
        return dict.fromkeys(partitions, 3)


async def test_partitions_that_go_while_their_positions_are_read_are_not_held() -> None:
    loop = cast("Any", ConsumerLoop(KafkaSettings(), ["t"], "g", cast("Any", Slow())))
    loop._consumer = member = Member()
    await loop.on_partitions_assigned({ONE, OTHER})
    reading = asyncio.create_task(loop._resume(frozenset(loop._held)))
    await asyncio.sleep(0)
    await loop.on_partitions_revoked({ONE, OTHER})
    await reading
    assert dict(loop.positions) == {}
    member.assigned = {ONE}
    await loop.on_partitions_assigned({ONE})
    assert (dict(loop.positions), loop.lag()) == ({ONE: 3}, {ONE: 2})
