"""One destination in the hands of one sender: what it has claimed, what is under way, and how it is doing."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime

from services.handoff.core.retry import Breaker
from services.handoff.delivery_repository import Claimed, Stored
from services.handoff.destinations.base import Channel
from shared.background import or_die

BATCH = 64


class Lane:
    """Sends up to `concurrency` deliveries at once, one at a time while the last attempt failed, none while it rests.

    `work` makes one attempt and raises nothing; `on_room` is told when the lane wants more.
    """

    def __init__(
        self,
        stored: Stored,
        channel: Channel,
        concurrency: int,
        work: Callable[["Lane", Claimed], Awaitable[None]],
        on_room: Callable[[], None],
    ) -> None:
        self.stored = stored
        self.channel = channel
        self.breaker = Breaker()
        self._concurrency = concurrency
        self._work = work
        self._on_room = on_room
        self._queue: deque[Claimed] = deque()
        self._active: set[asyncio.Task[None]] = set()
        self._closing = False

    def room(self, now: datetime) -> int:
        """How many more deliveries it would take now."""
        if not self.breaker.allows(now):
            return 0
        held = len(self._queue) + len(self._active)
        if not self.breaker.healthy:
            return max(0, 1 - held)
        most = max(BATCH, 2 * self._concurrency)
        # In large bites, so that few claims are needed.
        return most - held if held <= most // 2 else 0

    def put(self, claimed: Iterable[Claimed]) -> None:
        """Take deliveries that were claimed for it."""
        self._queue.extend(claimed)
        self._go_on()

    def close(self) -> list[Claimed]:
        """Begin nothing more; returns what was not begun. What is under way ends by itself, then the channel closes."""
        self._closing = True
        left = list(self._queue)
        self._queue.clear()
        self._active.add(closing := asyncio.create_task(self._close()))
        closing.add_done_callback(self._active.discard)
        return left

    async def _close(self) -> None:
        mine = asyncio.current_task()
        if others := [task for task in self._active if task is not mine]:
            await asyncio.wait(others)
        await self.channel.aclose()

    def abandon(self) -> None:
        """Cancel what is under way."""
        for task in self._active:
            task.cancel()

    def _go_on(self) -> None:
        most = self._concurrency if self.breaker.healthy else 1
        while self._queue and len(self._active) < most and not self._closing:
            task = asyncio.create_task(or_die(self._work(self, self._queue.popleft())))
            self._active.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._active.discard(task)
        if task.cancelled():
            return
        self._go_on()
        if len(self._queue) + len(self._active) <= BATCH // 2:
            self._on_room()
