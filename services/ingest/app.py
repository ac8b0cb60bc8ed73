"""The composition of the ingest service: the only place that names its parts."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fastapi import FastAPI

from services.ingest.handlers import Activities
from services.ingest.publisher import KafkaPublisher
from services.ingest.routes import activities_route
from services.ingest.settings import IngestSettings
from shared.background import running
from shared.clock import Clock, system_clock
from shared.keys import KeyStore
from shared.topics import LEAD_ACTIVITIES
from shared.version import VERSION
from shared.web import create_app

DESCRIPTION = "Takes what leads did, from forms and marketing tools, and answers once it is kept safely."


def build(settings: IngestSettings, clock: Clock = system_clock) -> FastAPI:
    """The application. Starts also while Kafka is away; needs no database.

    Raises ConfigError where the identity secret is missing.
    """
    publisher = KafkaPublisher(settings.kafka, settings.ingest, [LEAD_ACTIVITIES.name])
    activities = Activities(settings, KeyStore(settings.key_store_path), clock, publisher)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with running(publisher.run):
            yield
            await publisher.drain()

    async def readiness() -> Mapping[str, str | None]:
        return {"kafka": await publisher.fault()}

    return create_app(
        title="Kizashi ingest",
        version=VERSION,
        description=DESCRIPTION,
        settings=settings,
        lifespan=lifespan,
        readiness=readiness,
        lean=[activities_route(activities)],
        clock=clock,
    )
