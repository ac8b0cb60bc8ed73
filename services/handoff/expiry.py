"""Handoffs that nobody answered: closed when their time is over."""

import asyncio
from functools import partial

import asyncpg

from services.handoff.batch import told
from services.handoff.core.states import EXPIRED
from services.handoff.repository import HandoffRepository, HistoryRow
from services.handoff.settings import HandoffSettings
from services.handoff.tables import SCHEMA
from shared import outbox
from shared.background import until_it_works
from shared.clock import Clock

CHUNK = 500
PAUSE_S = 5.0


async def run_expiry(pool: asyncpg.Pool, settings: HandoffSettings, clock: Clock) -> None:
    """Expire due handoffs until cancelled. Judging looks at the same instant itself, so nothing waits for this loop."""
    while True:
        done = await until_it_works(partial(expire_due, pool, settings, clock), _ignore)
        if done < CHUNK:
            await asyncio.sleep(PAUSE_S)


def _ignore(_: str | None) -> None:
    """The consumer tells what is wrong with the servers."""


async def expire_due(pool: asyncpg.Pool, settings: HandoffSettings, clock: Clock) -> int:
    """Expire up to a chunk of due handoffs in one transaction; returns how many."""
    now = clock()
    async with pool.acquire() as conn, conn.transaction():
        repository = HandoffRepository(conn)
        due = await repository.due_handoffs(now, CHUNK)
        if due:
            steps = [HistoryRow(row.id, EXPIRED, now) for row in due]
            numbers = await repository.move(steps)
            rows = {row.id: row for row in due}
            await outbox.append(conn, SCHEMA, list(told(steps, rows, numbers)), settings.kafka.partitions)
    return len(due)
