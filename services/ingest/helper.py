"""A process beside this one that reads long bodies: there they hold up no other request, and another core does it."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import structlog
from anyio import CapacityLimiter, fail_after, to_process

from services.ingest.helping import Outcome, helped
from shared.telemetry import INGEST_HELPERS_LOST

LONG_BYTES = 16_384
"""From this length on a body is long: to read it takes longer than to bring it to another process and back."""
TOGETHER_BYTES = 524_288
"""Of bodies that go to a helper together."""
GIVE_UP_S = 10.0
"""The longest body takes a second; a helper that needs more than this has been stopped."""
SENDING_TURNS = 4
"""Of the event loop, from the start of a call until its bytes are written."""
PAUSE_S = 1.0
"""After one was lost or could not be started, before the next is tried."""

Result = TypeVar("Result")
Outcomes = Sequence[Outcome | None]

log = structlog.get_logger()


@dataclass(slots=True)
class Asked:
    """Work on a body of `size` bytes, and where its outcome goes; None where no helper could do it."""

    work: Callable[[], Any]
    size: int
    outcome: "asyncio.Future[Outcome | None]"


class Helpers:
    """Runs functions in other processes, which are started when there is work.

    Until one is ready, and where it dies over its work, a thread of this process does that work: what is run is pure,
    so that nothing is lost or done by halves. A helper ends by itself when this process has gone, however that ended.

    What came while all helpers were at work goes to the next free one together. So it is published together too, and a
    round of produce requests has a price of its own, whatever it carries.
    """

    def __init__(self, count: int) -> None:
        """`count` processes at most; with 0 there are threads alone."""
        self._count = count
        self._limiter = CapacityLimiter(max(1, count))
        self._waiting: deque[Asked] = deque()
        self._alone = asyncio.Lock()
        self._ready = False
        self._busy = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._not_before = 0.0

    async def run(self, work: Callable[..., Result], *given: Any, size: int, **named: Any) -> Result:
        """What `work` gives or raises; `size` is that of its body in bytes. All of it has to be what pickle takes."""
        work = partial(work, *given, **named)
        if self._ready:
            asked = Asked(work, size, asyncio.get_running_loop().create_future())
            self._waiting.append(asked)
            self._begin(self._serve)
            if (outcome := await asked.outcome) is not None:
                result: Result = outcome.result()
                return result
        elif time.monotonic() >= self._not_before:
            self._begin(self._start)
        # One after another, so that one thread's memory is enough.
        async with self._alone:
            return await asyncio.to_thread(work)

    def _begin(self, main: Callable[[], Awaitable[None]]) -> None:
        if self._busy < self._count:
            self._busy += 1
            task = asyncio.create_task(self._carry_out(main))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, main: Callable[[], Awaitable[None]]) -> None:
        try:
            await main()
        finally:
            # In the same turn as the last look at what waits, or work that comes in between would wait for ever.
            self._busy -= 1

    async def _start(self) -> None:
        await self._ask([])

    async def _serve(self) -> None:
        done: list[Asked] = []
        outcomes: Outcomes = []
        while self._waiting or done:
            together = self._next()
            asking = asyncio.create_task(self._ask([asked.work for asked in together])) if together else None
            # The helper has its next work before anybody here goes on with what it gave: that takes milliseconds.
            for _ in range(SENDING_TURNS if asking and done else 0):
                await asyncio.sleep(0)
            for asked, outcome in zip(done, outcomes, strict=True):
                if not asked.outcome.done():
                    asked.outcome.set_result(outcome)
            done, outcomes = together, await asking if asking else []

    def _next(self) -> list[Asked]:
        together: list[Asked] = []
        room = TOGETHER_BYTES
        while self._waiting and (not together or self._waiting[0].size <= room):
            together.append(self._waiting.popleft())
            room -= together[-1].size
        return together

    async def _ask(self, works: Sequence[Callable[[], Any]]) -> Outcomes:
        """None for each where the helper was lost."""
        try:
            # By itself the library waits for ever; cancelled, it kills the process.
            with fail_after(GIVE_UP_S):
                outcomes = await to_process.run_sync(helped, works, cancellable=True, limiter=self._limiter)
        except (Exception, KeyboardInterrupt) as error:
            # Whatever it is, those who wait get their work done. Ctrl-C is the helper's, before it sets it aside.
            self._ready = False
            self._not_before = time.monotonic() + PAUSE_S
            INGEST_HELPERS_LOST.inc()
            log.warning("helper_lost", error=type(error).__name__)
            return [None] * len(works)
        self._ready = True
        return outcomes
