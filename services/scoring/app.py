"""The composition root of the scoring service: the only place that knows every part of it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
from fastapi import FastAPI

from services.scoring import models as model_store
from services.scoring.core.lead import Models
from services.scoring.handlers import ActivityHandler
from services.scoring.partitions import ensure_partitions
from services.scoring.reading import LeadReader
from services.scoring.refold import refold_outdated
from services.scoring.routes import router
from services.scoring.settings import ScoringSettings
from services.scoring.tables import SCHEMA
from services.scoring.timer import run_timer
from shared.background import running, until_it_works
from shared.clock import Clock, system_clock
from shared.kafka.admin import ensure_topics, topics_ready
from shared.kafka.consumer import ConsumerLoop
from shared.migrate import upgrade
from shared.postgres import create_engine, create_pool
from shared.relay import Relay
from shared.settings import load
from shared.telemetry import CONSUMER_LAG, configure_logging
from shared.topics import LEAD_ACTIVITIES
from shared.version import VERSION
from shared.web import create_app

MIGRATIONS = Path(__file__).parent / "migrations"
POLLED_WITHIN_S = 30.0
PARTITIONS_EVERY_S = 3_600.0


class ScoringService:
    """The parts of one process and how they are doing."""

    def __init__(self, settings: ScoringSettings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.model_files = model_store.read_models(settings.config_dir)
        self.engine = create_engine(settings.database, name="scoring-api")
        self.relay = Relay(settings, SCHEMA)
        self.consumer: ConsumerLoop | None = None
        self._starting: dict[str, str | None] = {"postgres": "not asked yet", "kafka": "not asked yet"}

    async def run(self, app: FastAPI) -> None:
        """Prepare the database and Kafka, then read until cancelled."""
        pool = await create_pool(self.settings.database, name="scoring")
        try:
            models = await until_it_works(lambda: self._prepare_database(pool), self._note("postgres"))
            app.state.models, app.state.reader = models, LeadReader(self.engine, models)
            cluster_id = await until_it_works(self._prepare_kafka, self._note("kafka"))
            handler = ActivityHandler(pool, self.settings, models, cluster_id, self.clock)
            section = self.settings.scoring
            self.consumer = ConsumerLoop(
                self.settings.kafka,
                [LEAD_ACTIVITIES.name],
                section.group,
                handler,
                instance=section.instance,
                max_records=section.max_records,
            )
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.consumer.run())
                tasks.create_task(self.relay.run())
                tasks.create_task(refold_outdated(pool, self.settings, models, self.clock))
                tasks.create_task(run_timer(pool, self.settings, models, self.clock))
                tasks.create_task(self._keep_house(pool))
        finally:
            with suppress(TimeoutError):
                await asyncio.wait_for(pool.close(), 2.0)

    async def _prepare_database(self, pool: asyncpg.Pool) -> Models:
        await upgrade(self.settings.database, MIGRATIONS, SCHEMA)
        async with pool.acquire() as conn:
            await ensure_partitions(conn, self.clock())
            return await model_store.publish(conn, self.model_files)

    async def _prepare_kafka(self) -> str:
        await ensure_topics(self.settings.kafka)
        return await topics_ready(self.settings.kafka)

    def _note(self, part: str) -> Callable[[str | None], None]:
        return lambda problem: self._starting.update({part: problem})

    async def _keep_house(self, pool: asyncpg.Pool) -> None:
        """Make the coming months' partitions, and tell the lag."""
        partitions_at = time.monotonic()
        while True:
            await asyncio.sleep(1.0)
            if self.consumer is not None:
                for tp, lag in self.consumer.lag().items():
                    CONSUMER_LAG.labels(tp.topic, tp.partition, self.settings.scoring.group).set(lag)
            if time.monotonic() - partitions_at > PARTITIONS_EVERY_S:
                partitions_at = time.monotonic()
                async with pool.acquire() as conn:
                    await ensure_partitions(conn, self.clock())

    async def readiness(self) -> Mapping[str, str | None]:
        """Each part and what is wrong with it."""
        parts = dict(self._starting)
        if self.consumer is not None:
            parts["consumer"] = self.consumer.problem
            if self.consumer.problem is None and time.monotonic() - self.consumer.polled_at > POLLED_WITHIN_S:
                parts["consumer"] = f"has not asked Kafka for {POLLED_WITHIN_S:.0f} s"
            parts["relay"] = self.relay.problem
            parts["postgres"] = await self._postgres()
        return parts

    async def _postgres(self) -> str | None:
        try:
            async with asyncio.timeout(2.0), self.engine.connect() as conn:
                await conn.exec_driver_sql("SELECT 1")
        except Exception as error:
            return f"does not answer: {type(error).__name__}"
        return None


def make_app(settings: ScoringSettings | None = None, clock: Clock = system_clock) -> FastAPI:
    """The scoring service as an ASGI application. Raises ConfigError for faulty settings or models."""
    settings = settings or load(ScoringSettings)
    configure_logging("scoring", settings.log_level)
    service = ScoringService(settings, clock)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running(lambda: service.run(app)):
            yield
        await service.engine.dispose()

    app = create_app(
        title="Kizashi scoring",
        version=VERSION,
        settings=settings,
        lifespan=lifespan,
        readiness=service.readiness,
        clock=clock,
        description="Leads, their scores and why.",
    )
    app.include_router(router)
    return app
