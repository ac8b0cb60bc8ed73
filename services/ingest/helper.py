"""A process beside this one that reads long bodies: there they hold up no other request, and another core does it."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import structlog
from anyio import BrokenWorkerProcess, CapacityLimiter, fail_after, to_process

from services.ingest.helping import helped
from shared.telemetry import INGEST_HELPERS_LOST

LONG_BYTES = 16_384
"""From this length on a body is long: to read it takes longer than to bring it to another process and back."""
GIVE_UP_S = 20.0
"""For reading the longest bodies that may wait at once; a helper that takes longer has been stopped."""
PAUSE_S = 1.0
"""After one was lost or could not be started, before the next is tried."""

Result = TypeVar("Result")

log = structlog.get_logger()


class Helpers:
    """Runs functions in other processes, the first of which is started when there is work.

    Until it is ready, and where it dies over its work, a thread of this process does that work: what is run is pure, so
    that nothing is lost or done by halves. A helper ends by itself when this process has gone, however that ended.
    """

    def __init__(self, count: int) -> None:
        """`count` processes at most; with 0 there are threads alone."""
        self._count = count
        self._limiter = CapacityLimiter(max(1, count))
        self._ready = False
        self._starting: asyncio.Task[None] | None = None
        self._not_before = 0.0

    async def run(self, work: Callable[..., Result], *given: Any, **named: Any) -> Result:
        """What `work` gives or raises. Function, arguments and outcome have to be ones that can be pickled."""
        work = partial(work, *given, **named)
        if self._ready:
            try:
                return await self._ask(work)
            except (BrokenWorkerProcess, TimeoutError, OSError) as error:
                self._lost(error)
        elif self._count and self._starting is None and time.monotonic() >= self._not_before:
            self._starting = asyncio.create_task(self._start())
        return await asyncio.to_thread(work)

    async def _ask(self, work: Callable[[], Result]) -> Result:
        # By itself the library would wait for ever; cancelled, it kills the process.
        with fail_after(GIVE_UP_S):
            return await to_process.run_sync(helped, work, cancellable=True, limiter=self._limiter)

    async def _start(self) -> None:
        try:
            await self._ask(bool)
            self._ready = True
        except (BrokenWorkerProcess, TimeoutError, OSError) as error:
            self._lost(error)
        finally:
            self._starting = None

    def _lost(self, error: Exception) -> None:
        self._ready = False
        self._not_before = time.monotonic() + PAUSE_S
        INGEST_HELPERS_LOST.inc()
        log.warning("helper_lost", error=type(error).__name__)
