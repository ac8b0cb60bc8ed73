"""Kafka as the place where activities become durable."""

import asyncio
import time
from collections.abc import Sequence

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from services.ingest.durable import NotDurable, OutgoingRecord, Overloaded
from services.ingest.lanes import Lanes, Ticket
from services.ingest.settings import IngestLimits
from shared.kafka.client import client_options
from shared.kafka.compression import compression_type
from shared.kafka.identity import abandon
from shared.settings import KafkaSettings
from shared.telemetry import INGEST_PENDING_BYTES, PRODUCER_RESTARTS

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 1.0
START_LIMIT_S = 5.0
PROBE_LIMIT_S = 1.5
PROBE_EVERY_S = 0.5
WATCH_EVERY_S = 0.05
DRAIN_LIMIT_S = 1.0

NOT_YET = "not connected yet"

log = structlog.get_logger()


class Link:
    """One producer from its start to its end, with the lanes that use it."""

    def __init__(self, producer: AIOKafkaProducer, partitions: dict[str, int]) -> None:
        self.producer = producer
        self._broken: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._lanes = Lanes(producer, partitions, self.fail)
        self.add = self._lanes.add

    def fail(self, error: BaseException) -> None:
        """A batch was refused: the sequences of this producer have a hole now, so it has to go as a whole."""
        self.give_up(type(error).__name__)

    def give_up(self, reason: str) -> None:
        """End this link for `reason`, one word for the metric."""
        if not self._broken.done():
            self._broken.set_result(reason)

    async def broken(self, within_s: float) -> str | None:
        """Why this link is over, None if it still stands after `within_s`."""
        await asyncio.wait([self._broken], timeout=within_s)
        return self._broken.result() if self._broken.done() else None

    async def close(self) -> None:
        """Drop everything, waiting for nothing."""
        self._lanes.cancel()
        await abandon(self.producer)


class KafkaPublisher:
    """Publishes with acks from all in-sync replicas, under a deadline of its own.

    An idempotent aiokafka producer retries without end while Kafka is away. Here the oldest wait decides: beyond
    `ack_timeout_s` every open ticket fails, the producer is dropped, and a fresh one is tried until Kafka is back.
    """

    def __init__(self, kafka: KafkaSettings, limits: IngestLimits, topics: Sequence[str]) -> None:
        self._kafka = kafka
        self._limits = limits
        self._topics = list(topics)
        self._link: Link | None = None
        self._open: dict[Ticket, None] = {}
        self._pending_bytes = 0
        self._problem = NOT_YET
        self._probed: tuple[float, str | None] = (-PROBE_EVERY_S, None)
        INGEST_PENDING_BYTES.set_function(lambda: self._pending_bytes)

    @property
    def connected(self) -> bool:
        """Whether there is a producer that has not failed yet."""
        return self._link is not None

    @property
    def tried(self) -> bool:
        """Whether the first attempt to reach Kafka has ended, well or not."""
        return self._link is not None or self._problem != NOT_YET

    async def publish(self, records: Sequence[OutgoingRecord]) -> None:
        """Return once every record is acknowledged. Records of calls begun earlier come first in their partition.

        Raises Overloaded before anything is sent, else NotDurable, after which any of them may be in Kafka or not.
        """
        link = self._link
        if link is None:
            raise NotDurable("Kafka is away")
        size = sum([record.size for record in records])
        if self._pending_bytes + size > self._limits.max_pending_bytes:
            raise Overloaded("too much waits for Kafka's acknowledgement")
        ticket = Ticket(asyncio.get_running_loop().create_future(), len(records), size, time.monotonic())
        self._open[ticket] = None
        self._pending_bytes += size
        try:
            link.add(ticket, records)
            await ticket.future
        except asyncio.CancelledError:
            # The server is stopping and has no more time; an honest answer is still possible.
            raise NotDurable("the service is stopping") from None
        finally:
            del self._open[ticket]
            self._pending_bytes -= size

    async def fault(self) -> str | None:
        """What is wrong now. Asks Kafka itself, at most twice a second: a connection alone proves nothing."""
        link, now = self._link, time.monotonic()
        if link is None:
            return self._problem
        at, found = self._probed
        if now - at >= PROBE_EVERY_S:
            found = await self._probe(link)
            self._probed = (time.monotonic(), found)
        return found

    @staticmethod
    async def _probe(link: Link) -> str | None:
        try:
            async with asyncio.timeout(PROBE_LIMIT_S):
                await link.producer.client.fetch_all_metadata()
        except (TimeoutError, KafkaError, OSError):
            return "does not answer"
        return None

    async def run(self) -> None:
        """Keep a producer alive until cancelled."""
        pause = FIRST_PAUSE_S
        while True:
            try:
                link = await self._connect()
            except (KafkaError, OSError, TimeoutError) as error:
                self._problem = f"cannot be reached ({type(error).__name__})"
                log.warning("kafka_away", problem=self._problem, retry_in_s=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)
                continue
            pause = FIRST_PAUSE_S
            log.info("kafka_connected")
            await self._watch(link)

    async def _connect(self) -> Link:
        producer = AIOKafkaProducer(
            **client_options(self._kafka),
            acks="all",
            enable_idempotence=True,
            compression_type=compression_type(self._limits.compression),
            max_batch_size=self._limits.record_batch_bytes,
            max_request_size=8 * self._limits.record_batch_bytes,
            request_timeout_ms=10_000,
        )
        try:
            async with asyncio.timeout(START_LIMIT_S):
                await producer.start()
                counts = {topic: len(await producer.partitions_for(topic)) for topic in self._topics}
        except BaseException:
            await abandon(producer)
            raise
        return Link(producer, counts)

    async def _watch(self, link: Link) -> None:
        self._link = link
        reason: str | None = "stopped"
        try:
            while (reason := await link.broken(WATCH_EVERY_S)) is None:
                oldest = next(iter(self._open), None)
                if oldest is not None and time.monotonic() - oldest.since > self._limits.ack_timeout_s:
                    link.give_up("no_acknowledgement")
        finally:
            self._link = None
            self._problem = "does not acknowledge"
            for ticket in list(self._open):
                ticket.fail("Kafka did not acknowledge in time")
            await link.close()
        PRODUCER_RESTARTS.labels(reason).inc()
        log.warning("producer_dropped", reason=reason)

    async def drain(self) -> None:
        """Wait until nothing is open any more, for a second at most."""
        if self._open:
            await asyncio.wait([ticket.future for ticket in self._open], timeout=DRAIN_LIMIT_S)
