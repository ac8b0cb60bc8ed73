"""Waiting for servers that are away."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from shared.errors import reason
from shared.postgres import is_transient

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 1.0
T = TypeVar("T")

log = structlog.get_logger()


class Backoff:
    """The pauses between attempts at a server that is away, each twice as long as the one before, up to a second."""

    def __init__(self) -> None:
        self.next_s = FIRST_PAUSE_S

    def reset(self) -> None:
        """The server is there: begin with a short pause the next time."""
        self.next_s = FIRST_PAUSE_S

    async def pause(self) -> None:
        """Wait for the next attempt. Raises CancelledError where this task has been asked to stop meanwhile: asyncpg
        can raise an error of its own in place of a cancellation that comes in the middle of a transaction, and whoever
        tried again after that would never stop.
        """
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError
        await asyncio.sleep(self.next_s)
        self.next_s = min(self.next_s * 2, LONGEST_PAUSE_S)


async def until_it_works(work: Callable[[], Awaitable[T]], note: Callable[[str | None], None]) -> T:
    """Repeat `work` until the servers it needs are there; `note` is told what is wrong meanwhile, None in the end."""
    backoff = Backoff()
    while True:
        try:
            result = await work()
        except Exception as error:
            if not is_transient(error):
                raise
            note(reason(error))
            log.warning("waiting_for_server", problem=type(error).__name__, retry_in_s=backoff.next_s)
            await backoff.pause()
        else:
            note(None)
            return result
