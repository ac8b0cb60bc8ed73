"""The books of a campaign: what the topics, the database and the disk hold when all is quiet."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import orjson

from deploy.chaos.receiver import Deliveries
from deploy.demo.judging import label_of
from shared.clock import from_rfc3339
from shared.kafka.reading import reading
from shared.settings import KafkaSettings
from shared.topics import DEAD_LETTERS, LEAD_ACTIVITIES, LEAD_SCORES, QUALIFIED_LEADS, dead_letter_topic

_COUNTS = {
    "activity ids": "SELECT count(*) FROM scoring.activity_key",
    "activities": "SELECT count(*) FROM scoring.activity",
}
_LEFT = {
    "rows in scoring's outbox": "SELECT count(*) FROM scoring.outbox",
    "rows in handoff's outbox": "SELECT count(*) FROM handoff.outbox",
    "deliveries that are not made": "SELECT count(*) FROM handoff.delivery WHERE state <> 'delivered'",
    "locks that somebody waits for": "SELECT count(*) FROM pg_locks WHERE NOT granted",
    "transactions open for over five seconds": (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND xact_start < now() - interval '5s'"
    ),
}
_VERSIONS = "SELECT id::text, version FROM scoring.lead WHERE merged_into IS NULL"
_CYCLES = "SELECT lead_id::text, rule, cycle FROM handoff.handoff"


A_CLOCK_SET_RIGHT = timedelta(minutes=1)
"""A step back that is longer than this is a wrong clock's being put right, which the campaign does to services."""


@dataclass(slots=True)
class Books:
    """`states`: last published state by label, as bytes; `versions`: every version of a lead id, as published;
    `backwards`: states evaluated at an earlier instant than the one before them;
    `qualified`: records that a reader of committed data sees; `uncommitted`: how many there are for any reader;
    `order`: by record key, each activity ("source id") where it first stands; `letters`: values of dead activities;
    `delivered`: what the receiver of webhooks saw, if there is one.
    """

    states: dict[str, bytes] = field(default_factory=dict)
    labels_twice: list[str] = field(default_factory=list)
    versions: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    backwards: list[str] = field(default_factory=list)
    stored_versions: dict[str, int] = field(default_factory=dict)
    qualified: list[dict[str, Any]] = field(default_factory=list)
    uncommitted: int = 0
    cycles: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    order: dict[bytes, list[str]] = field(default_factory=lambda: defaultdict(list))
    letters: Counter[bytes] = field(default_factory=Counter)
    counts: dict[str, int] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    delivered: Deliveries | None = None


async def read_books(kafka: KafkaSettings, database: str, delivered: Deliveries | None = None) -> Books:
    """Read everything once. The stack must be quiet."""
    books = Books(delivered=delivered)
    await _read_states(kafka, books)
    books.qualified = [orjson.loads(value) async for _, value in _records(kafka, QUALIFIED_LEADS.name) if value]
    async with reading(kafka, QUALIFIED_LEADS.name, "read_uncommitted") as opened:
        books.uncommitted = sum([len(records) async for records in opened.until_end()])
    await _read_order(kafka, books)
    letters = dead_letter_topic(LEAD_ACTIVITIES.name)
    books.letters = Counter([value or b"" async for _, value in _records(kafka, letters)])
    for topic in DEAD_LETTERS:
        if topic.name == letters:
            continue
        async with reading(kafka, topic.name) as opened:
            books.left[f"records on {topic.name}"] = sum(opened.end.values())
    connection = await asyncpg.connect(database)
    try:
        books.counts = {name: await connection.fetchval(query) for name, query in _COUNTS.items()}
        books.left |= {name: await connection.fetchval(query) for name, query in _LEFT.items()}
        books.stored_versions = dict(await connection.fetch(_VERSIONS))
        books.cycles = Counter(tuple(row) for row in await connection.fetch(_CYCLES))
    finally:
        await connection.close()
    return books


def spool_files(spool: Path) -> int:
    """How many files of kept requests there are, damaged ones included."""
    return len([path for path in spool.rglob("*") if path.suffix in {".frames", ".damaged"}])


async def _read_states(kafka: KafkaSettings, books: Books) -> None:
    latest: dict[bytes, bytes | None] = {}
    evaluated: dict[str, datetime] = {}
    async for key, value in _records(kafka, LEAD_SCORES.name):
        latest[key] = value
        if value is not None:
            state = orjson.loads(value)
            lead_id, version = state["lead_id"], state["version"]
            books.versions[lead_id].append(version)
            at = from_rfc3339(state["evaluated_at"])
            back = evaluated.get(lead_id, at) - at
            if timedelta() < back <= A_CLOCK_SET_RIGHT:
                books.backwards.append(f"{lead_id}: version {version} ({state['cause']}) by {back}")
            evaluated[lead_id] = at
    for value in filter(None, latest.values()):
        label = label_of(orjson.loads(value))
        if label in books.states:
            books.labels_twice.append(label)
        books.states[label] = value


async def _read_order(kafka: KafkaSettings, books: Books) -> None:
    seen: set[str] = set()
    async with reading(kafka, LEAD_ACTIVITIES.name) as opened:
        async for records in opened.until_end():
            for record in records:
                headers = dict(record.headers)
                if "ce_id" not in headers:
                    continue
                name = f"{headers['ce_source'].decode()} {headers['ce_id'].decode()}"
                if name not in seen:
                    seen.add(name)
                    books.order[record.key].append(name)


async def _records(kafka: KafkaSettings, topic: str) -> AsyncIterator[tuple[bytes, bytes | None]]:
    """Key and value of every committed record, each partition's in order."""
    async with reading(kafka, topic) as opened:
        async for records in opened.until_end():
            for record in records:
                yield record.key or b"", record.value
