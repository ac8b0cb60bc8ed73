"""The composition of the ingest service: the only place that names its parts."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from services.ingest.fetching import check_access, completing, topics_of
from services.ingest.handlers import Activities
from services.ingest.import_routes import import_routes
from services.ingest.imports import Imports
from services.ingest.publisher import KafkaPublisher
from services.ingest.routes import activities_route
from services.ingest.settings import IngestSettings
from services.ingest.sources.file import load_webhooks
from services.ingest.spool.spool import Spool
from services.ingest.spooling import SpooledPublisher
from services.ingest.webhook_routes import sources_router, webhook_route
from services.ingest.webhooks import Webhooks
from shared.clock import Clock, system_clock
from shared.keys import KeyStore
from shared.outgoing import Rules
from shared.topics import LEAD_ACTIVITIES, REJECTED_WEBHOOKS
from shared.version import VERSION
from shared.web import create_app

DESCRIPTION = "Takes what leads did, from forms and marketing tools, and answers once it is kept safely."


def build(settings: IngestSettings, clock: Clock = system_clock) -> FastAPI:
    """The application. Starts also while Kafka is away; needs no database.

    Raises ConfigError where the identity secret is missing or sources.yaml is faulty.
    """
    sources = load_webhooks(settings.config_dir, os.environ, settings.region)
    check_access(sources, Rules.of(settings.outgoing.allow))
    topics = [LEAD_ACTIVITIES.name, REJECTED_WEBHOOKS.name, *topics_of(sources)]
    limits = settings.ingest
    spool = Spool(settings.spool_path, limits.spool_max_bytes, limits.ack_timeout_s)
    durable = SpooledPublisher(KafkaPublisher(settings.kafka, limits, topics), spool)
    keys = KeyStore(settings.key_store_path)
    activities = Activities(settings, keys, clock, durable)
    imports = Imports(settings, keys, clock, durable)
    webhooks = Webhooks(settings, sources, clock, durable)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        webhooks.warn()
        completions = completing(settings, sources, durable, clock, webhooks.count_fetch)
        async with durable.open(), completions:
            yield

    app = create_app(
        title="Kizashi ingest",
        version=VERSION,
        description=DESCRIPTION,
        settings=settings,
        lifespan=lifespan,
        readiness=durable.faults,
        lean=[activities_route(activities), webhook_route(webhooks), *import_routes(imports)],
        clock=clock,
    )
    app.include_router(sources_router(webhooks))
    return app
