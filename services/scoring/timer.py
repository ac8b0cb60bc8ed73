"""The timer: brings leads up to date whose time has come, set by set, beside the consumer."""

import asyncio
from functools import partial

import asyncpg
import structlog

from services.scoring.core.events import told
from services.scoring.core.lead import LeadState, refold
from services.scoring.models import ModelsInForce
from services.scoring.renewal import renew
from services.scoring.repository import ScoringRepository
from services.scoring.settings import ScoringSettings
from services.scoring.tables import SCHEMA
from shared import outbox
from shared.clock import Clock
from shared.outbox import OutboxRow
from shared.waiting import until_it_works

CHUNK = 500
PAUSE_S = 0.5
CAUSE = "time"

log = structlog.get_logger()


async def run_timer(pool: asyncpg.Pool, settings: ScoringSettings, models: ModelsInForce, clock: Clock) -> None:
    """Publish what time alone changes: activities that were dated ahead and have come due. Runs until cancelled."""
    while True:
        done = await until_it_works(partial(_turn, pool, settings, models, clock), _ignore)
        if done < CHUNK:
            await asyncio.sleep(PAUSE_S)


def _ignore(_: str | None) -> None:
    """The consumer tells what is wrong with the servers."""


async def _turn(pool: asyncpg.Pool, settings: ScoringSettings, models: ModelsInForce, clock: Clock) -> int:
    now = clock()
    async with pool.acquire() as conn:
        ids = await ScoringRepository(conn).due_leads(now, CHUNK)
        if not ids:
            return 0
        async with conn.transaction():
            in_force = await models.pin(conn)
            repository = ScoringRepository(conn)
            rows = await repository.lock_leads(ids)
            states = {lead_id: LeadState.unpack(row.state) for lead_id, row in rows.items() if row.state}
            due = [lead_id for lead_id, state in states.items() if state.ahead_at and state.ahead_at <= now]
            history = await repository.activities_of(due)
            published: list[OutboxRow] = []
            for lead_id in due:
                serving = in_force.serving(states[lead_id])
                states[lead_id] = refold(serving, history[lead_id], states[lead_id].profile.identifiers, now)
                published += told(renew(rows[lead_id], states[lead_id], serving, CAUSE, now), serving)
            await repository.put_leads([rows[lead_id] for lead_id in due])
            await repository.put_due(
                {lead_id: states[lead_id].ahead_at if lead_id in states else None for lead_id in ids}
            )
            await outbox.append(conn, SCHEMA, published, settings.kafka.partitions)
    return len(ids)
