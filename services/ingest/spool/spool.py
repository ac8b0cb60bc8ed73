"""The spool as the service sees it: many requests share one write and one fdatasync."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import structlog

from services.ingest.durable import NotDurable, OutgoingRecord
from services.ingest.spool.files import SEGMENT_BYTES, Files, Reading
from services.ingest.spool.frames import pack
from shared.telemetry import SPOOL_BYTES

FLUSH_BYTES = 8 * 1_048_576
ADOPT_EVERY_S = 5.0

T = TypeVar("T")
log = structlog.get_logger()


class Spool:
    """Takes requests while Kafka cannot, and gives them back in order.

    Holds at most `max_bytes` on disk; a write may take `limit_s`. `run` must be running.
    """

    def __init__(self, root: Path, max_bytes: int, limit_s: float, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._files = Files(root, segment_bytes)
        self._max_bytes = max_bytes
        self._limit_s = limit_s
        self._disk = ThreadPoolExecutor(1, "spool")
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._bytes = 0
        self._pending_bytes = 0
        self._written = asyncio.Event()
        self._wake = asyncio.Event()
        self._busy = asyncio.Lock()
        self._closed = False
        self.fault: str | None = None
        """Why nothing can be written now, as far as the last attempt showed."""
        SPOOL_BYTES.set_function(lambda: self.waiting_bytes)

    @property
    def waiting_bytes(self) -> int:
        """Bytes that are not in Kafka yet, those on their way to the disk included."""
        return self._bytes + self._pending_bytes

    @property
    def empty(self) -> bool:
        """Whether nothing waits, so that a request may go to Kafka without overtaking any."""
        return self.waiting_bytes == 0

    async def append(self, records: Sequence[OutgoingRecord]) -> None:
        """Return once the request is on the disk. Raises NotDurable if it is full, broken or too slow."""
        frame = pack(records)
        if self.waiting_bytes + len(frame) > self._max_bytes:
            raise NotDurable("Kafka is away and the spool is full")
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((frame, kept))
        self._pending_bytes += len(frame)
        self._wake.set()
        try:
            # Shielded, as the frame may be on its way to the disk already.
            await asyncio.wait_for(asyncio.shield(kept), self._limit_s)
        except TimeoutError:
            kept.add_done_callback(lambda done: done.exception())
            self.fault = "the disk is too slow"
            raise NotDurable("Kafka is away and the spool's disk is too slow") from None

    async def filled(self) -> None:
        """Return once something waits on the disk."""
        await self._written.wait()

    async def read(self, budget: int) -> Reading:
        """See Files.read."""
        return await self._on_disk(lambda: self._files.read(budget))

    async def done(self, reading: Reading) -> None:
        """See Files.done."""

        def finish() -> None:
            self._files.done(reading)

        await self._on_disk(finish)

    async def open(self) -> None:
        """Take over what dead workers left. What is wrong with the disk is told by `fault`, not raised."""
        async with self._busy:
            if self._closed:
                return
            try:
                await self._on_disk(self._files.adopt)
            except OSError as error:
                self._blame(error)

    async def run(self) -> None:
        """Write until cancelled, and look for orphans now and then."""
        while True:
            try:
                # Not wait_for: before Python 3.12 it loses a cancellation that comes together with what it waits for.
                async with asyncio.timeout(ADOPT_EVERY_S):
                    await self._wake.wait()
            except TimeoutError:
                await self.open()
                continue
            self._wake.clear()
            await self._write_waiting()

    async def close(self) -> None:
        """Write what still waits, and leave the files to the next worker."""
        await self._write_waiting()
        async with self._busy:
            self._closed = True
            try:
                await self._on_disk(self._files.close)
            except OSError as error:
                self._blame(error)
        self._disk.shutdown(wait=False)

    async def _write_waiting(self) -> None:
        async with self._busy:
            while self._waiting:
                await self._flush()

    async def _flush(self) -> None:
        size, count = 0, 0
        while count < len(self._waiting) and size < FLUSH_BYTES:
            size += len(self._waiting[count][0])
            count += 1
        flushed, self._waiting = self._waiting[:count], self._waiting[count:]
        try:
            await self._on_disk(lambda: self._files.write([frame for frame, _ in flushed]))
        except OSError as error:
            self._blame(error)
            for _, kept in flushed:
                kept.set_exception(NotDurable(f"Kafka is away and the spool cannot be written: {error.strerror}"))
        else:
            self.fault = None
            for _, kept in flushed:
                kept.set_result(None)
        finally:
            self._pending_bytes -= size

    async def _on_disk(self, call: Callable[[], T]) -> T:
        """Run `call` in the one thread that touches the files; what waits is counted after it, whatever came of it."""

        def counted() -> tuple[T, int]:
            result = call()
            return result, self._files.waiting_bytes

        result, self._bytes = await asyncio.get_running_loop().run_in_executor(self._disk, counted)
        if self._bytes:
            self._written.set()
        else:
            self._written.clear()
        return result

    def _blame(self, error: OSError) -> None:
        self.fault = f"cannot be written: {error.strerror}"
        log.error("spool_broken", problem=self.fault)
