"""Work that is stopped at any moment of it."""

import asyncio
import random
import time
from collections.abc import Coroutine
from typing import Any


class Stopping:
    """Stops work at moments drawn from a seed, which is printed; some of it is let go on to its end."""

    def __init__(self) -> None:
        seed = time.time_ns()
        print(f"seed {seed}")
        self._chance = random.Random(seed)
        self._took = 0.0
        self.stopped = 0

    async def stops(self, work: Coroutine[Any, Any, None]) -> bool:
        """Whether `work` was stopped. Raises what it raised: consumers would take that for a server that is away, and
        read on.
        """
        started = time.perf_counter()
        task = asyncio.create_task(work)
        await asyncio.wait({task}, timeout=self._chance.uniform(0, 1.2 * self._took) if self._took else None)
        task.cancel()
        await asyncio.wait({task})
        if task.cancelled():
            self.stopped += 1
            return True
        task.result()
        self._took = time.perf_counter() - started
        return False
