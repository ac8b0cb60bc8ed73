"""After a server was restored: what the outbox and the relay of a schema must forget, since Kafka knows better."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import asyncpg
from aiokafka import ConsumerRecord

from shared.errors import KizashiError
from shared.events import unpack_headers
from shared.kafka.reading import reading
from shared.settings import DatabaseSettings, KafkaSettings

ID_HEADER = "ce_id"


@asynccontextmanager
async def alone(database: DatabaseSettings, schema: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection that keeps the service of `schema` from publishing meanwhile.

    Raises KizashiError while a process of that service runs.
    """
    conn = await asyncpg.connect(database.url.get_secret_value(), timeout=10)
    try:
        if not await conn.fetchval("SELECT pg_try_advisory_lock(hashtext($1), 0)", schema):
            raise KizashiError(f"{schema} is running; end the services first")
        yield conn
    finally:
        await conn.close()


async def records_of(kafka: KafkaSettings, topic: str) -> AsyncIterator["ConsumerRecord[bytes, bytes]"]:
    """Every committed record of a topic, each partition's in order."""
    async with reading(kafka, topic) as opened:
        async for records in opened.until_end():
            for record in records:
                yield record


def event_id(record: "ConsumerRecord[bytes, bytes]") -> str | None:
    """The record's CloudEvents id, None where it has none."""
    found = dict(record.headers).get(ID_HEADER)
    return found.decode("utf-8", "replace") if found is not None else None


async def forget_published(conn: asyncpg.Connection, schema: str, published: Collection[tuple[str, str]]) -> int:
    """Remove outbox rows whose event, (topic, id), stands in Kafka already; returns how many."""
    rows = await conn.fetch(f"SELECT id, topic, headers FROM {schema}.outbox")
    done = [
        row["id"]
        for row in rows
        if (row["topic"], dict(unpack_headers(row["headers"])).get(ID_HEADER, b"").decode()) in published
    ]
    await conn.execute(f"DELETE FROM {schema}.outbox WHERE id = ANY($1::bigint[])", done)
    return len(done)


async def forget_producer(conn: asyncpg.Connection, schema: str) -> None:
    """Let the relay begin as a new producer: the sequences on record are older than what Kafka has seen."""
    await conn.execute(f"DELETE FROM {schema}.relay")


async def forget_positions(conn: asyncpg.Connection, schema: str) -> None:
    """Let the consumers begin where the topics begin: the Kafka that the positions were noted with is gone."""
    await conn.execute(f"DELETE FROM {schema}.consumer_offset")
