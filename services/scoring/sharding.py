"""Work over all stored leads in several processes: each takes slices of the ids and reads for itself."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context
from typing import Any, Protocol, TypeVar
from uuid import UUID

import asyncpg
import orjson

from services.scoring.core.entries import Entry
from services.scoring.core.lead import LeadState
from services.scoring.entry_repository import EntryRepository
from services.scoring.repository import ScoringRepository
from shared.activity import Activity, parse_history
from shared.postgres import create_pool
from shared.settings import DatabaseSettings

SLICES = 64
CHUNK = 200
FEW = 2_000
"""So many leads are looked at in this process: starting others takes longer."""
_TOP = 1 << 128
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Progress = Callable[[int, int], None]
"""Gets how much is done, of how much."""


@dataclass(frozen=True, slots=True)
class StoredHistory:
    """A lead as stored, with all its activities in fold order, and its other entries."""

    id: str
    state: LeadState
    activities: Sequence[Activity]
    entries: Sequence[Entry]


class PartWork(Protocol[T_co]):
    """What is done with some leads; picklable, pure."""

    def __call__(self, leads: Sequence[StoredHistory]) -> T_co: ...


@dataclass(frozen=True, slots=True)
class _Slice:
    """Leads with ids above `low`, up to `high`."""

    url: str
    low: UUID
    high: UUID
    work: PartWork[Any]


async def over_leads(
    database: DatabaseSettings, work: PartWork[T], progress: Progress, processes: int
) -> AsyncIterator[T]:
    """The results of `work` on all leads, piece by piece in any order. Raises what asyncpg raises."""
    async with _connection(database) as conn:
        count = await conn.fetchval("SELECT count(*) FROM scoring.lead WHERE merged_into IS NULL AND state <> ''")
    if count <= FEW or processes < 2:
        for result in await _read(_slices(database, work, 1)[0]):
            yield result
        progress(1, 1)
        return
    # Not forked: the event loop and the clients of this process must not be copied.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        loop = asyncio.get_running_loop()
        waiting = {loop.run_in_executor(pool, _run, part) for part in _slices(database, work, SLICES)}
        try:
            for done, finished in enumerate(asyncio.as_completed(waiting), 1):
                for result in await finished:
                    yield result
                progress(done, SLICES)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _slices(database: DatabaseSettings, work: PartWork[Any], count: int) -> list[_Slice]:
    """All ids in `count` equal parts."""
    bounds = [UUID(int=max(_TOP * number // count - 1, 0)) for number in range(count + 1)]
    url = database.url.get_secret_value()
    return [_Slice(url, low, high, work) for low, high in pairwise(bounds)]


def _run(part: _Slice) -> list[Any]:
    return asyncio.run(_read(part))


async def _read(part: _Slice) -> list[Any]:
    results: list[Any] = []
    async with _connection(DatabaseSettings(url=part.url)) as conn:
        after = part.low
        while True:
            # One snapshot, so that what retention removes meanwhile is seen as activities or as an opening.
            async with conn.transaction(isolation="repeatable_read", readonly=True):
                leads = await _chunk(conn, after, part.high)
            if not leads:
                return results
            results.append(part.work(leads))
            after = UUID(leads[-1].id)
            await asyncio.sleep(0)


async def _chunk(conn: asyncpg.Connection, after: UUID, high: UUID) -> list[StoredHistory]:
    rows = await conn.fetch(
        "SELECT id, state FROM scoring.lead WHERE id > $1 AND id <= $2"
        " AND merged_into IS NULL AND state <> '' ORDER BY id LIMIT $3",
        after,
        high,
        CHUNK,
    )
    states = {str(row[0]): row[1] for row in rows}
    histories = await ScoringRepository(conn).histories_of(states)
    entries = await EntryRepository(conn).of(states) if states else {}
    return [
        StoredHistory(lead_id, LeadState.unpack(state), _ordered(histories.get(lead_id)), entries.get(lead_id, ()))
        for lead_id, state in states.items()
    ]


def _ordered(history: bytes | None) -> list[Activity]:
    return sorted(parse_history(orjson.loads(history)), key=lambda item: item.order) if history else []


@asynccontextmanager
async def _connection(database: DatabaseSettings) -> AsyncIterator[asyncpg.Connection]:
    pool = await create_pool(database, name="survey", size=1)
    try:
        async with pool.acquire() as conn:
            yield conn
    finally:
        await pool.close()
