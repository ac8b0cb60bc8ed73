"""The composition root of the handoff service: the only place that knows every part of it."""

from collections.abc import Coroutine, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import structlog
from fastapi import FastAPI

from services.handoff.config import FILE, read_handoff_file, rules_to_run, watched_totals
from services.handoff.core.watch import unwatched
from services.handoff.expiry import run_expiry
from services.handoff.handlers import AnswerHandler, Handler, StateHandler
from services.handoff.reading import HandoffReader
from services.handoff.repository import HandoffRepository
from services.handoff.routes import router
from services.handoff.settings import HandoffSettings
from services.handoff.tables import SCHEMA
from shared.backend import Backend
from shared.clock import Clock, system_clock
from shared.kafka.admin import ClusterView
from shared.kafka.consumer import ConsumerLoop
from shared.settings import load
from shared.telemetry import configure_logging

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
        path = settings.config_dir / FILE
        self._rules = rules_to_run(read_handoff_file(path), path)
        self._installed_at: datetime | None = None
        self._warn_of_unwatched()

    def _warn_of_unwatched(self) -> None:
        primary, watched = watched_totals(self._settings.config_dir)
        for warning in unwatched(self._rules, watched, primary) if primary else ():
            log.warning("threshold_not_watched", detail=warning)

    async def prepare(self, app: FastAPI, pool: asyncpg.Pool) -> None:
        """See Backend."""
        async with pool.acquire() as conn:
            self._installed_at = await HandoffRepository(conn).install(self.clock())
        app.state.pool, app.state.reader = pool, HandoffReader(self.engine)

    def make_consumers(self, pool: asyncpg.Pool, cluster: ClusterView) -> Mapping[str, ConsumerLoop]:
        """See Backend."""
        assert self._installed_at is not None
        settings, group = self._settings, self._settings.handoff.group
        states = StateHandler(pool, settings, cluster, self.clock, rules=self._rules, installed_at=self._installed_at)
        answers = AnswerHandler(pool, settings, cluster, self.clock)
        return {"consumer": self._consumer(states, group), "answers": self._consumer(answers, f"{group}-answers")}

    def _consumer(self, handler: Handler, group: str) -> ConsumerLoop:
        section = self._settings.handoff
        return ConsumerLoop(
            self._settings.kafka,
            [handler.topic],
            group,
            handler,
            instance=section.instance,
            max_records=section.max_records,
        )

    def loops(self, pool: asyncpg.Pool) -> Sequence[Coroutine[Any, Any, None]]:
        """See Backend."""
        return (run_expiry(pool, self._settings, self.clock),)


def make_app(settings: HandoffSettings | None = None, clock: Clock = system_clock) -> FastAPI:
    """The handoff service as an ASGI application. Raises ConfigError for faulty settings or rules."""
    settings = settings or load(HandoffSettings)
    configure_logging(SCHEMA, settings.log_level)
    app = HandoffService(settings, clock).make_app()
    app.include_router(router)
    return app
