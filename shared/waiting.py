"""Waiting for servers that are away."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from shared.postgres import is_transient

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 1.0
T = TypeVar("T")

log = structlog.get_logger()


async def until_it_works(work: Callable[[], Awaitable[T]], note: Callable[[str | None], None]) -> T:
    """Repeat `work` until the servers it needs are there; `note` is told what is wrong meanwhile, None in the end."""
    pause = FIRST_PAUSE_S
    while True:
        try:
            result = await work()
        except Exception as error:
            if not is_transient(error):
                raise
            note(f"{error or type(error).__name__}")
            log.warning("waiting_for_server", problem=type(error).__name__, retry_in_s=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)
        else:
            note(None)
            return result
