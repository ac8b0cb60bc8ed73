"""Folding stored leads again in the background, after a model was published."""

from collections.abc import Collection
from functools import partial

import asyncpg
import structlog

from services.scoring.core.events import told
from services.scoring.core.lead import LeadState, Models, is_current, refold
from services.scoring.entry_repository import EntryRepository
from services.scoring.renewal import renew
from services.scoring.repository import ScoringRepository
from services.scoring.settings import ScoringSettings
from services.scoring.tables import SCHEMA
from shared import outbox
from shared.clock import Clock
from shared.outbox import OutboxRow
from shared.waiting import until_it_works

CHUNK = 200
CAUSE = "model"

log = structlog.get_logger()


async def refold_outdated(pool: asyncpg.Pool, settings: ScoringSettings, models: Models, clock: Clock) -> None:
    """Fold every lead again that was folded by other versions than `models`, and return.

    A lead that is touched meanwhile is brought up to date by its own batch.
    """
    after, folded = "00000000-0000-0000-0000-000000000000", 0
    while True:
        ids = await until_it_works(partial(_next_ids, pool, after), _ignore)
        if not ids:
            break
        folded += await until_it_works(partial(_refold, pool, settings, models, clock, ids), _ignore)
        after = ids[-1]
    if folded:
        log.info("refolded", leads=folded)


def _ignore(_: str | None) -> None:
    """The consumer tells what is wrong with the servers."""


async def _next_ids(pool: asyncpg.Pool, after: str) -> list[str]:
    async with pool.acquire() as conn:
        rows = await conn.fetch(
            "SELECT id::text FROM scoring.lead WHERE id > $1 AND merged_into IS NULL AND state <> ''"
            " ORDER BY id LIMIT $2",
            after,
            CHUNK,
        )
    return [row[0] for row in rows]


async def _refold(
    pool: asyncpg.Pool, settings: ScoringSettings, models: Models, clock: Clock, ids: Collection[str]
) -> int:
    async with pool.acquire() as conn, conn.transaction():
        repository = ScoringRepository(conn)
        rows = {lead_id: row for lead_id, row in (await repository.lock_leads(ids)).items() if row.state}
        states = {lead_id: LeadState.unpack(row.state) for lead_id, row in rows.items()}
        outdated = [lead_id for lead_id, state in states.items() if not is_current(models, state)]
        if not outdated:
            return 0
        now = clock()
        history, entries = await repository.activities_of(outdated), await EntryRepository(conn).of(outdated)
        published: list[OutboxRow] = []
        for lead_id in outdated:
            state = refold(models, history[lead_id], states[lead_id].profile.identifiers, now, entries[lead_id])
            published += told(renew(rows[lead_id], state, models, CAUSE, now), models)
        await repository.put_leads([rows[lead_id] for lead_id in outdated])
        await outbox.append(conn, SCHEMA, published, settings.kafka.partitions)
    return len(outdated)
