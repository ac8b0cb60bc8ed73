"""The ingest service's HTTP side with a place for records that is only a list."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
from pydantic import SecretStr

from services.ingest.durable import Durability, NotDurable, OutgoingRecord
from services.ingest.handlers import Activities
from services.ingest.helper import Helpers
from services.ingest.routes import activities_route
from services.ingest.settings import IngestSettings
from shared.keys import KeyStore, create_key
from shared.web import create_app

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


class ListedRecords:
    """A Durable that keeps records in a list, or refuses them."""

    def __init__(self) -> None:
        self.records: list[OutgoingRecord] = []
        self.refuses: str | None = None

    async def publish(self, records: Sequence[OutgoingRecord]) -> Durability:
        if self.refuses:
            raise NotDurable(self.refuses)
        self.records.extend(records)
        return "kafka"

    async def faults(self) -> Mapping[str, str | None]:
        return {"kafka": self.refuses}


@pytest.fixture
def settings(tmp_path: Path) -> IngestSettings:
    return IngestSettings(data_dir=tmp_path, identity_secret=SecretStr("a secret"))


@pytest.fixture
def durable() -> ListedRecords:
    return ListedRecords()


@pytest.fixture
def key(settings: IngestSettings) -> str:
    return create_key(settings.key_store_path, "website", ["activities:write"], NOW)


@pytest.fixture
async def client(settings: IngestSettings, durable: ListedRecords, key: str) -> AsyncIterator[httpx2.AsyncClient]:
    activities = Activities(settings, KeyStore(settings.key_store_path), lambda: NOW, durable, Helpers(0))
    app = create_app(
        title="Ingest",
        version="0",
        settings=settings,
        lifespan=None,
        readiness=durable.faults,
        lean=[activities_route(activities)],
        clock=lambda: NOW,
    )
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
        yield client
