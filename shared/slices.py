"""Long work on the event loop, cut into slices so that others get their turn."""

import asyncio
import time

SLICE_S = 0.002


class Slices:
    """Counts the time that a piece of work has held the event loop."""

    def __init__(self, slice_s: float = SLICE_S) -> None:
        self._slice_s = slice_s
        self._until = time.perf_counter() + slice_s

    async def give_way(self) -> None:
        """Let others go first if the slice is used up; to be called often, it costs next to nothing."""
        if time.perf_counter() >= self._until:
            await asyncio.sleep(0)
            self._until = time.perf_counter() + self._slice_s
