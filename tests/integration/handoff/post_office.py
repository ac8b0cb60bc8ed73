"""Deliveries without Kafka: events are handed to the real consumer, a real sender sends, on a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from aiokafka import TopicPartition
from pydantic import SecretStr

from services.handoff.channels import Channels
from services.handoff.core.events import SOURCE
from services.handoff.core.handoff import crossing_key
from services.handoff.core.rules import load_rules
from services.handoff.deliveries import DeliveryHandler
from services.handoff.destination_repository import DestinationRepository
from services.handoff.managing import Destinations
from services.handoff.sending import Sender
from services.handoff.settings import HandoffSection, HandoffSettings, SmtpSection
from services.handoff.tables import SCHEMA
from services.handoff.vault import Vault
from shared import offsets, schemas
from shared.clock import to_rfc3339
from shared.events import QUALIFIED, cloud_event_headers, unpack_headers
from shared.kafka.admin import ClusterView
from shared.kafka.partition import partition_for
from shared.kafka.records import Batch, Record
from shared.postgres import create_pool
from shared.settings import DatabaseSettings, KafkaSettings, OutgoingSettings
from tests.conftest import PARTITIONS
from tests.integration.handoff.desk import RULES

WITHIN_S = 20.0
BOOK = load_rules(RULES).rulebook(1)
LEAD: dict[str, Any] = schemas.examples(QUALIFIED)["hot"]


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class PostOffice:
    """Consumer and sender on one database. `ahead` is how far their clock is ahead of the real one."""

    pool: asyncpg.Pool
    settings: HandoffSettings
    addresses: Mapping[str, str] = field(default_factory=dict)
    ahead: timedelta = timedelta(0)
    ends: dict[TopicPartition, int] = field(default_factory=dict)
    running: "asyncio.Task[None] | None" = None

    def __post_init__(self) -> None:
        self.vault = Vault(self.settings)
        self.channels = Channels(self.settings, self.vault, self.addresses)
        self.sender = Sender(self.pool, self.settings, self.channels, self.clock, jitter=lambda: 0.0)
        self.destinations = Destinations(self.pool, self.settings, self.vault, self.channels, self.clock)

    def clock(self) -> datetime:
        return utc_now() + self.ahead

    async def make(self, **spec: Any) -> UUID:
        """A destination; its id."""
        view, _ = await self.destinations.make({"name": f"d-{len(self.ends)}-{spec.get('url', '')[-20:]}", **spec})
        return UUID(view["id"])

    async def publish(self, *events: Record) -> None:
        """Hand records to the consumer as one batch."""
        expected: dict[TopicPartition, int] = {}
        for record in events:
            tp = TopicPartition(record.topic, record.partition)
            record.offset = self.ends.get(tp, 0)
            expected.setdefault(tp, record.offset)
            self.ends[tp] = record.offset + 1
        async with self.pool.acquire() as conn:
            await offsets.begin_at(conn, SCHEMA, dict.fromkeys(expected, 0), ClusterView("cluster"))
        handler = DeliveryHandler(
            self.pool, self.settings, ClusterView("cluster"), self.clock, BOOK, wake=self.sender.wake
        )
        await handler.handle(Batch(list(events), expected, {tp: self.ends[tp] for tp in expected}))

    async def attempts(self, id_: UUID) -> list[dict[str, Any]]:
        """The attempts at a destination, the first first."""
        async with self.pool.acquire() as conn:
            rows = await DestinationRepository(conn).attempts(id_, None, None, 1_000)
        return [
            {**row, "request": orjson.loads(row["request"]), "response": orjson.loads(row["response"] or "null")}
            for row in rows
        ][::-1]

    async def states(self, id_: UUID) -> list[str]:
        """How the deliveries of a destination stand, sorted."""
        rows = await self.pool.fetch("SELECT state FROM handoff.delivery WHERE destination_id = $1", id_)
        return sorted(row[0] for row in rows)

    async def until(self, condition: Callable[[], Any]) -> Any:
        """Wait until an async condition is true, and return what it gave."""
        async with asyncio.timeout(WITHIN_S):
            while not (found := await condition()):
                assert self.running is None or not self.running.done(), "the sender has died"
                await asyncio.sleep(0.02)
            return found

    async def until_attempts(self, id_: UUID, count: int) -> list[dict[str, Any]]:
        """Wait for so many attempts at a destination."""

        async def enough() -> list[dict[str, Any]]:
            made = await self.attempts(id_)
            return made if len(made) >= count else []

        found: list[dict[str, Any]] = await self.until(enough)
        return found

    async def settled(self, id_: UUID, *states: str) -> None:
        """Wait until the deliveries of a destination stand so."""

        async def so() -> bool:
            return await self.states(id_) == sorted(states)

        await self.until(so)

    async def outbox(self) -> list[Any]:
        """What waits to be published."""
        rows = await self.pool.fetch("SELECT topic, value FROM handoff.outbox ORDER BY id")
        return [(row[0], orjson.loads(row[1])) for row in rows]

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        """The sender while the body runs."""
        task = self.running = asyncio.create_task(self.sender.run())
        try:
            yield
        finally:
            died = task.exception() if task.done() and not task.cancelled() else None
            task.cancel()
            await asyncio.wait([task])
            self.running = None
            if died is not None:
                raise died

    async def pass_time(self, span: timedelta) -> None:
        """Let the clock go on, and the sender look."""
        self.ahead += span
        self.sender.wake()


def qualified(number: int = 1, *, lead: str | None = None, **more: Any) -> Record:
    """The record of a qualified lead; `number` tells it from others."""
    lead_id = lead or f"lead-{number}"
    data = {**LEAD, "lead": {**LEAD["lead"], "id": lead_id}, **more}
    return record("qualified-leads", QUALIFIED, crossing_key(lead_id, data["rule"], number), lead_id, data)


def record(topic: str, type_: str, id_: str, key: str, data: Mapping[str, Any] | bytes) -> Record:
    """An event as a record."""
    now = utc_now()
    headers = cloud_event_headers(id_=id_, source=SOURCE, type_=type_, time=to_rfc3339(now), key=key)
    value = data if isinstance(data, bytes) else orjson.dumps(data)
    partition = partition_for(key.encode(), PARTITIONS)
    return Record(topic, partition, 0, int(now.timestamp() * 1e3), key.encode(), value, unpack_headers(headers))


async def open_post_office(
    database_url: str, folder: Path, allow: str = "", smtp: SmtpSection | None = None, **more: Any
) -> PostOffice:
    """A consumer and a sender on a migrated database."""
    settings = HandoffSettings(
        data_dir=folder,
        identity_secret=SecretStr("secret"),
        kafka=KafkaSettings(partitions=PARTITIONS),
        database=DatabaseSettings(url=SecretStr(database_url)),
        outgoing=OutgoingSettings(allow=allow),
        handoff=HandoffSection(**{"delivery_timeout_s": 15.0, **more}),
        smtp=smtp or SmtpSection(),
    )
    pool = await create_pool(settings.database, name="test", size=6)
    addresses = {"sato": "sato@example.co.jp", "kato": "kato@example.co.jp"}
    return PostOffice(pool, settings, addresses)
