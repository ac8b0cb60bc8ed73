"""The timer: brings leads up to date whose time has come, set by set, beside the consumer."""

import asyncio
import time
from datetime import datetime
from functools import partial

import asyncpg

from services.scoring.core.events import told
from services.scoring.core.lead import LeadState, Models, is_current, refold
from services.scoring.core.timing import evaluations_at, worth_publishing
from services.scoring.entry_repository import EntryRepository
from services.scoring.lead_row import LeadRow
from services.scoring.models import ModelsInForce
from services.scoring.renewal import fill, look_again, renew
from services.scoring.repository import ScoringRepository
from services.scoring.settings import ScoringSettings
from services.scoring.tables import SCHEMA
from shared import outbox
from shared.clock import Clock
from shared.events import OutboxRow
from shared.slices import Slices
from shared.waiting import until_it_works

CHUNK = 200
PAUSE_S = 0.5
CAUSE = "time"


async def run_timer(pool: asyncpg.Pool, settings: ScoringSettings, models: ModelsInForce, clock: Clock) -> None:
    """Publish what time alone changes, where it matters. Runs until cancelled."""
    while True:
        began = time.monotonic()
        done = await until_it_works(partial(look_at_due, pool, settings, models, clock), _ignore)
        # However many are due at once, new activities get at least half of this process.
        await asyncio.sleep(PAUSE_S if done < CHUNK else time.monotonic() - began)


def _ignore(_: str | None) -> None:
    """The consumer tells what is wrong with the servers."""


async def look_at_due(pool: asyncpg.Pool, settings: ScoringSettings, models: ModelsInForce, clock: Clock) -> int:
    """Look at up to a chunk of leads that are due, in one transaction; returns how many that were.

    A lead that somebody else has in hand is left for the next time, so that nobody waits for the timer's round.
    """
    now = clock()
    async with pool.acquire() as conn:
        ids = await ScoringRepository(conn).due_leads(now, CHUNK)
        if not ids:
            return 0
        async with conn.transaction():
            in_force = await models.pin(conn)
            repository = ScoringRepository(conn)
            rows, busy = await repository.lock_free(ids)
            await repository.drop_due({one for one in ids if one not in busy and not (one in rows and rows[one].state)})
            states, slices = {}, Slices()
            # Another process may have looked at some of them before they were locked, and have told what there was.
            for lead_id in await repository.still_due(rows, now):
                states[lead_id] = LeadState.unpack(rows[lead_id].state)
                await slices.give_way()
            states |= await _folded_again(conn, in_force, states, now)
            published: list[OutboxRow] = []
            for lead_id, state in states.items():
                await slices.give_way()
                published += _look(rows[lead_id], state, in_force.serving(state), now)
            await repository.put_leads([rows[lead_id] for lead_id in states])
            await outbox.append(conn, SCHEMA, published, settings.kafka.partitions)
    return len(ids) - len(busy)


async def _folded_again(
    conn: asyncpg.Connection, models: Models, states: dict[str, LeadState], now: datetime
) -> dict[str, LeadState]:
    """Those that hold activities dated ahead which have come due, or that no version known has folded."""
    serving = {lead_id: models.serving(state) for lead_id, state in states.items()}
    again = [
        lead_id
        for lead_id, state in states.items()
        if not is_current(serving[lead_id], state) or (state.ahead_at is not None and state.ahead_at <= now)
    ]
    if not again:
        return {}
    history, entries = await ScoringRepository(conn).activities_of(again), await EntryRepository(conn).of(again)
    return {
        lead_id: refold(
            serving[lead_id],
            history[lead_id],
            states[lead_id].profile.identifiers,
            states[lead_id].instant(now),
            entries[lead_id],
        )
        for lead_id in again
    }


def _look(row: LeadRow, state: LeadState, models: Models, now: datetime) -> list[OutboxRow]:
    """Publish the lead if time moved it far enough; else only note when to look again."""
    at = state.next_instant(now)
    if state.seen_at is None or state.seen_at > at:
        return _publish(row, state, models, now)
    published, current = evaluations_at(models, state, state.seen_at), evaluations_at(models, state, at)
    if worth_publishing(models, published, current):
        return _publish(row, state, models, now)
    look_again(row, state, models, at, published, current, later=True)
    fill(row, state, models, current)
    return []


def _publish(row: LeadRow, state: LeadState, models: Models, now: datetime) -> list[OutboxRow]:
    published = told(renew(row, state, models, CAUSE, now), models)
    # Whatever was noted has been looked at: a note that stays would be looked at, and published, for ever.
    row.due_at, row.due_moved = state.due_at, True
    return published
