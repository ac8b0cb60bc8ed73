"""The composition root of the handoff service: the only place that knows every part of it."""

from collections.abc import Coroutine, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
from fastapi import FastAPI

from services.handoff.config import FILE, compile_rules, read_handoff_file
from services.handoff.expiry import run_expiry
from services.handoff.handlers import Handler, JudgeStates, TakeAnswers
from services.handoff.reading import HandoffReader
from services.handoff.repository import HandoffRepository
from services.handoff.routes import router
from services.handoff.settings import HandoffSettings
from services.handoff.tables import SCHEMA
from shared.backend import Backend
from shared.clock import Clock, system_clock
from shared.kafka.consumer import ConsumerLoop
from shared.settings import load
from shared.telemetry import configure_logging
from shared.topics import HANDOFF_ANSWERS, LEAD_SCORES


class HandoffService(Backend):
    """The parts of one handoff process."""

    name = SCHEMA
    title = "Kizashi handoff"
    description = "Qualified leads: handed over once per crossing, and what sales answered."
    migrations = Path(__file__).parent / "migrations"

    def __init__(self, settings: HandoffSettings, clock: Clock) -> None:
        super().__init__(settings, clock)
        self._settings = settings
        self._rules = compile_rules(read_handoff_file(settings.config_dir / FILE))
        self._installed_at: datetime | None = None

    async def prepare(self, app: FastAPI, pool: asyncpg.Pool) -> None:
        """See Backend."""
        async with pool.acquire() as conn:
            self._installed_at = await HandoffRepository(conn).install(self.clock())
        app.state.reader, app.state.pool = HandoffReader(self.engine), pool

    def make_consumers(self, pool: asyncpg.Pool, cluster_id: str) -> Mapping[str, ConsumerLoop]:
        """See Backend."""
        assert self._installed_at is not None
        judging = JudgeStates(self._rules, self._installed_at, self.clock)
        section = self._settings.handoff
        return {
            "consumer": self._consumer(
                LEAD_SCORES.name, section.group, Handler(pool, self._settings, cluster_id, judging)
            ),
            "answers": self._consumer(
                HANDOFF_ANSWERS.name,
                f"{section.group}-answers",
                Handler(pool, self._settings, cluster_id, TakeAnswers(self.clock)),
            ),
        }

    def _consumer(self, topic: str, group: str, handler: Handler) -> ConsumerLoop:
        section = self._settings.handoff
        return ConsumerLoop(
            self._settings.kafka, [topic], group, handler, instance=section.instance, max_records=section.max_records
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
