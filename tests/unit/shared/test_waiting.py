"""Waiting for a server that is away ends when the work is no longer wanted."""

import asyncio

import asyncpg
import pytest

from shared.waiting import until_it_works


def _ignore(problem: str | None) -> None:
    pass


async def test_it_tries_until_the_server_is_there() -> None:
    notes: list[str | None] = []
    failures = iter([OSError("refused"), asyncpg.CannotConnectNowError("starting up")])

    async def work() -> str:
        for failure in failures:
            raise failure
        return "there"

    assert await until_it_works(work, notes.append) == "there"
    assert notes == ["refused", "starting up", None]


async def test_what_no_waiting_mends_is_raised() -> None:
    async def work() -> None:
        raise asyncpg.UndefinedTableError("no such table")

    with pytest.raises(asyncpg.UndefinedTableError):
        await until_it_works(work, _ignore)


async def test_an_error_in_place_of_a_cancellation_is_not_tried_again() -> None:
    attempts = 0
    begun = asyncio.Event()

    async def work() -> None:
        nonlocal attempts
        attempts += 1
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise asyncpg.InterfaceError("another operation is in progress") from None

    task = asyncio.create_task(until_it_works(work, _ignore))
    await begun.wait()
    task.cancel()
    await asyncio.wait({task}, timeout=5)
    assert task.cancelled()
    assert attempts == 1
