"""A scoring consumer as a process of its own: `python -m deploy.bench.scoring_process TOPIC GROUP`.

Where the servers are stands in the environment, as for a service. It says how many partitions it holds whenever that
changes, handles nothing before it reads a line, and at the next line says how many seconds of CPU that took it and its
helper.
"""

import asyncio
import resource
import sys
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import uvloop
from aiokafka import TopicPartition

from services.scoring import models as model_store
from services.scoring.handlers import ActivityHandler
from services.scoring.helper import Helpers
from services.scoring.settings import ScoringSettings
from services.scoring.tables import SCHEMA
from shared.clock import system_clock
from shared.garbage import settle
from shared.kafka.admin import ClusterView
from shared.kafka.consumer import ConsumerLoop
from shared.kafka.records import Batch
from shared.postgres import create_pool
from shared.relay import Relay
from shared.settings import load


@dataclass(slots=True)
class _Held:
    """A handler that waits to be let go."""

    inner: ActivityHandler
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    async def load_positions(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """See BatchHandler."""
        return await self.inner.load_positions(partitions)

    async def begin_positions(self, positions: Mapping[TopicPartition, int]) -> None:
        """See BatchHandler."""
        await self.inner.begin_positions(positions)

    async def handle(self, batch: Batch) -> None:
        """See BatchHandler."""
        await self.let_go.wait()
        await self.inner.handle(batch)


async def _consume(topic: str, group: str) -> None:
    settings = load(ScoringSettings)
    pool = await create_pool(settings.database, name="bench", size=4)
    async with pool.acquire() as conn:
        models = await model_store.publish(conn, model_store.read_models(settings.config_dir))
    helpers = Helpers()
    handler = ActivityHandler(pool, settings, models, ClusterView("bench"), system_clock, helpers)
    held = _Held(handler)
    loop = ConsumerLoop(
        settings.kafka, [topic], group, held, max_records=settings.scoring.max_records, prepare=handler.prepare
    )
    settle()
    running = [asyncio.ensure_future(work) for work in (loop.run(), Relay(settings, SCHEMA).run(), _tell(loop))]
    await asyncio.to_thread(sys.stdin.readline)
    began = time.process_time()
    held.let_go.set()
    await asyncio.to_thread(sys.stdin.readline)
    await helpers.end()
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"cpu {time.process_time() - began + ended.ru_utime + ended.ru_stime:.4f}", flush=True)
    for task in running:
        task.cancel()
    await asyncio.wait(running)
    await pool.close()


async def _tell(loop: ConsumerLoop) -> None:
    told = -1
    while True:
        if len(loop.positions) != told:
            told = len(loop.positions)
            print(f"partitions {told}", flush=True)
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    uvloop.run(_consume(*sys.argv[1:]))
