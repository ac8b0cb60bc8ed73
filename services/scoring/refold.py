"""Folding stored leads again in the background, after a model changed, while the earlier version serves them.

Every lead is switched as a whole, in the transaction of its chunk. The job stands in the database: any process goes on
with it.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import asyncpg
import structlog

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
from shared.clock import Clock
from shared.outbox import OutboxRow
from shared.waiting import until_it_works

CHUNK = 50
"""Leads that are locked together, and that live scoring of the same leads may have to wait for."""
PAUSE_S = 0.2
CAUSE = "model"

log = structlog.get_logger()


async def run_refold(pool: asyncpg.Pool, settings: ScoringSettings, models: ModelsInForce, clock: Clock) -> None:
    """Do what jobs there are, and wait for the next. Runs until cancelled."""
    while True:
        if not await until_it_works(partial(refold_some, pool, settings, models, clock), _ignore):
            await asyncio.sleep(PAUSE_S)


def _ignore(_: str | None) -> None:
    """The consumer tells what is wrong with the servers."""


async def refold_some(pool: asyncpg.Pool, settings: ScoringSettings, models: ModelsInForce, clock: Clock) -> bool:
    """One chunk in one transaction. Returns False where nothing can be done at the moment."""
    async with pool.acquire() as conn:
        if not await RefoldRepository(conn).unfinished():
            return False
        async with conn.transaction():
            pinned = await models.pin(conn)
            repository = RefoldRepository(conn)
            job = await repository.claim()
            if job is None:
                return False
            turn = _Turn(conn, repository, job, pinned, clock(), settings.kafka.partitions)
            return await (turn.fold() if job.folded_at is None else turn.release())


@dataclass(frozen=True, slots=True)
class _Lead:
    """A lead to be switched: before and after."""

    row: LeadRow
    serving: Models
    before: LeadState
    after: LeadState


@dataclass(frozen=True, slots=True)
class _Turn:
    conn: asyncpg.Connection
    repository: RefoldRepository
    job: RefoldJob
    models: Models
    now: datetime
    partitions: int

    async def fold(self) -> bool:
        """Switch the next leads; where a rate was chosen, those that may qualify by it wait for their turn."""
        if self.job.leads is None:
            await self.repository.count(self.job)
        ids = await self.repository.next_ids(self.job.after, CHUNK)
        if not ids:
            await self.repository.folded(self.job, self.now)
            log.info("refolded", leads=self.job.done, model=self.job.name, version=self.job.version)
            return True
        leads = await self._load(ids)
        held = [lead for lead in leads if self._may_qualify(lead)] if self.job.release_per_minute else []
        await self.repository.hold_back({lead.row.id: self._score(lead) for lead in held})
        waiting = {lead.row.id for lead in held}
        switched = [lead for lead in leads if lead.row.id not in waiting]
        await self._switch(switched, silent=True)
        await self.repository.looked_at(self.job, ids[-1], len(ids), len(switched))
        return True

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
        for lead_id in behind:
            before = states[lead_id]
            identifiers = before.profile.identifiers
            after = refold(self.models, history[lead_id], identifiers, self.now, entries[lead_id])
            leads.append(_Lead(rows[lead_id], self.models.serving(before), before, after))
            await asyncio.sleep(0)  # the consumer of this process goes first
        return leads

    async def _switch(self, leads: Collection[_Lead], *, silent: bool) -> None:
        published: list[OutboxRow] = []
        for lead in leads:
            change = renew(lead.row, lead.after, self.models, CAUSE, self.now, silent=silent)
            published += told(change, self.models)
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
