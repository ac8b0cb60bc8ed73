"""Events to publish, written with the state they tell of."""

from collections.abc import Sequence

import asyncpg
from sqlalchemy import ARRAY, BigInteger, Column, DateTime, Identity, Integer, LargeBinary, MetaData, Table, Text, func

from shared.events import OutboxRow
from shared.kafka.partition import partition_for

MOST_COUNTED = 100_000
"""Rows: more are not counted, as that would take as long as publishing some of them."""


def outbox_tables(metadata: MetaData) -> None:
    """The tables of a service's outbox and of the relay that empties it, for its migrations."""
    Table(
        "outbox",
        metadata,
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("topic", Text, nullable=False),
        Column("partition", Integer, nullable=False),
        Column("key", LargeBinary),
        Column("value", LargeBinary),
        Column("headers", LargeBinary, nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    )
    Table(
        "relay",
        metadata,
        Column("shard", Integer, primary_key=True, autoincrement=False),
        Column("cluster_id", Text, nullable=False),
        Column("producer_id", BigInteger, nullable=False),
        Column("producer_epoch", Integer, nullable=False),
        Column("sequences", LargeBinary, nullable=False),
        Column("round", ARRAY(BigInteger), nullable=False),
    )


def channel(schema: str) -> str:
    """The NOTIFY channel on which a commit wakes the relay of `schema`."""
    return f"{schema}_outbox"


async def waiting(conn: asyncpg.Connection, schema: str) -> tuple[int, float]:
    """How many rows wait to be published, MOST_COUNTED at most, and the age of the oldest in seconds."""
    row = await conn.fetchrow(
        "SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8"
        f" FROM (SELECT created_at FROM {schema}.outbox ORDER BY id LIMIT $1) AS oldest",
        MOST_COUNTED,
    )
    return row[0], max(row[1], 0.0)


async def append(conn: asyncpg.Connection, schema: str, rows: Sequence[OutboxRow], partitions: int) -> None:
    """Write `rows` in order, inside the caller's transaction, and wake the relay when it commits.

    `partitions` is how many the target topics have. Rows of one lead stay in order because whoever appends them holds
    that lead's row lock: ids are drawn under it.
    """
    if not rows:
        return
    await conn.execute(
        f"INSERT INTO {schema}.outbox (topic, partition, key, value, headers)"
        " SELECT * FROM unnest($1::text[], $2::int[], $3::bytea[], $4::bytea[], $5::bytea[])",
        [row.topic for row in rows],
        [partition_for(row.key, partitions) if row.key is not None else 0 for row in rows],
        [row.key for row in rows],
        [row.value for row in rows],
        [row.headers for row in rows],
    )
    await conn.execute(f"NOTIFY {channel(schema)}")
