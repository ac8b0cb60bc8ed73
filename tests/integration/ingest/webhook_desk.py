"""The ingest service in this process, with every tool as a source and a real Kafka behind it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from aiokafka import AIOKafkaConsumer, TopicPartition
from fastapi import FastAPI

from services.ingest.app import build
from services.ingest.settings import IngestSettings
from services.ingest.sources.rejected import Part, headers_as_text
from shared.clock import system_clock
from shared.codec import encode
from shared.kafka.admin import ensure_topics
from shared.keys import create_key
from shared.settings import KafkaSettings, load
from shared.topics import REJECTED_WEBHOOKS
from tests.conftest import PARTITIONS
from tests.unit.ingest.sources.samples import SAMPLES

DEADLINE_S = 60.0
PUBLIC = "https://leads.example.co.jp/v1/webhooks/main"


@dataclass(frozen=True)
class Record:
    """One record of a topic."""

    key: str
    headers: dict[str, bytes]
    value: bytes


@dataclass(frozen=True)
class Desk:
    """A running service and a client to it."""

    app: FastAPI
    client: httpx2.AsyncClient
    kafka: KafkaSettings
    admin_key: str

    async def records(self, topic: str, wanted: Callable[[Record], bool], count: int) -> list[Record]:
        """The first `count` records of `topic` that are `wanted`, waiting for them."""
        found: list[Record] = []
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka.bootstrap_servers, enable_auto_commit=False)
        await consumer.start()
        try:
            parts = [TopicPartition(topic, number) for number in range(self.kafka.partitions)]
            consumer.assign(parts)
            await consumer.seek_to_beginning(*parts)
            until = time.monotonic() + DEADLINE_S
            while len(found) < count and time.monotonic() < until:
                for batch in (await consumer.getmany(timeout_ms=100)).values():
                    made = [Record(record.key.decode(), dict(record.headers), record.value) for record in batch]
                    found += [record for record in made if wanted(record)]
        finally:
            await consumer.stop()
        return found

    async def rejected(self, source: str, request_id: str, count: int = 1) -> list[Part]:
        """The parts kept of one request."""
        found = await self.records(
            REJECTED_WEBHOOKS.name,
            lambda record: record.headers["source"] == source.encode() and record.key == request_id,
            count,
        )
        return [Part(headers_as_text(record.headers), record.value) for record in found]

    async def get(self, path: str) -> Any:
        """An administrator's question."""
        answer = await self.client.get(path, headers={"Authorization": f"Bearer {self.admin_key}"})
        assert answer.status_code == 200, answer.text
        return answer.json()


def sources_yaml() -> bytes:
    """Every tool under its own name (JSON is YAML), and one whose secret is nowhere set."""
    webhooks: dict[str, Any] = {
        sample.adapter: {
            "adapter": sample.adapter,
            "secrets": [sample.other_secret, sample.secret],
            "public_url": PUBLIC,
            "timezone": sample.told.get("timezone", "UTC"),
        }
        for sample in SAMPLES
    }
    webhooks["nowhere"] = {"adapter": "mautic", "secrets": ["${NOT_SET_ANYWHERE}"]}
    return encode({"webhooks": webhooks})


@asynccontextmanager
async def running_desk(
    folder: Path, bootstrap_servers: str, sources: bytes | None = None, **settings_of: str
) -> AsyncIterator[Desk]:
    """The service from its start to its end; `settings_of` are more of its environment, without `KIZASHI_`."""
    (folder / "sources.yaml").write_bytes(sources or sources_yaml())
    env = {
        "KIZASHI_CONFIG_DIR": str(folder),
        "KIZASHI_DATA_DIR": str(folder),
        "KIZASHI_IDENTITY_SECRET": "identity-secret-for-tests",
        "KIZASHI_KAFKA__BOOTSTRAP_SERVERS": bootstrap_servers,
        "KIZASHI_KAFKA__PARTITIONS": str(PARTITIONS),
        **{f"KIZASHI_{name}": value for name, value in settings_of.items()},
    }
    settings = load(IngestSettings, env)
    await ensure_topics(settings.kafka)
    key = create_key(settings.key_store_path, f"admin-{time.monotonic_ns()}", ["admin"], system_clock())
    app = build(settings)
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="https://leads.example.co.jp") as client:
            await _ready(client)
            yield Desk(app, client, settings.kafka, key)


async def _ready(client: httpx2.AsyncClient) -> None:
    until = time.monotonic() + DEADLINE_S
    while (await client.get("/readyz")).status_code != 200:
        assert time.monotonic() < until, "the service did not become ready"
        await asyncio.sleep(0.02)
