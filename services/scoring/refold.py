"""Folding stored leads again in the background, after a model changed, while the earlier version serves them.

A chunk of leads is read and folded without a lock, so that live scoring waits for none of it; the next one is read
meanwhile. Then, in one transaction, those that nobody changed since are switched, each as a whole; the others are
folded once more under their lock. The job stands in the database: any process goes on with it.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import asyncpg
import structlog

from services.scoring.core.entries import Entry
from services.scoring.core.evaluation import Evaluation
from services.scoring.core.events import told
from services.scoring.core.lead import LeadState, Models, is_current, refold
from services.scoring.core.release import may_qualify, releases_due
from services.scoring.entry_repository import EntryRepository
from services.scoring.models import ModelsInForce
from services.scoring.refold_repository import RefoldJob, RefoldRepository
from services.scoring.renewal import renew
from services.scoring.repository import LeadRow, ScoringRepository
from services.scoring.settings import ScoringSettings
from services.scoring.tables import SCHEMA
from shared import outbox
from shared.activity import Activity
from shared.clock import Clock
from shared.outbox import OutboxRow
from shared.slices import Slices
from shared.waiting import until_it_works

CHUNK, MOST_ACTIVITIES = 400, 20_000
"""Leads that are read together, and switched together: live scoring of the same leads may have to wait for the latter.
Fewer where they have many activities.
"""
PAUSE_S = 0.2
CAUSE = "model"

log = structlog.get_logger()


async def run_refold(pool: asyncpg.Pool, settings: ScoringSettings, models: ModelsInForce, clock: Clock) -> None:
    """Do what jobs there are, and wait for the next. Runs until cancelled."""
    refolder = Refolder(pool, settings, models, clock)
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
    refolder = Refolder(pool, settings, models, clock)
    try:
        return await refolder.some()
    finally:
        await refolder.forget_ahead()


@dataclass(frozen=True, slots=True)
class _Lead:
    """A lead to be switched: before and after."""

    row: LeadRow
    serving: Models
    before: LeadState
    after: LeadState


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Leads in the order of their ids, as they stood when they were read; and the history of those that `models` have
    not folded.
    """

    models: Models
    rows: dict[str, LeadRow]
    states: Mapping[str, LeadState]
    history: Mapping[str, Sequence[Activity]]
    entries: Mapping[str, Sequence[Entry]]

    @property
    def last(self) -> str:
        """The id of the last of them."""
        return next(reversed(self.rows))


class Refolder:
    """Works on refolds, chunk by chunk. One per process."""

    def __init__(self, pool: asyncpg.Pool, settings: ScoringSettings, models: ModelsInForce, clock: Clock) -> None:
        self._pool = pool
        self._partitions = settings.kafka.partitions
        self._models = models
        self._clock = clock
        self._ahead: tuple[str, asyncio.Task[_Chunk]] | None = None

    async def some(self) -> bool:
        """One chunk. Returns False where nothing can be done at the moment."""
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
            return await self._fold(conn, turn)

    async def read_ahead(self) -> None:
        """Wait until the next chunk is read."""
        if self._ahead is not None:
            await asyncio.wait({self._ahead[1]})

    async def forget_ahead(self) -> None:
        """Let go of what was read ahead."""
        if self._ahead is not None:
            _, task = self._ahead
            self._ahead = None
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task

    async def _turn(self, conn: asyncpg.Connection, job: RefoldJob) -> "_Turn":
        models = await self._models.pin(conn)
        return _Turn(conn, RefoldRepository(conn), job, models, self._clock(), self._partitions)

    async def _fold(self, conn: asyncpg.Connection, turn: "_Turn") -> bool:
        chunk = await self._next_chunk(turn.job.after, turn.models)
        if not chunk.rows:
            async with conn.transaction():
                await turn.repository.folded(turn.job, turn.now)
            log.info("refolded", leads=turn.job.done, model=turn.job.name, version=turn.job.version)
            return True
        self._ahead = chunk.last, asyncio.create_task(self._read(chunk.last, turn.models))
        leads = await turn.fold(chunk)
        async with conn.transaction():
            if await self._models.pin(conn) is turn.models:
                await turn.switch_chunk(chunk, leads)
        return True

    async def _next_chunk(self, after: str, models: Models) -> _Chunk:
        if self._ahead is not None and self._ahead[0] == after:
            _, task = self._ahead
            self._ahead = None
            chunk = await task
            if chunk.models is models:
                return chunk
        await self.forget_ahead()
        return await self._read(after, models)

    async def _read(self, after: str, models: Models) -> _Chunk:
        """Read what comes next, without a lock. Of leads that need not be folded nothing but the rows is read."""
        async with self._pool.acquire() as conn:
            slices, activities = Slices(), 0
            rows: dict[str, LeadRow] = {}
            states: dict[str, LeadState] = {}
            for row in await RefoldRepository(conn).next_leads(after, CHUNK):
                await slices.give_way()
                state = LeadState.unpack(row.state)
                activities += state.profile.count
                if rows and activities > MOST_ACTIVITIES:
                    break
                rows[row.id], states[row.id] = row, state
            behind = [lead_id for lead_id, state in states.items() if not is_current(models, state)]
            history = await ScoringRepository(conn).activities_of(behind) if behind else {}
            entries = await EntryRepository(conn).of(behind) if behind else {}
            return _Chunk(models, rows, states, history, entries)


