"""Bugs put in on purpose, each one that such systems really have had, to see that the checker finds them.

A bug is put into the running process by replacing one function of the service; the service itself knows nothing of it.
"""

import asyncio
import random
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import asyncpg
from aiokafka import TopicPartition

from deploy.chaos.delivery_plants import DELIVERY_PLANTS
from deploy.chaos.model_plants import MODEL_PLANTS
from deploy.chaos.plan import Fault
from deploy.chaos.planting import WINDOW_S, Plant, exchange, kills
from services.handoff.core import crossing, judging
from services.ingest.spool import files as spool_files
from services.ingest.spool import spool
from services.scoring import batch as scoring_batch
from services.scoring import handlers, incoming, repository
from services.scoring.lead_row import SELECT_ROWS, LeadRow
from shared import offsets, outbox, relay
from shared.kafka import consumer as kafka_consumer
from shared.kafka.admin import view_cluster
from shared.kafka.identity import start_producer
from shared.kafka.records import Batch


def _offsets_before_the_work() -> None:
    right = offsets.advance

    async def advance(conn: asyncpg.Connection, schema: str, batch: Batch) -> None:
        await right(conn, schema, batch)
        await conn.execute("COMMIT")
        await asyncio.sleep(WINDOW_S)
        await conn.execute("BEGIN")

    exchange(offsets, "advance", advance)


def _no_dedupe() -> None:
    right = repository.ScoringRepository.add_keys

    async def add_keys(self: Any, fingerprints: Any) -> Any:
        await right(self, fingerprints)
        return set(fingerprints), 0

    exchange(repository.ScoringRepository, "add_keys", add_keys)


def _dedupe_by_arrival() -> None:
    """As with an index that has the day of arrival in its key; here the second, so that a run is long enough."""
    right = repository.ScoringRepository.add_keys

    async def add_keys(self: Any, fingerprints: Any) -> Any:
        at = int(time.time())
        stamped = {(source, f"{id_}@{at}"): print_ for (source, id_), print_ in fingerprints.items()}
        new, conflicts = await right(self, stamped)
        return {(source, id_.rpartition("@")[0]) for source, id_ in new}, conflicts

    exchange(repository.ScoringRepository, "add_keys", add_keys)


def _relay_without_memory() -> None:
    """Begins anew under a producer of its own, without asking what the one before had sent."""

    async def resume(self: Any, conn: asyncpg.Connection) -> Any:
        await conn.execute(f"DELETE FROM {self._schema}.relay")
        producer = await start_producer(self._settings.kafka, None)
        cluster_id = (await view_cluster(self._settings.kafka, [])).cluster_id
        await self._note(conn, producer, cluster_id)
        return producer, []

    right = relay.Relay._send

    async def send(self: Any, *arguments: Any) -> None:
        await right(self, *arguments)
        await asyncio.sleep(WINDOW_S)

    exchange(relay.Relay, "_resume", resume)
    exchange(relay.Relay, "_send", send)


def _relay_by_cursor() -> None:
    """Reads `id > last`, and so passes over rows of transactions that commit later than their neighbours."""
    right = relay.Relay._next_round

    async def next_round(self: Any, conn: asyncpg.Connection, producer: Any, done: Sequence[int]) -> list[int]:
        last = max(getattr(self, "last", 0), *done, 0)
        self.last = last
        await conn.execute(
            f"DELETE FROM {self._schema}.outbox WHERE id < $1 AND NOT id = ANY($2::bigint[])", last, done
        )
        return await right(self, conn, producer, done)

    async def slow_append(conn: asyncpg.Connection, *arguments: Any) -> None:
        await append(conn, *arguments)
        await asyncio.sleep(random.uniform(0, 2 * WINDOW_S))  # noqa: S311 - no secret

    append = outbox.append
    exchange(relay.Relay, "_next_round", next_round)
    exchange(outbox, "append", slow_append)


def _events_after_the_commit() -> None:
    """State and events in two transactions."""

    async def append(conn: asyncpg.Connection, *arguments: Any) -> None:
        if arguments[1]:
            await conn.execute("COMMIT")
            await asyncio.sleep(2 * WINDOW_S)
            await conn.execute("BEGIN")
        await right(conn, *arguments)

    right = outbox.append
    exchange(outbox, "append", append)


def _spool_before_the_sync() -> None:
    async def flush(self: Any) -> None:
        answered = list(self._waiting)
        for _, kept in answered:
            kept.set_result(None)
        await asyncio.sleep(15 * WINDOW_S)
        loop = asyncio.get_running_loop()
        self._waiting[: len(answered)] = [(frame, loop.create_future()) for frame, _ in answered]
        await right(self)

    right = spool.Spool._flush
    exchange(spool.Spool, "_flush", flush)


