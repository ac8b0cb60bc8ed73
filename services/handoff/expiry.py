"""Handoffs that nobody answered: closed when their time is over."""

import asyncio
from functools import partial

import asyncpg

from services.handoff.core.ledger import Ledger
from services.handoff.repository import HandoffRepository
from services.handoff.settings import HandoffSettings
from services.handoff.tables import SCHEMA
from shared import outbox
from shared.clock import Clock
from shared.waiting import until_it_works

CHUNK = 500


async def run_expiry(pool: asyncpg.Pool, settings: HandoffSettings, clock: Clock) -> None:
    """Expire due handoffs until cancelled. Judging and answers look at the time themselves: nothing waits for this."""
    while True:
        done = await until_it_works(partial(expire_due, pool, settings, clock), _ignore)
        if done < CHUNK:
            await asyncio.sleep(settings.handoff.expiry_every_s)


def _ignore(_: str | None) -> None:
    """The consumers tell what is wrong with the servers."""


async def expire_due(pool: asyncpg.Pool, settings: HandoffSettings, clock: Clock) -> int:
    """Expire up to a chunk of due handoffs in one transaction; returns how many."""
    now = clock()
    async with pool.acquire() as conn, conn.transaction():
        repository = HandoffRepository(conn)
        ledger = Ledger(await repository.due_handoffs(now, CHUNK))
        for handoff_id in list(ledger.handoffs):
            ledger.expire_if_due(handoff_id, now)
        await repository.put_handoffs(ledger)
        await outbox.append(conn, SCHEMA, ledger.published, settings.kafka.partitions)
    return len(ledger.handoffs)
