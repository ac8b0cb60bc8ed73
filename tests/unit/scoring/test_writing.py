"""Statements that follow each other on one connection, and what becomes of them when nobody wants them any more."""

import asyncio
from typing import Any, cast

import pytest

from services.scoring.writing import Writing


def _writing() -> Writing:
    return Writing(cast("Any", None), cast("Any", None))  # steps are handed in here; leads are not written


async def test_steps_follow_each_other() -> None:
    done: list[str] = []

    async def first() -> None:
        await asyncio.sleep(0.01)
        done.append("first")

    async def second() -> None:
        done.append("second")

    async with _writing() as writing:
        writing.begin(first)
        writing.begin(second)
    assert done == ["first", "second"]


async def test_nothing_is_done_after_a_step_that_failed() -> None:
    done: list[str] = []

    async def fails() -> None:
        raise ValueError("refused")

    async def second() -> None:
        done.append("second")

    async def batch() -> None:
        async with _writing() as writing:
            writing.begin(fails)
            writing.begin(second)

    with pytest.raises(ValueError, match="refused"):
        await batch()
    assert done == []


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
async def test_when_cancelled_the_connection_is_quiet_before_it_is_given_back(turns: int) -> None:
    """At whatever turn of the loop it comes: also after the first step has begun and before the second has."""
    at_work: set[str] = set()
    begun = asyncio.Event()

    async def statement() -> None:
        at_work.add("first")
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)  # as a driver that tells the server first
            at_work.discard("first")

    async def later() -> None:
        at_work.add("second")

    async def batch() -> None:
        async with _writing() as writing:
            writing.begin(statement)
            await begun.wait()
            writing.begin(later)

    task = asyncio.create_task(batch())
    await begun.wait()
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task}, timeout=5)
    assert task.cancelled()
    assert at_work == set()
