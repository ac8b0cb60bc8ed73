"""The relay: publishes the outbox, each row exactly once, in order.

One relay per schema works at a time, under an advisory lock. It goes in rounds. In one commit it deletes the rows of
the round before, notes the producer's sequences, and claims the ids of the next round; only then does it send. Whoever
comes after a crash finds the claim and sends the same rows, cut into the same batches, under the same sequences, so the
broker drops what it already has. Neither the topic's tail nor transactions are needed.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress

import asyncpg
import orjson
import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from shared.errors import KizashiError, TransientError
from shared.events import unpack_headers
from shared.kafka.admin import view_cluster
from shared.kafka.identity import MAX_BATCH_BYTES, ProducerIdentity, abandon, identity_of, start_producer
from shared.outbox import channel
from shared.postgres import SOCKET_SETTINGS, is_transient
from shared.settings import Settings
from shared.waiting import Backoff

ROUND_ROWS = 5_000
ROW_OVERHEAD_BYTES = 64
POLL_S = STAND_BY_S = 0.5
IDLE_LIMIT_MS = 3_000
"""A relay that was stopped for longer loses its session, and with it the lock."""

log = structlog.get_logger()


class Relay:
    """Empties the outbox of one schema for as long as `run` runs."""

    def __init__(self, settings: Settings, schema: str, shard: int = 0) -> None:
        self._settings = settings
        self._schema = schema
        self._shard = shard
        self._wake = asyncio.Event()
        self.problem: str | None = "not started"
        self.published = 0

    async def run(self) -> None:
        """Publish until cancelled. Servers that are away are waited for; `problem` says so meanwhile.

        Raises KizashiError when the database belongs to another Kafka than the one that is connected.
        """
        backoff = Backoff()
        while True:
            try:
                await self._hold_lock_and_publish()
                backoff.reset()
            except (TransientError, KafkaError) as error:
                self._met(f"kafka: {error}")
            except Exception as error:
                if not is_transient(error):
                    raise
                self._met(f"postgres: {error}")
            await backoff.pause()

    def _met(self, problem: str) -> None:
        if problem != self.problem:
            log.warning("relay_waits", problem=problem)
        self.problem = problem

    async def _hold_lock_and_publish(self) -> None:
        conn = await asyncpg.connect(
            self._settings.database.url.get_secret_value(),
            timeout=5,
            command_timeout=60,
            server_settings={
                "application_name": f"kizashi-{self._schema}-relay",
                "idle_session_timeout": str(IDLE_LIMIT_MS),
                "idle_in_transaction_session_timeout": str(IDLE_LIMIT_MS),
                **SOCKET_SETTINGS,
            },
        )
        try:
            while not await conn.fetchval("SELECT pg_try_advisory_lock(hashtext($1), $2)", self._schema, self._shard):
                self.problem = None
                await asyncio.sleep(STAND_BY_S)
            await conn.add_listener(channel(self._schema), lambda *_: self._wake.set())
            await self._publish(conn)
        finally:
            with suppress(Exception):
                await conn.close(timeout=1)

    async def _publish(self, conn: asyncpg.Connection) -> None:
        producer, claimed = await self._resume(conn)
        try:
            self.problem = None
            while True:
                if claimed:
                    await self._send(conn, producer, await self._rows(conn, claimed))
                claimed = await self._next_round(conn, producer, claimed)
        finally:
            await abandon(producer)

    async def _resume(self, conn: asyncpg.Connection) -> tuple[AIOKafkaProducer, list[int]]:
        """A producer under the identity on record, and the round that may or may not have been sent."""
        cluster_id = (await view_cluster(self._settings.kafka, [])).cluster_id
        row = await conn.fetchrow(f"SELECT * FROM {self._schema}.relay WHERE shard = $1", self._shard)
        if row is None:
            producer = await start_producer(self._settings.kafka, None)
            await self._note(conn, producer, cluster_id)
            return producer, []
        if row["cluster_id"] != cluster_id:
            raise KizashiError(
                f"the outbox of {self._schema} was last published to Kafka {row['cluster_id']},"
                f" but the connected cluster is {cluster_id}"
            )
        sequences = {TopicPartition(topic, part): seq for topic, part, seq in orjson.loads(row["sequences"])}
        identity = ProducerIdentity(row["producer_id"], row["producer_epoch"], sequences)
        return await start_producer(self._settings.kafka, identity), list(row["round"])

    async def _note(self, conn: asyncpg.Connection, producer: AIOKafkaProducer, cluster_id: str) -> None:
        identity = identity_of(producer)
        await conn.execute(
            f"INSERT INTO {self._schema}.relay VALUES ($1, $2, $3, $4, $5, '{{}}')",
            self._shard,
            cluster_id,
            identity.producer_id,
            identity.epoch,
            _pack_sequences(identity),
        )

    async def _next_round(self, conn: asyncpg.Connection, producer: AIOKafkaProducer, done: Sequence[int]) -> list[int]:
        """Delete what was sent and claim what is next, in one commit; waits for rows where there are none."""
        self._wake.clear()
        async with conn.transaction():
            if done:
                await conn.execute(f"DELETE FROM {self._schema}.outbox WHERE id = ANY($1::bigint[])", done)
            claimed = _cut(
                await conn.fetch(
                    f"SELECT id, topic, partition, coalesce(length(key), 0) + coalesce(length(value), 0)"
                    f" + length(headers) AS bytes FROM {self._schema}.outbox ORDER BY id LIMIT $1",
                    ROUND_ROWS,
                )
            )
            if done or claimed:
                await conn.execute(
                    f"UPDATE {self._schema}.relay SET sequences = $2, round = $3 WHERE shard = $1",
                    self._shard,
                    _pack_sequences(identity_of(producer)),
                    claimed,
                )
        if not claimed:
            # Not wait_for: before Python 3.12 it loses a cancellation that comes together with what it waits for.
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._wake.wait()
        return claimed

    async def _rows(self, conn: asyncpg.Connection, ids: Sequence[int]) -> list[asyncpg.Record]:
        rows: list[asyncpg.Record] = await conn.fetch(
            f"SELECT topic, partition, key, value, headers FROM {self._schema}.outbox"
            " WHERE id = ANY($1::bigint[]) ORDER BY id",
            ids,
        )
        return rows

    async def _send(self, conn: asyncpg.Connection, producer: AIOKafkaProducer, rows: Sequence[asyncpg.Record]) -> None:
        batches = {}
        for row in rows:
            tp = TopicPartition(row["topic"], row["partition"])
            if tp not in batches:
                batches[tp] = producer.create_batch()
            batches[tp].append(
                key=row["key"], value=row["value"], timestamp=None, headers=unpack_headers(row["headers"])
            )
        sent = [await producer.send_batch(batch, tp.topic, partition=tp.partition) for tp, batch in batches.items()]
        await self._await_acks(conn, sent)
        self.published += len(rows)

    async def _await_acks(self, conn: asyncpg.Connection, sent: list["asyncio.Future[object]"]) -> None:
        """Wait for all acknowledgements; the database is asked meanwhile so that its session does not count as idle."""
        waiting = asyncio.gather(*sent)
        try:
            while True:
                done, _ = await asyncio.wait([waiting], timeout=1.0)
                if done:
                    break
                self.problem = "kafka: does not acknowledge"
                await conn.execute("SELECT 1")
            waiting.result()
            self.problem = None
        finally:
            waiting.cancel()


def _cut(rows: Sequence[asyncpg.Record]) -> list[int]:
    """The ids of one round: in order, until one partition's batch would be too large to go in one piece."""
    claimed: list[int] = []
    sizes: dict[tuple[str, int], int] = defaultdict(int)
    for row in rows:
        target = (row["topic"], row["partition"])
        size = row["bytes"] + ROW_OVERHEAD_BYTES
        if sizes[target] and sizes[target] + size > MAX_BATCH_BYTES:
            break
        sizes[target] += size
        claimed.append(row["id"])
    return claimed


def _pack_sequences(identity: ProducerIdentity) -> bytes:
    return orjson.dumps([(tp.topic, tp.partition, seq) for tp, seq in identity.sequences.items()])
