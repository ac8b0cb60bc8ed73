"""The composition root of the handoff service: the only place that knows every part of it."""

from collections.abc import Coroutine, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import structlog
from fastapi import FastAPI

from services.handoff.accounts import AccountHandler
from services.handoff.backlog import Backlog
from services.handoff.channels import Channels
from services.handoff.config import FILE, addresses_of, read_handoff_file, watched_totals
from services.handoff.core.accounts import account_rules
from services.handoff.core.watch import unwatched
from services.handoff.deliveries import DeliveryHandler
from services.handoff.destination_routes import router as destination_router
from services.handoff.effect_reading import EffectReader
from services.handoff.extraction_reading import ExtractionReader
from services.handoff.handlers import AnswerHandler, Handler, StateHandler
from services.handoff.managing import Destinations
from services.handoff.notes import Notes
from services.handoff.reading import HandoffReader
from services.handoff.routes import router
from services.handoff.runs import Runs
from services.handoff.sending import Sender
from services.handoff.settings import HandoffSettings
from services.handoff.tables import SCHEMA
from services.handoff.timers import Timers
from services.handoff.vault import Vault
from shared.backend import Backend
from shared.clock import Clock, system_clock
from shared.kafka.admin import ClusterView
from shared.kafka.consumer import ConsumerLoop
from shared.settings import load
from shared.telemetry import configure_logging

ROUTERS = (router, destination_router)

log = structlog.get_logger()


class HandoffService(Backend):
    """The parts of one handoff process."""

    name = SCHEMA
    title = "Kizashi handoff"
    description = "Qualified leads: handed over once per crossing, and what sales answered."
    migrations = Path(__file__).parent / "migrations"

    def __init__(self, settings: HandoffSettings, clock: Clock) -> None:
        super().__init__(settings, clock)
        self._settings = settings
        self._file = read_handoff_file(settings.config_dir / FILE)
        self._book = self._file.rulebook()
        self._vault = Vault(settings)
        self._channels = Channels(settings, self._vault, addresses_of(self._file))
        self._sender: Sender | None = None
        self._backlog: Backlog | None = None
        self._installed_at: datetime | None = None
        self._warn_of_unwatched()

    def _warn_of_unwatched(self) -> None:
        primary, watched = watched_totals(self._settings.config_dir)
        for warning in unwatched(self._book.rules, watched, primary) if primary else ():
            log.warning("threshold_not_watched", detail=warning)

    async def prepare(self, app: FastAPI, pool: asyncpg.Pool) -> None:
        """See Backend."""
        async with pool.acquire() as conn:
            self._installed_at = await Notes(conn).install(self.clock())
            version = await Notes(conn).note_file(self._file.digest, self.clock())
        self._book = self._file.rulebook(version)
        app.state.pool, app.state.book, app.state.reader = pool, self._book, HandoffReader(self.engine)
        app.state.extractions, app.state.effects = ExtractionReader(self.engine), EffectReader(self.engine)
        app.state.runs = Runs(pool, self._settings, self.clock, self._book)
        app.state.destinations = Destinations(pool, self._settings, self._vault, self._channels, self.clock)
        self._sender = Sender(pool, self._settings, self._channels, self.clock)
        app.state.try_now = self._sender.try_now

    def make_consumers(self, pool: asyncpg.Pool, cluster: ClusterView) -> Mapping[str, ConsumerLoop]:
        """See Backend."""
        assert self._installed_at is not None
        assert self._sender is not None
        settings, group = self._settings, self._settings.handoff.group
        self._backlog = Backlog(pool, settings.kafka, cluster)
        states = StateHandler(pool, settings, cluster, self.clock, self._book, installed_at=self._installed_at)
        answers = AnswerHandler(pool, settings, cluster, self.clock, self._book)
        accounts = AccountHandler(
            pool,
            settings,
            cluster,
            self.clock,
            self._book,
            rules=account_rules(self._file.file.account_rules),
            installed_at=self._installed_at,
        )
        deliveries = DeliveryHandler(pool, settings, cluster, self.clock, self._book, wake=self._sender.wake)
        return {
            "consumer": self._consumer(states, group),
            "answers": self._consumer(answers, f"{group}-answers"),
            "accounts": self._consumer(accounts, f"{group}-accounts"),
            "deliveries": self._consumer(deliveries, f"{group}-deliveries"),
        }

    def _consumer(self, handler: Handler, group: str) -> ConsumerLoop:
        section = self._settings.handoff
        return ConsumerLoop(
            self._settings.kafka,
            handler.topics,
            group,
            handler,
            instance=section.instance,
            max_records=section.max_records,
        )

    def loops(self, pool: asyncpg.Pool) -> Sequence[Coroutine[Any, Any, None]]:
        """See Backend."""
        assert self._sender is not None
        assert self._backlog is not None
        timers = Timers(pool, self._settings, self.clock, self._book)
        runs = Runs(pool, self._settings, self.clock, self._book, self._backlog)
        return (timers.run(), runs.run(), self._sender.run())


def make_app(settings: HandoffSettings | None = None, clock: Clock = system_clock) -> FastAPI:
    """The handoff service as an ASGI application. Raises ConfigError for faulty settings or rules."""
    settings = settings or load(HandoffSettings)
    configure_logging(SCHEMA, settings.log_level)
    app = HandoffService(settings, clock).make_app()
    for routes in ROUTERS:
        app.include_router(routes)
    return app
