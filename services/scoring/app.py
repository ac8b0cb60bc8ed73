"""The composition root of the scoring service: the only place that knows every part of it."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
from fastapi import APIRouter, FastAPI

from services.scoring import models as model_store
from services.scoring.account_reading import AccountReader
from services.scoring.account_routes import router as account_router
from services.scoring.accounts import keep_accounts
from services.scoring.entry_routes import router as entry_router
from services.scoring.explaining import Explainer
from services.scoring.explanation_routes import router as explanation_router
from services.scoring.handlers import ActivityHandler, Handler, OutcomeHandler
from services.scoring.helper import Helpers
from services.scoring.judging_routes import router as judging_router
from services.scoring.model_routes import router as model_router
from services.scoring.partitions import ensure_partitions
from services.scoring.reading import LeadReader
from services.scoring.refold import run_refold
from services.scoring.response_reading import ResponseReader
from services.scoring.response_routes import router as response_router
from services.scoring.retention import run_retention
from services.scoring.routes import router
from services.scoring.settings import ScoringSettings
from services.scoring.subject_routes import router as subject_router
from services.scoring.subjects import SubjectReader
from services.scoring.tables import SCHEMA
from services.scoring.timer import run_timer
from shared.backend import Backend
from shared.clock import Clock, system_clock
from shared.identity import lead_id_for
from shared.kafka.admin import ClusterView
from shared.kafka.consumer import ConsumerLoop, Prepare
from shared.known_secret import learn_secret
from shared.settings import load
from shared.telemetry import configure_logging

PARTITIONS_EVERY_S = 3_600.0
ROUTER = APIRouter()
ROUTER.include_router(router)
ROUTER.include_router(entry_router)
ROUTER.include_router(subject_router)
ROUTER.include_router(explanation_router)
ROUTER.include_router(account_router)
ROUTER.include_router(judging_router)
ROUTER.include_router(model_router)
ROUTER.include_router(response_router)


class ScoringService(Backend):
    """The parts of one scoring process."""

    name = SCHEMA
    title = "Kizashi scoring"
    description = "Leads, their scores and why."
    migrations = Path(__file__).parent / "migrations"

    def __init__(self, settings: ScoringSettings, clock: Clock) -> None:
        super().__init__(settings, clock)
        self._settings = settings
        self._files = model_store.read_models(settings.config_dir)
        self._models = model_store.ModelsInForce([file.model.model for file in self._files])
        self._helpers = Helpers()
        self._name_of = partial(lead_id_for, settings.identity_key)

    async def prepare(self, app: FastAPI, pool: asyncpg.Pool) -> None:
        """See Backend."""
        async with pool.acquire() as conn:
            await learn_secret(conn, SCHEMA, self._settings.identity_key)
            await ensure_partitions(conn, self.clock())
            self._models = await model_store.publish(conn, self._files)
        # Each answer is of one snapshot: what is removed meanwhile is seen as activities or as an opening, not as both.
        engine = self.engine.execution_options(isolation_level="REPEATABLE READ")
        app.state.pool, app.state.models, app.state.reader = pool, self._models, LeadReader(engine, self._models)
        app.state.subjects, app.state.responses = SubjectReader(engine, self._models), ResponseReader(engine)
        app.state.explainer = Explainer(engine, self._models, self._name_of)
        app.state.account_reader = AccountReader(self.engine, app.state.reader)

    def make_consumers(self, pool: asyncpg.Pool, cluster: ClusterView) -> Mapping[str, ConsumerLoop]:
        """See Backend."""
        settings, group = self._settings, self._settings.scoring.group
        activities = ActivityHandler(pool, settings, self._models, cluster, self.clock, self._helpers)
        outcomes = OutcomeHandler(pool, settings, self._models, cluster, self.clock)
        return {
            "consumer": self._consumer(activities, group, activities.prepare),
            "outcomes": self._consumer(outcomes, f"{group}-outcomes"),
        }

    def _consumer(self, handler: Handler, group: str, prepare: Prepare | None = None) -> ConsumerLoop:
        section = self._settings.scoring
        return ConsumerLoop(
            self._settings.kafka,
            [handler.topic],
            group,
            handler,
            instance=section.instance,
            max_records=section.max_records,
            prepare=prepare,
        )

    def loops(self, pool: asyncpg.Pool) -> Sequence[Coroutine[Any, Any, None]]:
        """See Backend."""
        days = self._settings.scoring.keep_activities_days
        retention = () if days is None else (run_retention(pool, days, self._models, self._name_of, self.clock),)
        return (
            *retention,
            self._models.follow(pool),
            self._helpers.keep(),
            run_refold(pool, self._settings, self._models, self.clock, self._helpers),
            run_timer(pool, self._settings, self._models, self.clock),
            keep_accounts(pool, self._settings, self._models, self._name_of, self.clock),
            self._keep_partitions(pool),
        )

    async def _keep_partitions(self, pool: asyncpg.Pool) -> None:
        while True:
            await asyncio.sleep(PARTITIONS_EVERY_S)
            async with pool.acquire() as conn:
                await ensure_partitions(conn, self.clock())


def make_app(settings: ScoringSettings | None = None, clock: Clock = system_clock) -> FastAPI:
    """The scoring service as an ASGI application. Raises ConfigError for faulty settings or models."""
    settings = settings or load(ScoringSettings)
    configure_logging(SCHEMA, settings.log_level)
    app = ScoringService(settings, clock).make_app()
    app.include_router(ROUTER)
    return app
