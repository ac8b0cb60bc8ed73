"""After a server was restored: what keeps the services from starting too soon, and what the outbox and the relay of a
schema must forget, since Kafka knows better.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import aclosing, asynccontextmanager

import asyncpg
from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError

from shared.errors import KizashiError, TransientError, reason
from shared.events import unpack_headers
from shared.kafka.admin import view_cluster
from shared.kafka.reading import reading
from shared.settings import DatabaseSettings, KafkaSettings

ID_HEADER = "ce_id"
GUIDE = "docs/backup.md"
RESTORE = "kizashi restore --database-is-restored"
BEGIN_ANEW = "kizashi restore --new-kafka"


class RecoveryDue(KizashiError):
    """A database was put back, and must not be worked with before it knows what Kafka holds."""


@asynccontextmanager
async def alone(database: DatabaseSettings, schema: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection that keeps the service of `schema` from publishing meanwhile.

    Raises KizashiError while a process of that service runs.
    """
    conn = await connect(database)
    try:
        if not await conn.fetchval("SELECT pg_try_advisory_lock(hashtext($1), 0)", schema):
            raise KizashiError(f"{schema} is running; end the services first")
        yield conn
    finally:
        await conn.close()


async def connect(database: DatabaseSettings) -> asyncpg.Connection:
    """One connection. Raises TransientError where PostgreSQL is away, KizashiError where it refuses."""
    try:
        return await asyncpg.connect(database.url.get_secret_value(), timeout=10)
    except (OSError, asyncpg.CannotConnectNowError, asyncpg.PostgresConnectionError) as error:
        raise TransientError(f"PostgreSQL does not answer: {reason(error)}") from error
    except asyncpg.PostgresError as error:
        raise KizashiError(f"PostgreSQL refuses: {error}") from error


def due_sql(schema: str, command: str) -> str:
    """Statements after which the service of `schema` does not start before `command` has come to its end."""
    return (
        f"CREATE SCHEMA IF NOT EXISTS {schema};"
        f" CREATE TABLE IF NOT EXISTS {schema}.recovery_due (command text NOT NULL);"
        f" DELETE FROM {schema}.recovery_due; INSERT INTO {schema}.recovery_due VALUES ('{command}');"
    )


async def end_due(conn: asyncpg.Connection, schema: str) -> None:
    """Take back what `due_sql` says, in the transaction that does what was due."""
    await conn.execute(f"SET LOCAL client_min_messages = warning; DROP TABLE IF EXISTS {schema}.recovery_due")


async def check_not_due(conn: asyncpg.Connection, schema: str) -> None:
    """Raises RecoveryDue where a recovery of `schema` has begun and not ended."""
    if await conn.fetchval("SELECT to_regclass($1) IS NOT NULL", f"{schema}.recovery_due"):
        command = await conn.fetchval(f"SELECT command FROM {schema}.recovery_due LIMIT 1") or RESTORE
        raise RecoveryDue(
            f"the database was put back and does not know yet what Kafka holds: run `{command}` ({GUIDE})"
        )


async def check_not_emptied(conn: asyncpg.Connection, kafka: KafkaSettings, schema: str, topic: str) -> None:
    """Raises RecoveryDue where `schema` knows nothing at all although `topic`, which its service writes, holds records:
    the service would count everything anew, and publish it under versions that were there before.
    """
    if await _knows_anything(conn, schema) or not await _holds_anything(kafka, topic):
        return
    # Another process may have begun meanwhile, which stores before it publishes.
    if not await _knows_anything(conn, schema):
        raise RecoveryDue(
            f"the database knows nothing, but {topic} in Kafka holds what was published from it: put a backup back"
            f" (`kizashi restore FOLDER`) or count again what Kafka holds (`kizashi replay --from-topic`; {GUIDE})."
            " To begin from nothing, take an empty Kafka too."
        )


async def _knows_anything(conn: asyncpg.Connection, schema: str) -> bool:
    tables = [f"{schema}.lead", f"{schema}.consumer_offset"]
    there = [name for name in tables if await conn.fetchval("SELECT to_regclass($1) IS NOT NULL", name)]
    return any([await conn.fetchval(f"SELECT EXISTS (SELECT FROM {name})") for name in there])


async def _holds_anything(kafka: KafkaSettings, topic: str) -> bool:
    if topic not in (await view_cluster(kafka, [topic])).partitions:
        return False
    try:
        async with aclosing(records_of(kafka, topic)) as records:
            async for record in records:
                if record.value is not None:
                    return True
    except KafkaError as error:
        raise TransientError(f"Kafka at {kafka.bootstrap_servers} does not answer: {error}") from error
    return False


async def records_of(kafka: KafkaSettings, topic: str) -> AsyncGenerator["ConsumerRecord[bytes, bytes]", None]:
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
