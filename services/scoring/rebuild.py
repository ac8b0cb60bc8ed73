"""Filling an empty database from `lead-activities`: what `kizashi replay --from-topic` does."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import asyncpg

from services.scoring import models as model_store
from services.scoring.handlers import ActivityHandler
from services.scoring.helper import Helpers
from services.scoring.partitions import ensure_partitions
from services.scoring.recovery import recover
from services.scoring.settings import ScoringSettings
from shared.clock import Clock
from shared.errors import KizashiError
from shared.kafka.admin import topics_ready
from shared.kafka.consumer import ConsumerLoop
from shared.kafka.reading import reading
from shared.postgres import create_pool
from shared.topics import LEAD_ACTIVITIES

LOOK_EVERY_S = 0.2
_DONE = "SELECT coalesce(sum(next_offset), 0)::bigint FROM scoring.consumer_offset WHERE topic = $1"


async def rebuild(settings: ScoringSettings, clock: Clock, progress: Callable[[int, int], None]) -> int:
    """Read the topic from its beginning to where it ends now; returns how many records that were.

    The schema must be there and empty, and the service must not run. Versions go on above those on `lead-scores`; what
    follows from the activities is published once the service starts. Raises KizashiError.
    """
    pool = await create_pool(settings.database, name="rebuild", size=4)
    try:
        await _check_empty(pool)
        await recover(settings, clock)
        async with reading(settings.kafka, LEAD_ACTIVITIES.name) as opened:
            begin, end = sum(opened.begin.values()), sum(opened.end.values())
        helpers = Helpers()
        loop = await _loop(pool, settings, clock, helpers)
        reader = asyncio.ensure_future(loop.run())
        try:
            while (at := max(await pool.fetchval(_DONE, LEAD_ACTIVITIES.name), begin)) < end:
                if reader.done():
                    reader.result()
                progress(at - begin, end - begin)
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            reader.cancel()
            with suppress(asyncio.CancelledError):
                await reader
            await helpers.end()
        progress(end - begin, end - begin)
        return end - begin
    finally:
        await pool.close()


async def _check_empty(pool: asyncpg.Pool) -> None:
    if await pool.fetchval("SELECT EXISTS (SELECT FROM scoring.activity_key)"):
        raise KizashiError(
            "the database holds activities already; --from-topic fills an empty one."
            " If it was ended before it was done, `kizashi up` reads on where it stands"
        )


async def _loop(pool: asyncpg.Pool, settings: ScoringSettings, clock: Clock, helpers: Helpers) -> ConsumerLoop:
    async with pool.acquire() as conn:
        await ensure_partitions(conn, clock())
        models = await model_store.publish(conn, model_store.read_models(settings.config_dir))
    handler = ActivityHandler(pool, settings, models, await topics_ready(settings.kafka), clock, helpers)
    section = settings.scoring
    return ConsumerLoop(
        settings.kafka,
        [LEAD_ACTIVITIES.name],
        section.group,
        handler,
        instance=section.instance,
        max_records=section.max_records,
        prepare=handler.prepare,
    )
