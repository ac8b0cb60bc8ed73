"""Folding stored leads again in the background, after a model changed, while the earlier version serves them.

A chunk of leads is read and folded without a lock, so that live scoring waits for none of it; the next ones are read
meanwhile, so that whoever folds never waits for them. Then, in one transaction, those that nobody changed since are
switched, each as a whole; the others are folded once more under their lock. The job stands in the database: any process
goes on with it.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

import asyncpg
import structlog

from services.scoring.core.lead import LeadState, Models
from services.scoring.core.release import releases_due
from services.scoring.entry_repository import EntryRepository
from services.scoring.helper import PIECE, Helpers
from services.scoring.lead_row import LeadRow
from services.scoring.models import ModelsInForce
from services.scoring.refold_repository import RefoldJob, RefoldRepository
from services.scoring.repository import ScoringRepository
from services.scoring.settings import ScoringSettings
from services.scoring.switching import (
    StoredLead,
    SwitchedLead,
    pack_leads,
    switch,
    switch_packed,
    unpack_switched,
)
from services.scoring.tables import SCHEMA
from shared import outbox
from shared.clock import Clock
from shared.slices import Slices
from shared.waiting import until_it_works

CHUNK, MOST_ACTIVITIES = 200, 20_000
"""Leads that are read together, and switched together: live scoring of the same leads may have to wait for the latter.
Fewer where they have many activities.
"""
CHUNKS = 5
"""That are done under one claim of the job, which takes about half as many statements as a chunk."""
AHEAD = 3
"""Chunks that are read beyond the one in hand: one for each helper to fold while that is written, and one for whichever
is done first, as reading takes a while.
"""
PAUSE_S = 0.2
ACTIVITIES_WORTH_A_HELPER = 1_000
"""Activities of a chunk: fewer are folded before a helper is up."""

log = structlog.get_logger()


async def run_refold(
    pool: asyncpg.Pool, settings: ScoringSettings, models: ModelsInForce, clock: Clock, helpers: Helpers
) -> None:
    """Do what jobs there are, and wait for the next. Runs until cancelled."""
    refolder = Refolder(pool, settings, models, clock, helpers)
    try:
        while True:
            if not await until_it_works(refolder.some, _ignore):
                await asyncio.sleep(PAUSE_S)
    finally:
        await refolder.forget_ahead()


def _ignore(_: str | None) -> None:
    """The consumer tells what is wrong with the servers."""


async def refold_some(pool: asyncpg.Pool, settings: ScoringSettings, models: ModelsInForce, clock: Clock) -> bool:
    """One chunk. Returns False where nothing can be done at the moment."""
    helpers = Helpers()
    refolder = Refolder(pool, settings, models, clock, helpers)
    try:
        return await refolder.some(1)
    finally:
        await refolder.forget_ahead()
        await helpers.end()


@dataclass(frozen=True, slots=True)
class _Chunk:
    """The leads after one, in the order of their ids, as they stood when they were read: with epoch and version, and
    with all that is stored of those that `models` have not folded.
    """

    after: str
    models: Models
    found: dict[str, tuple[int, int]]
    behind: Sequence[StoredLead]
    activities: int

    @property
    def last(self) -> str:
        """The id of the last of them; where there are none all are done."""
        return next(reversed(self.found), self.after)


@dataclass(frozen=True, slots=True)
class _Ahead:
    """A chunk on its way before it is its turn."""

    models: Models
    reading: asyncio.Task[_Chunk]
    folding: asyncio.Task[Sequence[SwitchedLead]]

    async def forget(self) -> None:
        """Let go of it."""
        for task in (self.folding, self.reading):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


class Refolder:
    """Works on refolds, chunk by chunk. One per process."""

    def __init__(
        self, pool: asyncpg.Pool, settings: ScoringSettings, models: ModelsInForce, clock: Clock, helpers: Helpers
    ) -> None:
        self._pool = pool
        self._partitions = settings.kafka.partitions
        self._models = models
        self._clock = clock
        self._ahead: deque[_Ahead] = deque()
        self._helpers = helpers

    async def some(self, chunks: int = CHUNKS) -> bool:
        """So many chunks at most. Returns False where nothing can be done at the moment."""
        async with self._pool.acquire() as conn:
            repository = RefoldRepository(conn)
            if not await repository.unfinished():
                return False
            job = await repository.claim()
            if job is None:
                return False
            async with conn.transaction():
                turn = await self._turn(conn, job)
                if job.folded_at is not None:
                    return await turn.release()
                if job.leads is None:
                    await repository.count(job)
            for _ in range(chunks):
                moved = await self._fold(conn, turn)
                if moved is None:
                    break
                turn = replace(turn, job=moved)
            return True

    async def read_ahead(self) -> None:
        """Wait until the next chunks are read and folded."""
        if self._ahead:
            await asyncio.wait({ahead.folding for ahead in self._ahead})

    async def forget_ahead(self) -> None:
        """Let go of what was begun ahead."""
        while self._ahead:
            await self._ahead.pop().forget()

    async def _turn(self, conn: asyncpg.Connection, job: RefoldJob) -> "_Turn":
        models = await self._models.pin(conn)
        return _Turn(conn, RefoldRepository(conn), job, models, self._clock, self._partitions)

    async def _fold(self, conn: asyncpg.Connection, turn: "_Turn") -> RefoldJob | None:
        """The next chunk. Returns the job as it stands then, None where it is done or its models are out of force."""
        ahead = await self._next(turn)
        try:
            chunk = await ahead.reading
        except Exception:
            await ahead.forget()
            await self.forget_ahead()
            raise
        if not chunk.found:
            await ahead.folding
            await self.forget_ahead()
            async with conn.transaction():
                await turn.repository.folded(turn.job, self._clock())
            log.info("refolded", leads=turn.job.done, model=turn.job.name, version=turn.job.version)
            return None
        while len(self._ahead) < AHEAD:
            self._ahead.append(self._begin(self._read_after((self._ahead or [ahead])[-1]), turn))
        folded = await ahead.folding
        async with conn.transaction():
            if await self._models.pin(conn) is not turn.models:
                return None
            return await turn.switch_chunk(chunk, folded)

    async def _next(self, turn: "_Turn") -> _Ahead:
        """The chunk that is due, which is on its way if nothing came between."""
        if self._ahead:
            await asyncio.wait({self._ahead[0].reading})
            ahead = self._ahead.popleft()
            read = not ahead.reading.cancelled() and ahead.reading.exception() is None
            if read and ahead.models is turn.models and ahead.reading.result().after == turn.job.after:
                return ahead
            await ahead.forget()
            await self.forget_ahead()
        return self._begin(self._read(turn.job.after, turn.models), turn)

    def _begin(self, reading: Coroutine[Any, Any, _Chunk], turn: "_Turn") -> _Ahead:
        chunk = asyncio.create_task(reading)
        return _Ahead(turn.models, chunk, asyncio.create_task(self._switched(chunk, hold=turn.holds)))

    async def _read_after(self, before: _Ahead) -> _Chunk:
        chunk = await before.reading
        return await self._read(chunk.last, chunk.models) if chunk.found else chunk

    async def _read(self, after: str, models: Models) -> _Chunk:
        """Read what comes next, without a lock. Of leads that need not be folded nothing but the rows is read."""
        async with self._pool.acquire() as conn:
            slices, activities = Slices(), 0
            found: dict[str, tuple[int, int]] = {}
            behind: dict[str, LeadRow] = {}
            served: set[str] = set()
            for row in await RefoldRepository(conn).next_leads(after, CHUNK):
                await slices.give_way()
                count, versions = LeadState.glance(row.state)
                activities += count
                if found and activities > MOST_ACTIVITIES:
                    break
                found[row.id] = row.epoch, row.version
                if versions != models.versions:
                    behind[row.id] = row
                    served.update([row.id] if models.serve(versions) else ())
            return _Chunk(after, models, found, await _stored(conn, behind, served), activities)

    async def _switched(self, reading: asyncio.Task[_Chunk], *, hold: bool) -> Sequence[SwitchedLead]:
        """Fold the leads of a chunk, by a helper where that is worth its start and one is up."""
        chunk = await reading
        large = chunk.activities >= ACTIVITIES_WORTH_A_HELPER
        now = self._clock()
        if large and (self._helpers.ready() or chunk.activities > MOST_ACTIVITIES):
            pieces = [pack_leads(chunk.behind[start : start + PIECE]) for start in range(0, len(chunk.behind), PIECE)]
            answers = await self._helpers.do(partial(switch_packed, now=now, hold=hold), chunk.models, pieces)
            return [lead for answer in answers for lead in unpack_switched(answer)]
        return await _switch(chunk.models, chunk.behind, now, hold=hold)


async def _stored(conn: asyncpg.Connection, rows: Mapping[str, LeadRow], served: Collection[str]) -> list[StoredLead]:
    if not rows:
        return []
    histories, entries = await ScoringRepository(conn).histories_of(rows), await EntryRepository(conn).of(rows)
    return [StoredLead(row, histories.get(row.id, b"[]"), entries[row.id], row.id in served) for row in rows.values()]


async def _switch(
    models: Models, leads: Sequence[StoredLead], now: datetime, *, silent: bool = True, hold: bool = False
) -> list[SwitchedLead]:
    """As `switch`, in this process, where others want their turn after each."""
    switched: list[SwitchedLead] = []
    slices = Slices()
    for lead in leads:
        switched += switch(models, [lead], now, silent=silent, hold=hold)
        await slices.give_way()
    return switched


@dataclass(frozen=True, slots=True)
class _Turn:
    conn: asyncpg.Connection
    repository: RefoldRepository
    job: RefoldJob
    models: Models
    clock: Clock
    partitions: int

    @property
    def holds(self) -> bool:
        """Whether leads that may qualify wait for their release."""
        return bool(self.job.release_per_minute)

    async def switch_chunk(self, chunk: _Chunk, folded: Sequence[SwitchedLead]) -> RefoldJob:
        """Switch the leads of a chunk; those that somebody changed since they were read are read and folded again.
        Returns the job as it stands then.
        """
        found = await self.repository.lock_versions(list(chunk.found))
        changed = [lead_id for lead_id, stands in found.items() if stands != chunk.found[lead_id]]
        unmoved = found.keys() - set(changed)
        leads = [lead for lead in folded if lead.row.id in unmoved]
        if changed:
            leads += await _switch(self.models, await self._behind(changed), self.clock(), hold=self.holds)
        held = {lead.row.id: lead.held for lead in leads if lead.held is not None}
        if held:
            await self.repository.hold_back(held)
        switched = [lead for lead in leads if lead.held is None]
        await self._put(switched)
        return await self.repository.looked_at(self.job, chunk.last, len(chunk.found), len(switched))

    async def release(self) -> bool:
        """Switch as many of those that wait as the rate allows."""
        now = self.clock()
        if self.job.release_per_minute is None or not await self.repository.waiting():
            await self.repository.finish(self.job, now)
            return True
        due = releases_due(self.job.release_per_minute, self.job.released_at, now)
        ids = await self.repository.next_released(due) if due else []
        if not ids:
            return False
        leads = await _switch(self.models, await self._behind(ids), self.clock(), silent=False)
        await self._put(leads)
        await self.repository.released(self.job, ids, len(leads), now)
        return True

    async def _behind(self, ids: Sequence[str]) -> list[StoredLead]:
        """Lock the leads, and read those that are behind."""
        rows = await ScoringRepository(self.conn).lock_leads(ids)
        versions = {lead_id: LeadState.glance(row.state)[1] for lead_id, row in rows.items() if row.state}
        behind = {lead_id: rows[lead_id] for lead_id, of in versions.items() if of != self.models.versions}
        return await _stored(self.conn, behind, {one for one in behind if self.models.serve(versions[one])})

    async def _put(self, leads: Sequence[SwitchedLead]) -> None:
        await ScoringRepository(self.conn).put_leads([lead.row for lead in leads])
        await outbox.append(self.conn, SCHEMA, [row for lead in leads for row in lead.published], self.partitions)
