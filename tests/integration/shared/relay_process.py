"""A relay in a process of its own, to be killed: `python -m tests.integration.shared.relay_process [STEP]`.

With a step it kills itself there, at the third time it comes by.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from shared.relay import Relay
from shared.settings import Settings, load

DIES_AT = 3
STEPS = {
    "before sending": ("_rows", False),
    "between sending and acknowledgement": ("_await_acks", False),
    "between acknowledgement and deleting": ("_send", True),
    "after deleting and claiming": ("_next_round", True),
}
"""Each a method of the relay, and whether death comes after it."""


def die_at(step: str) -> None:
    """Put the death into the relay's class."""
    name, after = STEPS[step]
    right: Callable[..., Awaitable[Any]] = getattr(Relay, name)
    passed = 0

    async def fatal(*arguments: Any) -> Any:
        nonlocal passed
        found = await right(*arguments) if after else None
        # A round without rows is no round.
        passed += found != []
        if passed == DIES_AT:
            if name == "_await_acks":
                await asyncio.sleep(0)  # the sender's task takes the batches to the socket
            os.kill(os.getpid(), signal.SIGKILL)
        return found if after else await right(*arguments)

    setattr(Relay, name, fatal)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        die_at(sys.argv[1])
    asyncio.run(Relay(load(Settings), "scoring").run())
