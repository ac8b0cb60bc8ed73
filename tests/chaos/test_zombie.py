"""A process that was stopped for longer than its session, and goes on as if nothing had been."""

import asyncio

import pytest

from deploy.chaos.stack import SufferingStack
from tests.chaos.conftest import under_load

pytestmark = pytest.mark.long

SESSION_S = 6.0


@pytest.mark.parametrize("zombie", ["scoring", "handoff"])
async def test_a_zombie_commits_nothing_that_another_has_done(stack: SufferingStack, zombie: str) -> None:
    async with under_load(stack, per_second=600, at_least=12_000):
        for _ in range(2):
            await asyncio.sleep(2.0)
            pids = stack.freeze(zombie)
            assert pids
            await asyncio.sleep(1.5 * SESSION_S)
            stack.thaw(pids)
