"""Consumer positions, kept beside the work they stand for and moved by compare-and-set.

A process that lost its partitions but does not know it yet (stopped, then continued) finds the offset moved and is
refused: that, and not the consumer group, is what keeps two processes from doing the same work.
"""

from collections.abc import Collection

import asyncpg
from aiokafka import TopicPartition
from sqlalchemy import BigInteger, Column, DateTime, Integer, MetaData, Table, Text, func

from shared.errors import KizashiError
from shared.kafka.records import Batch


class Fenced(KizashiError):
    """Another process has moved these positions: drop the batch and read them again."""


class ForeignClusterError(KizashiError):
    """The positions in the database belong to another Kafka cluster than the one that is connected."""


def offsets_table(metadata: MetaData) -> Table:
    """The table of positions, for a service's migrations."""
    return Table(
        "consumer_offset",
        metadata,
        Column("topic", Text, primary_key=True),
        Column("partition", Integer, primary_key=True),
        Column("next_offset", BigInteger, nullable=False),
        Column("cluster_id", Text, nullable=False),
        Column("moved_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    )


async def load(
    conn: asyncpg.Connection, schema: str, partitions: Collection[TopicPartition], cluster_id: str
) -> dict[TopicPartition, int]:
    """Positions of `partitions`; those never read before are missing.

    Raises ForeignClusterError when a position was noted with another cluster.
    """
    rows = await conn.fetch(
        f"SELECT topic, partition, next_offset, cluster_id FROM {schema}.consumer_offset"
        " WHERE (topic, partition) IN (SELECT * FROM unnest($1::text[], $2::int[]))",
        [tp.topic for tp in partitions],
        [tp.partition for tp in partitions],
    )
    for row in rows:
        if row["cluster_id"] != cluster_id:
            raise ForeignClusterError(
                f"{schema}.consumer_offset knows {row['topic']}-{row['partition']} of Kafka {row['cluster_id']},"
                f" but the connected cluster is {cluster_id}. Connect the Kafka that belongs to this database;"
                " if it is lost for good, follow the restore guide in docs/."
            )
    return {TopicPartition(row["topic"], row["partition"]): row["next_offset"] for row in rows}


async def begin_at(
    conn: asyncpg.Connection, schema: str, positions: dict[TopicPartition, int], cluster_id: str
) -> None:
    """Note where partitions that were never read begin; positions that exist stay."""
    await conn.execute(
        f"INSERT INTO {schema}.consumer_offset (topic, partition, next_offset, cluster_id)"
        " SELECT *, $4 FROM unnest($1::text[], $2::int[], $3::bigint[]) ON CONFLICT DO NOTHING",
        [tp.topic for tp in positions],
        [tp.partition for tp in positions],
        list(positions.values()),
        cluster_id,
    )


async def advance(conn: asyncpg.Connection, schema: str, batch: Batch) -> None:
    """Move every partition of `batch` from where it is expected to where it goes. The first act of its transaction.

    Raises Fenced when one of them stands elsewhere.
    """
    moved = sorted(batch.expected)
    rows = await conn.fetch(
        f"UPDATE {schema}.consumer_offset o SET next_offset = want.next, moved_at = now()"
        " FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[]) AS want(topic, partition, expected, next)"
        " WHERE o.topic = want.topic AND o.partition = want.partition AND o.next_offset = want.expected RETURNING 1",
        [tp.topic for tp in moved],
        [tp.partition for tp in moved],
        [batch.expected[tp] for tp in moved],
        [batch.next[tp] for tp in moved],
    )
    if len(rows) != len(moved):
        raise Fenced(f"{len(moved) - len(rows)} of {len(moved)} partitions were moved by another process")
