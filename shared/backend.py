"""What scoring and handoff have in common as processes: a database, consumers, a relay, and how they are doing."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
from fastapi import APIRouter, FastAPI, Request, Response
from sqlalchemy.exc import DBAPIError

from shared import outbox
from shared.background import or_die, running
from shared.clock import Clock
from shared.errors import ProblemError
from shared.garbage import settle
from shared.kafka.admin import ClusterView, ensure_topics, topics_ready
from shared.kafka.consumer import ConsumerLoop
from shared.postgres import TRANSIENT, create_engine, create_pool, is_transient
from shared.recovery import check_not_due
from shared.relay import Relay
from shared.schema import is_migrated
from shared.settings import Settings
from shared.telemetry import CONSUMER_LAG, OUTBOX_AGE, OUTBOX_PENDING
from shared.version import VERSION
from shared.waiting import until_it_works
from shared.web import committed_form, create_app, respond

POLLED_WITHIN_S = 30.0
LAG_EVERY_S = 1.0
OUTBOX_EVERY_S = 5.0


class Backend(ABC):
    """One process of a service that reads topics and owns a schema. A service says what `prepare` and `loops` are."""

    name: str
    title: str
    description: str
    migrations: Path

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.engine = create_engine(settings.database, name=f"{self.name}-api")
        self.relay = Relay(settings, self.name)
        self.consumers: Mapping[str, ConsumerLoop] = {}
        self._starting: dict[str, str | None] = {"postgres": "not asked yet", "kafka": "not asked yet"}

    @abstractmethod
    async def prepare(self, app: FastAPI, pool: asyncpg.Pool) -> None:
        """Once the schema is there: read and note what the loops need. Repeated while PostgreSQL is away."""

    @abstractmethod
    def make_consumers(self, pool: asyncpg.Pool, cluster: ClusterView) -> Mapping[str, ConsumerLoop]:
        """The consumers, by the name under which `/readyz` shows them."""

    @abstractmethod
    def loops(self, pool: asyncpg.Pool) -> Sequence[Coroutine[Any, Any, None]]:
        """Further loops beside consumers and relay."""

    async def run(self, app: FastAPI) -> None:
        """Prepare the database and Kafka, then work until cancelled."""
        pool = await create_pool(self.settings.database, name=self.name)
        try:
            await until_it_works(lambda: self._prepare(app, pool), self._note("postgres"))
            cluster = await until_it_works(self._prepare_kafka, self._note("kafka"))
            self.consumers = self.make_consumers(pool, cluster)
            settle()
            async with asyncio.TaskGroup() as tasks:
                for loop in (*self._common_loops(pool), *self.loops(pool)):
                    tasks.create_task(or_die(loop))
        finally:
            with suppress(TimeoutError):
                await asyncio.wait_for(pool.close(), 2.0)

    def _common_loops(self, pool: asyncpg.Pool) -> Sequence[Coroutine[Any, Any, None]]:
        consumers = [loop for item in self.consumers.values() for loop in (item.run(), item.watch())]
        return [*consumers, self.relay.run(), self._tell_lag(), self._tell_outbox(pool)]

    async def _prepare(self, app: FastAPI, pool: asyncpg.Pool) -> None:
        async with pool.acquire() as conn:
            await check_not_due(conn, self.name)
            migrated = await is_migrated(conn, self.migrations, self.name)
        if not migrated:
            # Alembic takes 8 MiB and a third of a second: only the start that migrates pays for it.
            from shared.migrate import upgrade  # noqa: PLC0415

            await upgrade(self.settings.database, self.migrations, self.name)
        await self.prepare(app, pool)

    async def _prepare_kafka(self) -> ClusterView:
        await ensure_topics(self.settings.kafka)
        return await topics_ready(self.settings.kafka)

    def _note(self, part: str) -> Callable[[str | None], None]:
        return lambda problem: self._starting.update({part: problem})

    async def _tell_lag(self) -> None:
        while True:
            await asyncio.sleep(LAG_EVERY_S)
            for consumer in self.consumers.values():
                for tp, lag in consumer.lag().items():
                    CONSUMER_LAG.labels(tp.topic, tp.partition, consumer.group).set(lag)

    async def _tell_outbox(self, pool: asyncpg.Pool) -> None:
        while True:
            try:
                async with pool.acquire() as conn:
                    rows, age_s = await outbox.waiting(conn, self.name)
            except Exception as error:
                if not is_transient(error):  # who is away is told by the relay itself
                    raise
            else:
                OUTBOX_PENDING.set(rows)
                OUTBOX_AGE.set(age_s)
            await asyncio.sleep(OUTBOX_EVERY_S)

    async def readiness(self) -> Mapping[str, str | None]:
        """Each part and what is wrong with it."""
        parts = dict(self._starting)
        if self.consumers:
            parts |= {name: _problem(consumer) for name, consumer in self.consumers.items()}
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

    def make_app(self) -> FastAPI:
        """The service as an ASGI application, without its routes."""

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            async with running(lambda: self.run(app)):
                yield
            await self.engine.dispose()

        app = create_app(
            title=self.title,
            version=VERSION,
            settings=self.settings,
            lifespan=lifespan,
            readiness=self.readiness,
            clock=self.clock,
            description=self.description,
        )
        for kind in (*TRANSIENT, DBAPIError):
            app.add_exception_handler(kind, _server_away)
        return app


def render_openapi(service: type[Backend], *routers: APIRouter) -> bytes:
    """The OpenAPI document of a service, without starting any of it."""

    async def no_parts() -> Mapping[str, str | None]:
        return {}

    app = create_app(
        title=service.title,
        version=VERSION,
        settings=Settings(),
        lifespan=None,
        readiness=no_parts,
        description=service.description,
    )
    for router in routers:
        app.include_router(router)
    return committed_form(app.openapi())


def prepared(request: Request, name: str) -> Any:
    """What `Backend.prepare` put into the application's state. Raises ProblemError 503 before it did."""
    found = getattr(request.app.state, name, None)
    if found is None:
        raise ProblemError(503, "not_ready", "The service is starting.", headers={"Retry-After": "1"})
    return found


async def _server_away(request: Request, error: Exception) -> Response:
    """PostgreSQL does not answer: the caller may try again. Raises any other error on."""
    if not is_transient(error):
        raise error
    problem = ProblemError(503, "unavailable", "The database does not answer.", headers={"Retry-After": "1"})
    return respond(problem, request)


def _problem(consumer: ConsumerLoop) -> str | None:
    if consumer.problem is None and time.monotonic() - consumer.polled_at > POLLED_WITHIN_S:
        return f"has not asked Kafka for {POLLED_WITHIN_S:.0f} s"
    return consumer.problem
