"""Group commit: what arrives while batches are unacknowledged goes together into the next ones."""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition

from services.ingest.durable import NotDurable, OutgoingRecord

ROUND_LIMIT_S = 0.05
"""A partition slower than this no longer holds up the others."""


class Ticket:
    """One caller's wait for all of its records; settled once, by the last of them or by the first failure."""

    __slots__ = ("_remaining", "future", "since", "size")

    def __init__(self, future: "asyncio.Future[None]", count: int, size: int, since: float) -> None:
        self.future = future
        self.size = size
        self.since = since
        self._remaining = count

    def acknowledge(self) -> None:
        """One more of its records is durable."""
        self._remaining -= 1
        if self._remaining == 0 and not self.future.done():
            self.future.set_result(None)

    def fail(self, reason: str) -> None:
        """Its records will not all become durable, as far as anyone can tell."""
        if not self.future.done():
            self.future.set_exception(NotDurable(reason))


class Lane:
    """The queue of one partition, and whether a batch of it is under way: never two, so that none can overtake."""

    __slots__ = ("busy", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[tuple[Ticket, OutgoingRecord]] = deque()
        self.busy = False


class Lanes:
    """All partitions one producer writes to.

    The client has one request under way per broker, so the records of all partitions travel in rounds: at once when
    nothing is under way, else together as soon as the round before is acknowledged. No timer sets the pace, and under
    load the batches grow.
    """

    def __init__(self, producer: AIOKafkaProducer, max_bytes: int, on_failure: Callable[[BaseException], None]) -> None:
        self._producer = producer
        self._max_bytes = max_bytes
        self._on_failure = on_failure
        self._lanes: dict[TopicPartition, Lane] = {}
        self._wake = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run())

    def add(self, partition: TopicPartition, ticket: Ticket, record: OutgoingRecord) -> None:
        """Queue one record of `ticket`."""
        lane = self._lanes.get(partition)
        if lane is None:
            lane = self._lanes[partition] = Lane()
        lane.waiting.append((ticket, record))
        self._wake.set()

    def cancel(self) -> None:
        """Stop waiting for batches under way; their records may or may not be written."""
        self._task.cancel()

    async def _run(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                sent = [
                    await self._send(partition, lane)
                    for partition, lane in list(self._lanes.items())
                    if lane.waiting and not lane.busy
                ]
                if sent:
                    await asyncio.wait(sent, timeout=ROUND_LIMIT_S)
        except Exception as error:
            self._on_failure(error)

    async def _send(self, partition: TopicPartition, lane: Lane) -> "asyncio.Future[Any]":
        batch, tickets = self._fill(lane)
        lane.busy = True
        # Takes no time: the client holds no other batch of this partition.
        sent: asyncio.Future[Any] = await self._producer.send_batch(
            batch, partition.topic, partition=partition.partition
        )
        sent.add_done_callback(partial(self._settle, lane, tickets))
        return sent

    def _settle(self, lane: Lane, tickets: list[Ticket], sent: "asyncio.Future[Any]") -> None:
        if sent.cancelled():
            return
        error = sent.exception()
        if error is not None:
            self._on_failure(error)
            return
        for ticket in tickets:
            ticket.acknowledge()
        lane.busy = False
        if lane.waiting:
            self._wake.set()

    def _fill(self, lane: Lane) -> tuple[object, list[Ticket]]:
        batch = self._producer.create_batch()
        tickets: list[Ticket] = []
        size = 0
        while lane.waiting:
            ticket, record = lane.waiting[0]
            size += record.size
            if tickets and size > self._max_bytes:
                break
            added = batch.append(key=record.key, value=record.value, timestamp=None, headers=record.headers)
            if added is None:
                break
            lane.waiting.popleft()
            tickets.append(ticket)
        batch.close()
        return batch, tickets
