"""What goes wrong with processes, done on purpose."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from deploy.local.stack import Stack

AGAIN_S = 0.02


def kill(stack: Stack, name: str) -> None:
    """End a process without any notice, unless it has just ended; the supervisor starts it again."""
    pid = stack.process(name).pid
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextmanager
def kept_down(stack: Stack, name: str) -> Iterator[None]:
    """Kill a process as often as it is started again, for as long as the block runs."""
    over = threading.Event()

    def keep() -> None:
        while not over.wait(AGAIN_S):
            kill(stack, name)

    keeper = threading.Thread(target=keep)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()