def _spool_out_of_order() -> None:
    def read(self: Any, budget: int) -> Any:
        reading = right(self, budget)
        reading.requests.reverse()
        return reading

    right = spool_files.Files.read
    exchange(spool_files.Files, "read", read)


def _crossing_again() -> None:
    """A rule stays armed: each later state of a hot lead raises it once more."""
    right = crossing.judge

    def judge(rule: Any, memory: Any, *arguments: Any, **named: Any) -> Any:
        return right(rule, replace(memory, armed=True), *arguments, **named)

    exchange(judging, "judge", judge)


def _version_outside_the_lock() -> None:
    async def lock_leads(self: Any, ids: Collection[str]) -> dict[str, Any]:
        rows = await self._conn.fetch(SELECT_ROWS + " WHERE id = ANY($1::uuid[])", sorted(ids))
        await asyncio.sleep(2 * WINDOW_S)
        return {row[0]: LeadRow(*row) for row in rows}

    exchange(repository.ScoringRepository, "lock_leads", lock_leads)


def _merge_without_lock() -> None:
    """Nobody looks whether a lead was merged between reading its identifiers and locking it."""

    def unmoved(*_: Any) -> None:
        return None

    right = repository.ScoringRepository.owners

    async def owners(self: Any, identifiers: Any) -> Any:
        found = await right(self, identifiers)
        await asyncio.sleep(2 * WINDOW_S)
        return found

    exchange(scoring_batch, "check_unmoved", unmoved)
    exchange(repository.ScoringRepository, "owners", owners)


def _dead_letter_dropped() -> None:
    def read_records(*arguments: Any) -> Any:
        found = right(*arguments)
        found.letters.clear()
        return found

    right = incoming.read_records
    exchange(handlers, "read_records", read_records)


def _restart_at_the_end() -> None:
    """Takes up at the newest record, as `auto_offset_reset=latest` does."""

    async def load(self: Any, consumer: Any, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        known = await right(self, consumer, partitions)
        if time.monotonic() < self.polled_at:
            return known
        ends: dict[TopicPartition, int] = await consumer.end_offsets(list(partitions))
        pool = getattr(self._handler, "_pool")  # noqa: B009 - private, on purpose
        async with pool.acquire() as conn:
            for tp, at in ends.items():
                await conn.execute(
                    f"UPDATE {'scoring' if self.group == 'scoring' else 'handoff'}.consumer_offset"
                    " SET next_offset = $3 WHERE topic = $1 AND partition = $2",
                    tp.topic,
                    tp.partition,
                    at,
                )
        return ends

    right = kafka_consumer.ConsumerLoop._load
    exchange(kafka_consumer.ConsumerLoop, "_load", load)


def _qualified_twice() -> None:
    """A relay that repeats a round it was not sure of, without the sequences that make it harmless."""
    right = relay.Relay._send

    async def send(self: Any, conn: asyncpg.Connection, producer: Any, rows: Any) -> None:
        await right(self, conn, producer, rows)
        self.rounds = getattr(self, "rounds", 0) + 1
        if self.rounds % 7 == 0:
            await right(self, conn, producer, rows)

    exchange(relay.Relay, "_send", send)


_SPOOLING = (
    Fault("cut", "ingest-kafka", seconds=6.0, pause=3.0),
    Fault("kill", "ingest", pause=9.0),
)

PLANTS: dict[str, Plant] = {
    "offsets-before-work": Plant("positions are committed before the work", _offsets_before_the_work, kills("scoring")),
    "no-dedupe": Plant("a known activity counts again", _no_dedupe),
    "dedupe-by-arrival": Plant("an activity is known by its id and when it arrived", _dedupe_by_arrival),
    "relay-without-memory": Plant(
        "a restarted relay sends its last round anew", _relay_without_memory, kills("scoring", "scoring-2")
    ),
    "relay-by-cursor": Plant("the relay reads ids above the last one only", _relay_by_cursor),
    "relay-repeats": Plant("the relay repeats a round under new sequences", _qualified_twice),
    "events-after-commit": Plant("events are written after the commit", _events_after_the_commit, kills("scoring")),
    "spool-before-sync": Plant("the spool answers before the sync", _spool_before_the_sync, _SPOOLING),
    "spool-out-of-order": Plant("the spool is drained backwards", _spool_out_of_order, _SPOOLING[:1]),
    "crossing-again": Plant("a later state crosses again", _crossing_again),
    "version-outside-lock": Plant("versions are taken without the lead's lock", _version_outside_the_lock),
    "merge-without-lock": Plant("merges are not looked for after locking", _merge_without_lock),
    "dead-letter-dropped": Plant("records that cannot be read are dropped", _dead_letter_dropped),
    "restart-at-end": Plant("a restart goes on at the newest record", _restart_at_the_end, kills("scoring")),
    **DELIVERY_PLANTS,
    **{name: Plant(about, plant) for name, (about, plant) in MODEL_PLANTS.items()},
}
