"""The loops that run beside a service's HTTP side."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import structlog

from shared.postgres import is_transient

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0

T = TypeVar("T")

log = structlog.get_logger()


@asynccontextmanager
async def running(main: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Run `main` while the body runs. If it ends by an error the process dies at once, to be started anew.

    A service whose loop has died must not go on answering as if it were alive.
    """
    task = asyncio.ensure_future(main())
    task.add_done_callback(_die_of)
    try:
        yield
    finally:
        task.remove_done_callback(_die_of)
        task.cancel()
        with suppress(asyncio.CancelledError, TimeoutError):
            await asyncio.wait_for(task, 4.0)


def _die_of(task: "asyncio.Future[None]") -> None:
    if task.cancelled():
        return
    log.critical("background_died", exc_info=task.exception())
    os._exit(1)


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
