"""Scoring by several processes that share the partitions of a topic, measured in CPU time.

On a machine with fewer cores than busy processes the clock says nothing about what a second process is worth; what it
costs to score an activity does. Counted is the CPU time of the consumers and of PostgreSQL's processes, which contend
for the same rows and locks, from the moment all consumers hold their partitions until the last record is scored.
"""

import asyncio
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import psutil

from deploy.bench.scoring_rig import SECRET, WITHIN_S, Desk
from deploy.local.stack import Stack
from shared.errors import KizashiError


async def cpu_of_processes(stack: Stack, desk: Desk, topic: str, wanted: int, count: int) -> float:
    """Score `wanted` records of `topic` by so many processes; the seconds of CPU it took."""
    group = f"bench-{count}-{time.time_ns()}"
    async with AsyncExitStack() as ends:
        consumers = [await ends.enter_async_context(_consumer(desk, topic, group)) for _ in range(count)]
        share = desk.settings.kafka.partitions // count
        await asyncio.wait_for(asyncio.gather(*(_until(one, f"partitions {share}") for one in consumers)), WITHIN_S)
        before = _cpu_of(stack)
        for one in consumers:
            _say(one)
        await asyncio.wait_for(_scored(desk, topic, wanted), WITHIN_S)
        servers = _cpu_of(stack) - before
        for one in consumers:
            _say(one)
        own = [float((await _until(one, "cpu ")).split()[1]) for one in consumers]
    return servers + sum(own)


@asynccontextmanager
async def _consumer(desk: Desk, topic: str, group: str) -> AsyncIterator[Process]:
    settings = desk.settings
    environment = {
        "KIZASHI_IDENTITY_SECRET": SECRET,
        "KIZASHI_CONFIG_DIR": str(settings.config_dir),
        "KIZASHI_KAFKA__BOOTSTRAP_SERVERS": settings.kafka.bootstrap_servers,
        "KIZASHI_DATABASE__URL": settings.database.url.get_secret_value(),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "deploy.bench.scoring_process",
        topic,
        group,
        stdin=PIPE,
        stdout=PIPE,
        env={**{name: text for name, text in os.environ.items() if not name.startswith("KIZASHI_")}, **environment},
    )
    try:
        yield process
        await asyncio.wait_for(process.wait(), WITHIN_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _say(process: Process) -> None:
    assert process.stdin is not None
    process.stdin.write(b"\n")


async def _until(process: Process, beginning: str) -> str:
    """The process's next line that begins so; it may say other things before."""
    assert process.stdout is not None
    while line := (await process.stdout.readline()).decode():
        if line.startswith(beginning):
            return line
    raise KizashiError("a consumer has ended")


async def _scored(desk: Desk, topic: str, wanted: int) -> None:
    query = "SELECT coalesce(sum(next_offset), 0) FROM scoring.consumer_offset WHERE topic = $1"
    while await desk.pool.fetchval(query, topic) < wanted:  # noqa: ASYNC110 - the processes tell nobody how far they are
        await asyncio.sleep(0.02)


def _cpu_of(stack: Stack) -> float:
    """What PostgreSQL's processes have used so far, those that are gone included."""
    server = psutil.Process(stack.process("postgres").pid)
    times = server.cpu_times()
    own = [times.user, times.system, times.children_user, times.children_system]
    for child in server.children():
        times = child.cpu_times()
        own += [times.user, times.system]
    return sum(own)
