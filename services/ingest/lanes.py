"""Group commit for one partition: what arrives while a batch is unacknowledged goes together into the next one."""

import asyncio
from collections import deque
from collections.abc import Callable

from aiokafka import AIOKafkaProducer

from services.ingest.durable import NotDurable, OutgoingRecord


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
    """The queue of one partition and at most one batch under way.

    Kafka keeps one idempotent batch per partition in flight in this client anyway; so sending at once when idle and
    collecting otherwise gives the least wait at any load, without a timer that would set the pace.
    """

    def __init__(
        self,
        producer: AIOKafkaProducer,
        topic: str,
        partition: int,
        max_bytes: int,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._producer = producer
        self._topic = topic
        self._partition = partition
        self._max_bytes = max_bytes
        self._on_failure = on_failure
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[Ticket, OutgoingRecord]] = deque()
        self._busy = False
        self._task: asyncio.Task[None] | None = None

    def add(self, ticket: Ticket, record: OutgoingRecord) -> None:
        """Queue one record of `ticket`."""
        self._waiting.append((ticket, record))
        if not self._busy:
            self._busy = True
            # Not at once: requests that arrived in the same turn of the event loop join the batch.
            self._loop.call_soon(self._flush)

    def cancel(self) -> None:
        """Stop waiting for the batch under way; its records may or may not be written."""
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()

    def _flush(self) -> None:
        if self._waiting:
            self._task = self._loop.create_task(self._send())
        else:
            self._busy = False

    async def _send(self) -> None:
        try:
            batch, tickets = self._fill()
            sent = await self._producer.send_batch(batch, self._topic, partition=self._partition)
            await sent
        except Exception as error:
            self._on_failure(error)
            return
        for ticket in tickets:
            ticket.acknowledge()
        self._flush()

    def _fill(self) -> tuple[object, list[Ticket]]:
        batch = self._producer.create_batch()
        tickets: list[Ticket] = []
        size = 0
        while self._waiting:
            ticket, record = self._waiting[0]
            size += record.size
            if tickets and size > self._max_bytes:
                break
            added = batch.append(key=record.key, value=record.value, timestamp=None, headers=record.headers)
            if added is None:
                break
            self._waiting.popleft()
            tickets.append(ticket)
        batch.close()
        return batch, tickets
