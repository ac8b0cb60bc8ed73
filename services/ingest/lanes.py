"""Group commit: what arrives while batches are unacknowledged goes together into the next ones."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition

from services.ingest.durable import NotDurable, OutgoingRecord
from shared.kafka.partition import partition_for

GATHER_LIMIT_S = 0.003
QUIET_TURNS = 2
"""A request takes two turns of the event loop from its bytes to its records."""
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
    """What waits for one partition, and whether a batch of it is under way: never two, so that none can overtake.

    `full` are the batches that were filled before the one that is filling, each with the tickets of its records.
    """

    __slots__ = ("batch", "busy", "full", "partition", "tickets")

    def __init__(self, partition: TopicPartition) -> None:
        self.partition = partition
        self.batch: Any = None
        self.tickets: list[Ticket] = []
        self.full: deque[tuple[Any, list[Ticket]]] = deque()
        self.busy = False


class Lanes:
    """All partitions one producer writes to.

    The client has one request under way per broker, so the records of all partitions travel in rounds: at once when
    nothing is under way, else together as soon as the round before is acknowledged. No timer sets the pace, and under
    load the batches grow: a round costs as much as some twenty requests, so the requests that are being read when it
    could begin come along. A record is encoded into its batch when it comes, and is not kept beside it.
    """

    def __init__(
        self, producer: AIOKafkaProducer, partitions: Mapping[str, int], on_failure: Callable[[BaseException], None]
    ) -> None:
        self._producer = producer
        self._on_failure = on_failure
        self._lanes = {
            topic: [Lane(TopicPartition(topic, number)) for number in range(count)]
            for topic, count in partitions.items()
        }
        self._all = [lane for lanes in self._lanes.values() for lane in lanes]
        self._added = 0
        self._wake = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run())

    def add(self, ticket: Ticket, records: Sequence[OutgoingRecord]) -> None:
        """Queue the records of `ticket`, each in the lane of its partition."""
        for record in records:
            lanes = self._lanes[record.topic]
            lane = lanes[partition_for(record.key, len(lanes))]
            while True:
                if lane.batch is None:
                    lane.batch = self._producer.create_batch()
                added = lane.batch.append(key=record.key, value=record.value, timestamp=None, headers=record.headers)
                if added is not None:
                    break
                # Full; an empty one takes any record.
                lane.full.append((lane.batch, lane.tickets))
                lane.batch, lane.tickets = None, []
            lane.tickets.append(ticket)
        self._added += 1
        self._wake.set()

    def cancel(self) -> None:
        """Stop waiting for batches under way; their records may or may not be written."""
        self._task.cancel()

    async def _run(self) -> None:
        try:
            while True:
                await self._wake.wait()
                await self._gather()
                self._wake.clear()
                sent = [await self._send(lane) for lane in self._all if lane.tickets and not lane.busy]
                if sent:
                    await asyncio.wait(sent, timeout=ROUND_LIMIT_S)
        except Exception as error:
            self._on_failure(error)

    async def _gather(self) -> None:
        """Return once turns of the event loop bring no more records, or after 3 ms."""
        until, seen, quiet = time.monotonic() + GATHER_LIMIT_S, self._added, 0
        while quiet < QUIET_TURNS and time.monotonic() < until:
            await asyncio.sleep(0)
            quiet = quiet + 1 if self._added == seen else 0
            seen = self._added

    async def _send(self, lane: Lane) -> "asyncio.Future[Any]":
        if lane.full:
            batch, tickets = lane.full.popleft()
        else:
            batch, tickets = lane.batch, lane.tickets
            lane.batch, lane.tickets = None, []
        batch.close()
        lane.busy = True
        # Takes no time: the client holds no other batch of this partition.
        sent: asyncio.Future[Any] = await self._producer.send_batch(
            batch, lane.partition.topic, partition=lane.partition.partition
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
        if lane.tickets:
            self._wake.set()
