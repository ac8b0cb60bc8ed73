"""A scoring consumer without Kafka: batches are handed to the real handler, on a real PostgreSQL."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import orjson
from aiokafka import TopicPartition
from sqlalchemy.ext.asyncio import AsyncEngine

from services.scoring import models as model_store
from services.scoring.app import ROUTER
from services.scoring.core.lead import LeadState
from services.scoring.explaining import Explainer
from services.scoring.handlers import ActivityHandler, OutcomeHandler
from services.scoring.helper import Helpers
from services.scoring.models import ModelsInForce
from services.scoring.reading import LeadReader
from services.scoring.replay import replay
from services.scoring.replayed import Replay
from services.scoring.settings import ScoringSettings
from services.scoring.subjects import SubjectReader
from services.scoring.tables import SCHEMA
from services.scoring.timer import look_at_due
from shared.activity import Activity, parse_posted, to_record
from shared.clock import to_rfc3339
from shared.identity import Identifier, lead_id_for
from shared.kafka.admin import ClusterView
from shared.kafka.partition import partition_for
from shared.kafka.records import Batch, Record
from shared.keys import create_key
from shared.migrate import upgrade
from shared.postgres import create_engine, create_pool
from shared.settings import DatabaseSettings, KafkaSettings
from shared.web import create_app
from tests.conftest import PARTITIONS

MIGRATIONS = Path("services/scoring/migrations")
SECRET = "a secret of the tests"
NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
MODEL = """
model: test
timezone: Asia/Tokyo
engagement:
  rules:
    - {id: download, activity: document_downloaded, points: 5}
    - {id: seminar, activity: seminar_attended, points: 10, repeat: every, decay: {half_life: 60d}}
    - {id: view, activity: page_viewed, points: 1, repeat: {max: 2, per: 7d}}
    - {id: back, activity: page_viewed, cells: [{at_least: 3, within: 14d, points: 4}]}
    - {id: manager-click, activity: email_clicked, all: [{field: attributes.job_title, contains: 課長}], points: 7}
fit:
  rules:
    - {id: manager, any: [{field: attributes.job_title, contains: 課長}], points: 10}
signals:
  - {id: price-link, activity: email_clicked, all: [{field: properties.link, contains: /price}]}
