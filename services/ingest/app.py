"""The composition of the ingest service: the only place that names its parts."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from services.ingest.collecting import Collecting, WriteKeys
from services.ingest.fetching import check_access, completing, topics_of
from services.ingest.forms import Forms
from services.ingest.handlers import Activities
from services.ingest.helper import Helpers
from services.ingest.import_routes import import_routes
from services.ingest.imports import Imports
from services.ingest.links import Links
from services.ingest.publisher import KafkaPublisher
from services.ingest.routes import activities_route
from services.ingest.settings import IngestSettings
from services.ingest.site_routes import site_routes
from services.ingest.sources.file import load_sources
from services.ingest.spool.spool import Spool
from services.ingest.spooling import SpooledPublisher
from services.ingest.tracking import Tracking
from services.ingest.webhook_routes import sources_router, webhook_routes
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
    sources = load_sources(settings.config_dir, os.environ, settings.region)
    check_access(sources.webhooks, Rules.of(settings.outgoing.allow))
    topics = [LEAD_ACTIVITIES.name, REJECTED_WEBHOOKS.name, *topics_of(sources.webhooks)]
    limits = settings.ingest
    spool = Spool(settings.spool_path, limits.spool_max_bytes, limits.ack_timeout_s)
    durable = SpooledPublisher(KafkaPublisher(settings.kafka, limits, topics), spool)
    keys, helpers = KeyStore(settings.key_store_path), Helpers(limits.helpers)
    activities = Activities(settings, keys, clock, durable, helpers)
    imports = Imports(settings, keys, clock, durable)
    webhooks = Webhooks(settings, sources.webhooks, clock, durable, helpers)
    forms, write_keys = Forms(settings, sources.forms, clock, durable), WriteKeys(sources.tags)
    of_sites = site_routes(
        forms,
        Collecting(settings, write_keys, clock, durable),
        Links(settings, clock, durable),
        Tracking(settings, write_keys, clock, durable),
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        webhooks.warn()
        forms.warn()
        write_keys.warn()
        completions = completing(settings, sources.webhooks, durable, clock, webhooks.count_fetch)
        async with durable.open(), completions:
            yield

    app = create_app(
        title="Kizashi ingest",
        version=VERSION,
        description=DESCRIPTION,
        settings=settings,
        lifespan=lifespan,
        readiness=durable.faults,
        lean=[activities_route(activities), *webhook_routes(webhooks), *import_routes(imports), *of_sites],
        clock=clock,
    )
    app.include_router(sources_router(webhooks))
    return app