@dataclass(frozen=True, slots=True)
class _Turn:
    conn: asyncpg.Connection
    repository: RefoldRepository
    job: RefoldJob
    models: Models
    now: datetime
    partitions: int

    async def fold(self, chunk: _Chunk) -> dict[str, _Lead]:
        """Those leads of the chunk that are behind, folded again."""
        leads: dict[str, _Lead] = {}
        slices = Slices()
        for lead_id, history in chunk.history.items():
            before = chunk.states[lead_id]
            if not is_current(self.models, before):
                leads[lead_id] = self._folded(chunk.rows[lead_id], before, history, chunk.entries[lead_id])
            await slices.give_way()
        return leads

    async def switch_chunk(self, chunk: _Chunk, folded: Mapping[str, _Lead]) -> None:
        """Switch the leads of a chunk; where a rate was chosen, those that may qualify by it wait for their turn."""
        leads = await self._unchanged(chunk, folded)
        held = [lead for lead in leads if self._may_qualify(lead)] if self.job.release_per_minute else []
        await self.repository.hold_back({lead.row.id: self._score(lead) for lead in held})
        waiting = {lead.row.id for lead in held}
        switched = [lead for lead in leads if lead.row.id not in waiting]
        await self._switch(switched, silent=True)
        await self.repository.looked_at(self.job, chunk.last, len(chunk.rows), len(switched))

    async def _unchanged(self, chunk: _Chunk, folded: Mapping[str, _Lead]) -> list[_Lead]:
        """Lock the leads; those that somebody changed since they were read are read and folded once more."""
        found = await self.repository.lock_versions(list(chunk.rows))
        as_read = {lead_id: (row.epoch, row.version) for lead_id, row in chunk.rows.items()}
        changed = [lead_id for lead_id, stands in found.items() if stands != as_read[lead_id]]
        same = [lead for lead_id, lead in folded.items() if found.get(lead_id) == as_read[lead_id]]
        return [*same, *await self._load(changed)] if changed else same

    def _folded(self, row: LeadRow, before: LeadState, history: Sequence[Activity], entries: Sequence[Entry]) -> _Lead:
        profile = before.profile
        after = refold(self.models, history, profile.identifiers, self.now, entries, profile)
        after.stages, after.due_at = before.stages, before.due_at
        return _Lead(row, self.models.serving(before), before, after)

    async def release(self) -> bool:
        """Switch as many of those that wait as the rate allows."""
        if self.job.release_per_minute is None or not await self.repository.waiting():
            await self.repository.finish(self.job, self.now)
            return True
        due = releases_due(self.job.release_per_minute, self.job.released_at, self.now)
        ids = await self.repository.next_released(due) if due else []
        if not ids:
            return False
        leads = await self._load(ids)
        await self._switch(leads, silent=False)
        await self.repository.released(self.job, ids, len(leads), self.now)
        return True

    async def _load(self, ids: Sequence[str]) -> list[_Lead]:
        """Lock the leads, and fold again those that are behind."""
        repository = ScoringRepository(self.conn)
        rows = {lead_id: row for lead_id, row in (await repository.lock_leads(ids)).items() if row.state}
        states = {lead_id: LeadState.unpack(row.state) for lead_id, row in rows.items()}
        behind = [lead_id for lead_id, state in states.items() if not is_current(self.models, state)]
        if not behind:
            return []
        history, entries = await repository.activities_of(behind), await EntryRepository(self.conn).of(behind)
        leads = []
        slices = Slices()
        for lead_id in behind:
            leads.append(self._folded(rows[lead_id], states[lead_id], history[lead_id], entries[lead_id]))
            await slices.give_way()
        return leads

    async def _switch(self, leads: Collection[_Lead], *, silent: bool) -> None:
        published: list[OutboxRow] = []
        slices = Slices()
        for lead in leads:
            change = renew(lead.row, lead.after, self.models, CAUSE, self.now, silent=silent)
            published += told(change, self.models)
            await slices.give_way()
        await ScoringRepository(self.conn).put_leads([lead.row for lead in leads])
        await outbox.append(self.conn, SCHEMA, published, self.partitions)

    def _may_qualify(self, lead: _Lead) -> bool:
        if lead.serving is self.models:
            return False
        return may_qualify(
            self._evaluations(lead.serving, lead.before), self._evaluations(self.models, lead.after), self.models
        )

    def _evaluations(self, models: Models, state: LeadState) -> Mapping[str, Evaluation]:
        at = state.instant(self.now)
        return {model.name: state.evaluation(model, at) for model in models.live}

    def _score(self, lead: _Lead) -> float:
        score = self._evaluations(self.models, lead.after)[self.models.primary.name].score
        return float("-inf") if score is None else score / 100