"""

id_for = partial(lead_id_for, SECRET.encode())


def activity(raw: dict[str, Any]) -> Activity:
    """Normalise as ingest does at NOW."""
    return parse_posted(raw, id_if_absent="none", source_if_absent="api", received_at=NOW, region="JP")


@dataclass
class Desk:
    """One or more consumers on one database. `ends` is where each partition of the imagined topic ends."""

    pool: asyncpg.Pool
    settings: ScoringSettings
    models: ModelsInForce
    engine: AsyncEngine
    now: datetime = NOW
    ends: dict[TopicPartition, int] = field(default_factory=dict)
    helpers: Helpers | None = None

    def handler(self) -> ActivityHandler:
        return ActivityHandler(
            self.pool, self.settings, self.models, ClusterView("cluster"), lambda: self.now, self.helpers
        )

    async def batch(self, records: Sequence[tuple[int, bytes | None]]) -> Batch:
        """Values as records of the given partitions, at their ends."""
        made: list[Record] = []
        expected: dict[TopicPartition, int] = {}
        for partition, value in sorted(records, key=lambda item: item[0]):
            tp = TopicPartition("lead-activities", partition)
            expected.setdefault(tp, self.ends.get(tp, 0))
            offset = self.ends[tp] = self.ends.get(tp, 0)
            made.append(Record("lead-activities", partition, offset, 0, b"key", value, []))
            self.ends[tp] = offset + 1
        await self.handler().begin_positions(dict.fromkeys(expected, 0))
        return Batch(made, expected, {tp: self.ends[tp] for tp in expected})

    async def of(self, activities: Sequence[Activity]) -> Batch:
        """Activities as records, each in the partition of its strongest identifier."""
        return await self.batch(
            [
                (partition_for(id_for(item.identifiers[0]).encode(), PARTITIONS), orjson.dumps(to_record(item)))
                for item in activities
            ]
        )

    async def receive(self, *raw: dict[str, Any]) -> None:
        """Post activities and let them be scored."""
        await self.handler().handle(await self.of([activity(item) for item in raw]))

    def http(self, *scopes: str) -> httpx2.AsyncClient:
        """The service's API with a key of these scopes, without its consumers."""
        settings = self.settings
        app = create_app(
            title="test", version="0", settings=settings, lifespan=None, readiness=_ready, clock=lambda: self.now
        )
        app.include_router(ROUTER)
        app.state.pool, app.state.models = self.pool, self.models
        app.state.reader = LeadReader(self.engine, self.models)
        app.state.subjects = SubjectReader(self.engine, self.models)
        app.state.explainer = Explainer(self.engine, self.models, id_for)
        settings.key_store_path.unlink(missing_ok=True)
        key = create_key(settings.key_store_path, "marketing", scopes or ["leads:read", "leads:write"], self.now)
        headers = {"Authorization": f"Bearer {key}"}
        return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://scoring", headers=headers)

    async def return_lead(self, lead_id: str, *, days: float = 0, number: int = 1, **more: Any) -> None:
        """Sales sends a lead back, so many days ago."""
        at, handoff_id = to_rfc3339(self.now - timedelta(days=days)), f"00000000-0000-4000-8000-{number:012d}"
        body = {"lead_id": lead_id, "handoff_id": handoff_id, "outcome": "recycled", "at": at, **more}
        handler = OutcomeHandler(self.pool, self.settings, self.models, ClusterView("cluster"), lambda: self.now)
        tp = TopicPartition(handler.topic, 0)
        offset = self.ends.get(tp, 0)
        self.ends[tp] = offset + 1
        await handler.begin_positions({tp: 0})
        record = Record(tp.topic, 0, offset, 0, lead_id.encode(), orjson.dumps(body), [])
        await handler.handle(Batch([record], {tp: offset}, {tp: offset + 1}))

    async def tick(self) -> None:
        """Let the timer work until nothing is due now."""
        while await look_at_due(self.pool, self.settings, self.models, lambda: self.now):
            pass

    async def replayed(self) -> Replay:
        """Everything folded again from what is stored, and compared."""
        return await replay(self.pool, self.models, self.now, lambda *_: None)

    async def published(self, topic: str = "lead-scores") -> list[tuple[str, dict[str, Any] | None]]:
        """What stands in the outbox for `topic`, in order: key and value."""
        rows = await self.pool.fetch("SELECT key, value FROM scoring.outbox WHERE topic = $1 ORDER BY id", topic)
        return [(row["key"].decode(), row["value"] and orjson.loads(row["value"])) for row in rows]

    async def states(self) -> dict[str, LeadState]:
        """The stored states of all leads that were not merged away."""
        rows = await self.pool.fetch("SELECT id::text, state FROM scoring.lead WHERE merged_into IS NULL")
        return {row[0]: LeadState.unpack(row[1]) for row in rows}

    async def score_of(self, lead_id: str) -> float | None:
        """The primary model's score now."""
        state = (await self.states())[lead_id]
        cents = state.evaluation(self.models.serving(state).primary, state.instant(self.now)).score
        return None if cents is None else cents / 100

    async def resolve(self, lead_id: str) -> str:
        """Where an id leads to."""
        target = await self.pool.fetchval("SELECT merged_into::text FROM scoring.lead WHERE id = $1::uuid", lead_id)
        return target or lead_id


async def open_desk(database_url: str, folder: Path, model: str = MODEL) -> Desk:
    """A migrated database with the test model published."""
    (folder / "scoring.yaml").write_text(model, encoding="utf-8")
    settings = ScoringSettings(
        identity_secret=SECRET,
        config_dir=folder,
        data_dir=folder,
        kafka=KafkaSettings(partitions=PARTITIONS),
        database=DatabaseSettings(url=database_url),
    )
    await upgrade(settings.database, MIGRATIONS, SCHEMA)
    pool = await create_pool(settings.database, name="test", size=6)
    async with pool.acquire() as conn:
        models = await model_store.publish(conn, model_store.read_models(folder))
    return Desk(pool, settings, models, create_engine(settings.database, name="test-api"))


async def _ready() -> dict[str, str | None]:
    return {}


async def gather(*work: Any) -> None:
    """Run several handlers at once."""
    await asyncio.gather(*work)


def lead_of(kind: str, value: str) -> str:
    """The lead id that an identifier names."""
    return id_for(Identifier(kind, value))
