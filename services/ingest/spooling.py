"""Kafka while it is there, the disk while it is not, and the way back from one to the other."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import structlog

from services.ingest.durable import Durability, NotDurable, OutgoingRecord, Overloaded
from services.ingest.publisher import KafkaPublisher
from services.ingest.spool.spool import Spool
from shared.background import running
from shared.telemetry import INGEST_SPOOLED
from shared.web import DEGRADED

DRAIN_BYTES = 1_048_576
PAUSE_S = 0.2

log = structlog.get_logger()


class SpooledPublisher:
    """Publishes to Kafka, and to the spool while Kafka is away or older requests still wait there.

    No request overtakes another of the same lead: while the spool holds anything, everything queues behind it; for the
    last stretch (at most `DRAIN_BYTES`) new requests are held back until the spool is empty and go to Kafka then.
    """

    def __init__(self, kafka: KafkaPublisher, spool: Spool) -> None:
        self._kafka = kafka
        self._spool = spool
        self._last_stretch: asyncio.Event | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Run the producer, the spool and the drainer while the body runs."""
        await self._spool.open()
        async with running(self._kafka.run), running(self._spool.run):
            async with running(self._drain):
                yield
                await self._kafka.drain()
            await self._spool.close()

    async def publish(self, records: Sequence[OutgoingRecord]) -> Durability:
        """See Durable.publish."""
        while self._last_stretch is not None:
            await self._last_stretch.wait()
        if self._spool.empty:
            try:
                await self._kafka.publish(records)
            except Overloaded:
                raise
            except NotDurable:
                pass  # any of it may be in Kafka: the whole request is kept, under the same ids
            else:
                return "kafka"
        await self._spool.append(records)
        INGEST_SPOOLED.inc()
        return "spool"

    async def faults(self) -> Mapping[str, str | None]:
        """See Durable.faults. Fails when neither place takes anything, and until Kafka has been tried once."""
        kafka, spool = await self._kafka.fault(), self._spool.fault
        if kafka and (spool or not self._kafka.tried):
            return {"kafka": kafka, "spool": spool}
        if kafka:
            return {"spool": None, DEGRADED: f"Kafka {kafka}; activities are kept on disk until it is back"}
        if spool:
            return {"kafka": None, DEGRADED: f"the spool {spool}; activities would be refused if Kafka went away"}
        if not self._spool.empty:
            waiting = f"{self._spool.waiting_bytes:,} bytes in the spool are on their way to Kafka"
            return {"kafka": None, "spool": None, DEGRADED: waiting}
        return {"kafka": None, "spool": None}

    async def _drain(self) -> None:
        while True:
            await self._spool.filled()
            if self._kafka.connected:
                try:
                    await self._drain_some()
                    continue
                except (NotDurable, OSError) as error:
                    log.warning("spool_not_drained", error=str(error))
            await asyncio.sleep(PAUSE_S)

    async def _drain_some(self) -> None:
        if self._spool.waiting_bytes > DRAIN_BYTES:
            await self._hand_on()
            return
        self._last_stretch = asyncio.Event()
        try:
            while not self._spool.empty:
                await self._hand_on()
        finally:
            self._last_stretch.set()
            self._last_stretch = None
        log.info("spool_drained")

    async def _hand_on(self) -> None:
        reading = await self._spool.read(DRAIN_BYTES)
        # Begun in the order of the file; which of them failed does not matter, as all are sent again.
        sent = await asyncio.gather(*map(self._kafka.publish, reading.requests), return_exceptions=True)
        for outcome in sent:
            if isinstance(outcome, BaseException):
                raise outcome
        await self._spool.done(reading)
