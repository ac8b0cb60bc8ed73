"""Kafka out of reach for long, with the only process that keeps what comes killed in the middle."""

import asyncio

import psutil
import pytest

from deploy.chaos.stack import SufferingStack
from tests.chaos.conftest import under_load

LINKS = ("ingest-kafka", "scoring-kafka", "handoff-kafka")
GROWTH_BYTES = 48 * 1_048_576
"""What a process may take on top: its own drafts and the allocator's slack, and far less than what waits on disk."""


def resident_bytes(stack: SufferingStack) -> int:
    return int(psutil.Process(stack.pids("ingest")[0]).memory_info().rss)


@pytest.mark.long
@pytest.mark.timeout(2_400)
@pytest.mark.parametrize("seconds", [30, 600])
async def test_what_comes_meanwhile_waits_on_disk(stack: SufferingStack, seconds: int) -> None:
    async with under_load(stack, per_second=300, at_least=300 * seconds // 2) as sent:
        await asyncio.sleep(3.0)
        for link in LINKS:
            stack.gates.disturb("cut", link, 0, 0)
        await asyncio.sleep(seconds / 2)
        assert stack.kill("ingest")
        await asyncio.sleep(seconds / 4)
        before = resident_bytes(stack)
        await asyncio.sleep(seconds / 4)
        after = resident_bytes(stack)
        for link in LINKS:
            stack.gates.heal(link)
    assert sent.sent.spooled > 100 * seconds
    assert after - before < GROWTH_BYTES
