"""The loops that run beside a service's HTTP side."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import structlog

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
    if not task.cancelled():
        _die(task.exception())


async def or_die(work: Awaitable[None]) -> None:
    """Await `work`; any error ends the process there and then.

    Leaving it to the others' cancellation would wait for calls to Kafka that may never return.
    """
    try:
        await work
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        _die(error)  # a cancellation nobody asked for: the loop has ended, and no one would notice
    except Exception as error:
        _die(error)


def _die(error: BaseException | None) -> None:
    log.critical("background_died", exc_info=error)
    sys.stdout.flush()
    os._exit(1)
