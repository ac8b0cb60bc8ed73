"""Scoring on a large store beside the same on a small one: the same traffic, a hundred times the leads."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from hashlib import md5
from itertools import pairwise
from typing import Any
from uuid import UUID

import asyncpg

from deploy.bench.measuring import Line, line_of
from deploy.bench.rig import stack_of
from deploy.bench.sample import PEOPLE, activities, activity, email_of
from deploy.bench.scoring_rig import Desk, fill, fresh_desk, kafka_of
from services.scoring.core.compression import compress, decompress
from services.scoring.settings import ScoringSection
from shared.clock import system_clock

SMALL, LARGE = 10_000, 1_000_000
EACH = 10
"""Stored activities of a lead."""
PROTOTYPES = 20
COUNT = 30_000
ROUNDS = 3
WORKERS = 2
WAL_MB = 8_192
_INDEX = "activity_lead_id_occurred_at_idx"


async def measure() -> AsyncIterator[Line]:
    """growth: activities per second with 1,000,000 leads and 10,000,000 stored activities, beside 10,000 leads."""
    with stack_of([]) as stack:
        kafka, now = kafka_of(stack), system_clock()
        await fill(kafka, "bench-prototypes", list(activities(PROTOTYPES * EACH, PROTOTYPES)), now)
        topics = [f"bench-growth-{turn}" for turn in range(ROUNDS + 1)]
        for turn, topic in enumerate(topics):
            first = 1_000 + turn * COUNT
            traffic = [
                activity(number, PROTOTYPES + number % (SMALL - PROTOTYPES)) for number in range(first, first + COUNT)
            ]
            await fill(kafka, topic, traffic, now)
        seen: dict[str, list[float]] = {"value": [], "limit": []}
        async with fresh_desk(stack) as small, fresh_desk(stack) as large:
            for desk, leads in ((small, SMALL), (large, LARGE)):
                await desk.consume("bench-prototypes", PROTOTYPES * EACH, ScoringSection().max_records)
                await multiply(desk, leads)
            for topic in topics:
                seen["limit"].append(await small.consume(topic, COUNT, ScoringSection().max_records))
                seen["value"].append(await large.consume(topic, COUNT, ScoringSection().max_records))
        yield line_of("growth", "activities/s", {role: figures[1:] for role, figures in seen.items()})


async def multiply(desk: Desk, leads: int) -> None:
    """Make so many leads out of those that are there, with their activities, keys and identifiers.

    With the indexes made in the end: the states are those of the prototypes under other names.
    """
    async with desk.pool.acquire() as conn:
        for statement in _BEGIN:
            await conn.execute(statement)
    bounds = [PROTOTYPES + (leads - PROTOTYPES) * part // WORKERS for part in range(WORKERS + 1)]
    await asyncio.gather(*(_fill_part(desk, first, end) for first, end in pairwise(bounds)))
    async with desk.pool.acquire() as conn:
        for statement in _FINISH:
            await conn.execute(statement, timeout=600)


async def _fill_part(desk: Desk, first: int, end: int) -> None:
    conn = await asyncpg.connect(desk.settings.database.url.get_secret_value(), command_timeout=600)
    try:
        await conn.execute("SET synchronous_commit = off")
        prototypes = await conn.fetch("SELECT * FROM public.prototype ORDER BY number")
        copies = _leads(prototypes, range(first, end))
        await conn.copy_records_to_table("lead", schema_name="scoring", columns=_LEAD, records=copies)
        for statement in _FILL:
            await conn.execute(statement, first, end - 1)
    finally:
        await conn.close()


def _leads(prototypes: Sequence[asyncpg.Record], numbers: range) -> Iterator[tuple[Any, ...]]:
    texts = [decompress(one["state"]) for one in prototypes]
    for id_, number in sorted((md5(b"lead%d" % number, usedforsecurity=False).digest(), number) for number in numbers):
        lead, email = prototypes[number % PROTOTYPES], email_of(number)
        state = compress(texts[number % PROTOTYPES].replace(lead["email"].encode(), email.encode()))
        yield UUID(bytes=id_), lead["epoch"], lead["version"], lead["has_email"], lead["score"], email, state


# Which lead is a copy of which: by number. The ids are as random as keyed hashes are.
_LEAD = ("id", "epoch", "version", "has_email", "score", "search", "state")
_BEGIN = (
    f"ALTER SYSTEM SET max_wal_size = '{WAL_MB}MB'",
    "SELECT pg_reload_conf()",
    """
    CREATE TABLE public.prototype AS
    SELECT row_number() OVER (ORDER BY i.value) - 1 AS number, i.value AS email, l.*
    FROM scoring.lead l JOIN scoring.identifier i ON i.lead_id = l.id WHERE i.kind = 'email'
    """,
    """
    CREATE TABLE public.prototype_activity AS
    SELECT a.*, k.fingerprint FROM scoring.activity a JOIN scoring.activity_key k USING (source, id)
    """,
    "ANALYZE public.prototype, public.prototype_activity",
    f"DROP INDEX scoring.{_INDEX}",
    "ALTER TABLE scoring.activity_key DROP CONSTRAINT activity_key_pkey",
)
_COPIES = f"""
    FROM (
      SELECT n, md5('lead' || n)::uuid AS id, 'lead-' || n || '@company-' || n / {PEOPLE} || '.example.co.jp' AS email
      FROM generate_series($1::int, $2::int) AS n ORDER BY 2
    ) AS copy
    JOIN public.prototype p ON p.number = copy.n % {PROTOTYPES}
"""  # noqa: S608 - constants of this file
_FILL = (
    f"""
    INSERT INTO scoring.identifier (kind, value, lead_id)
    SELECT 'email', copy.email, copy.id {_COPIES}
    """,
    f"""
    INSERT INTO scoring.activity (lead_id, occurred_at, recorded_at, source, id, type, body)
    SELECT copy.id, a.occurred_at, a.recorded_at, a.source, a.id || '-' || n, a.type,
      (a.body::jsonb || jsonb_build_object('id', a.id || '-' || n))::json
    {_COPIES} JOIN public.prototype_activity a ON a.lead_id = p.id
    """,
    f"""
    INSERT INTO scoring.activity_key (source, id, fingerprint)
    SELECT a.source, a.id || '-' || n, a.fingerprint
    {_COPIES} JOIN public.prototype_activity a ON a.lead_id = p.id
    """,
)
_FINISH = (
    "SET maintenance_work_mem = '512MB'",
    f"CREATE INDEX {_INDEX} ON scoring.activity (lead_id, occurred_at)",
    "ALTER TABLE scoring.activity_key ADD CONSTRAINT activity_key_pkey PRIMARY KEY (source, id)",
    "DROP TABLE public.prototype, public.prototype_activity",
    "VACUUM ANALYZE",
    "ALTER SYSTEM RESET max_wal_size",
    "SELECT pg_reload_conf()",
    "CHECKPOINT",
)
