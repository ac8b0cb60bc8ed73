"""Consumer positions, kept beside the work they stand for and moved by compare-and-set.

A process that lost its partitions but does not know it yet (stopped, then continued) finds the offset moved and is
refused: that, and not the consumer group, is what keeps two processes from doing the same work.
"""

from collections.abc import Collection

import asyncpg
from aiokafka import TopicPartition
from sqlalchemy import BigInteger, Column, DateTime, Integer, MetaData, Table, Text, func, text

from shared.errors import KizashiError
from shared.kafka.admin import ClusterView
from shared.kafka.records import Batch

GUIDE = "follow docs/backup.md"


class Fenced(KizashiError):
    """Another process has moved these positions: drop the batch and read them again."""


class ForeignKafkaError(KizashiError):
    """The positions in the database belong to another Kafka, or another topic of that name, than the connected one."""


def offsets_table(metadata: MetaData) -> Table:
    """The table of positions, for a service's migrations."""
    return Table(
        "consumer_offset",
        metadata,
        Column("topic", Text, primary_key=True),
        Column("partition", Integer, primary_key=True),
        Column("next_offset", BigInteger, nullable=False),
        Column("cluster_id", Text, nullable=False),
        Column("topic_id", Text, nullable=False, server_default=text("''")),
        Column("moved_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    )


async def load(
    conn: asyncpg.Connection, schema: str, partitions: Collection[TopicPartition], cluster: ClusterView
) -> dict[TopicPartition, int]:
    """Positions of `partitions`; those never read before are missing.

    Raises ForeignKafkaError when a position was noted with another cluster, or with another topic of the same name.
    """
    rows = await conn.fetch(
        f"SELECT topic, partition, next_offset, cluster_id, topic_id FROM {schema}.consumer_offset"
        " WHERE (topic, partition) IN (SELECT * FROM unnest($1::text[], $2::int[]))",
        [tp.topic for tp in partitions],
        [tp.partition for tp in partitions],
    )
    for row in rows:
        _check_origin(schema, row, cluster)
    return {TopicPartition(row["topic"], row["partition"]): row["next_offset"] for row in rows}


async def begin_at(
    conn: asyncpg.Connection, schema: str, positions: dict[TopicPartition, int], cluster: ClusterView
) -> None:
    """Note where partitions that were never read begin; positions that exist stay."""
    await conn.execute(
        f"INSERT INTO {schema}.consumer_offset (topic, partition, next_offset, topic_id, cluster_id)"
        " SELECT *, $5 FROM unnest($1::text[], $2::int[], $3::bigint[], $4::text[]) ON CONFLICT DO NOTHING",
        [tp.topic for tp in positions],
        [tp.partition for tp in positions],
        list(positions.values()),
        [cluster.topic_ids.get(tp.topic, "") for tp in positions],
        cluster.cluster_id,
    )


def _check_origin(schema: str, row: asyncpg.Record, cluster: ClusterView) -> None:
    """A position counts in the Kafka and in the topic it was noted with, and in no other."""
    where = f"{schema}.consumer_offset knows {row['topic']}-{row['partition']}"
    if row["cluster_id"] != cluster.cluster_id:
        raise ForeignKafkaError(
            f"{where} of Kafka {row['cluster_id']}, but the connected cluster is {cluster.cluster_id}."
            f" Connect the Kafka that belongs to this database; if it is lost for good, {GUIDE}."
        )
    topic_id = cluster.topic_ids.get(row["topic"])
    # Positions that an earlier release noted have no topic id.
    if row["topic_id"] and topic_id and row["topic_id"] != topic_id:
        raise ForeignKafkaError(
            f"{where} of topic {row['topic_id']}, but the topic of that name is {topic_id} now: it was deleted and made"
            f" again, or another Kafka was restored under this id. Nothing was skipped; {GUIDE}."
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
