"""Retention: stored activities older than the setting says are removed, by whole months, and opening entries take their
place. No score changes by it and nothing is published.

A chunk of leads is one transaction: openings added, activities deleted, states rewritten without what was removed. Each
lead is folded before and after; one whose fold would differ keeps its activities. The job stands in the database: any
process goes on with it, and one that dies leaves whole chunks behind.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import asyncpg
import orjson
import structlog

from services.scoring.core.entries import Entry
from services.scoring.core.lead import LeadState, Models, is_current, refold
from services.scoring.core.linking import LeadIdFor
from services.scoring.core.removal import StoredLead, open_lead
from services.scoring.core.state import encode
from services.scoring.entry_repository import EntryRepository
from services.scoring.erasures import Erasures
from services.scoring.lead_row import LeadRow
from services.scoring.models import ModelsInForce
from services.scoring.partitions import drop_empty, month_start
from services.scoring.repository import Key, ScoringRepository
from services.scoring.retention_repository import History, OldLead, RetentionJob, RetentionRepository, keys_of
from shared.activity import Activity
from shared.clock import Clock
from shared.errors import TransientError
from shared.slices import Slices
from shared.telemetry import ACTIVITIES_REMOVED
from shared.waiting import until_it_works

PAGE, CHUNK, MOST_ACTIVITIES = 1_000, 100, 20_000
"""Leads that are looked at together, and those among them that are rewritten together; fewer where they are large."""
LARGE = 2_000
"""Activities of a lead that is worked on in a thread."""
PAUSE_S = 60.0
"""Between looks when there is nothing to do, or others are to go first."""
BUSY_S = 1.0

log = structlog.get_logger()


def cut_for(days: int, now: datetime) -> datetime:
    """The start of the UTC month that holds the instant `days` before `now`: what is older is removed."""
    return month_start(now - timedelta(days=days))


async def run_retention(pool: asyncpg.Pool, days: int, models: ModelsInForce, named: LeadIdFor, clock: Clock) -> None:
    """Remove what has grown too old, chunk by chunk, month by month. Runs until cancelled."""
    retention = Retention(pool, models, named, clock)
    while True:
        began = time.monotonic()
        left = await until_it_works(partial(retention.some, days), _ignore)
        if (job := retention.finished) is not None:
            log.info("retention", cut=job.cut.isoformat(), activities=job.activities, leads=job.leads, kept=job.kept)
            retention.finished = None
        # However much there is to remove, new activities get at least half of this process.
        await asyncio.sleep(max(time.monotonic() - began, 0.05) if left else PAUSE_S)


def _ignore(_: str | None) -> None:
    """The consumer tells what is wrong with the servers."""


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Leads to be worked on, and the last one that was looked at."""

    leads: Sequence[OldLead]
    after: str
    at_end: bool


@dataclass(frozen=True, slots=True)
class _Opened:
    """A lead without its old activities: what is left of these, whose each was, and the lead's state."""

    openings: Sequence[Entry]
    anchors: dict[Key, str]
    state: bytes


class Retention:
    """Works on cuts. One per process. `finished` is the job that it has brought to its end."""

    def __init__(self, pool: asyncpg.Pool, models: ModelsInForce, named: LeadIdFor, clock: Clock) -> None:
        self._pool, self._models, self._clock = pool, models, clock
        self._erasures = Erasures(named)
        self.finished: RetentionJob | None = None

    async def some(self, days: int) -> bool:
        """One chunk. Returns False where there is nothing to do at the moment: all is removed, or a refold goes on."""
        now = self._clock()
        cut = cut_for(days, now)
        async with self._pool.acquire() as conn:
            async with conn.transaction():
                in_force = await self._models.pin(conn)
                repository = RetentionRepository(conn)
                job = await repository.job(cut)
                if job.finished_at is not None or not await repository.my_turn():
                    return False
                await self._erasures.refresh(conn)
                chunk = await _next(repository, job)
                removed, busy = await _Turn(conn, in_force, job, self._erasures.lead_id_for, now).remove(chunk)
                if done := chunk.at_end and not busy:
                    await repository.finish(job, now)
            ACTIVITIES_REMOVED.inc(removed)
            if done:
                await drop_empty(conn, cut)
                self.finished = await repository.job(cut)
        if busy:
            await asyncio.sleep(BUSY_S)
        return not done


async def _next(repository: RetentionRepository, job: RetentionJob) -> _Chunk:
    page = await repository.page(job.cut, job.after, PAGE)
    leads: list[OldLead] = []
    activities = 0
    for lead in page:
        if lead.old:
            activities += lead.activities
            if leads and (len(leads) == CHUNK or activities > MOST_ACTIVITIES):
                return _Chunk(leads, leads[-1].id, at_end=False)
            leads.append(lead)
    return _Chunk(leads, page[-1].id if page else job.after, at_end=len(page) < PAGE)


@dataclass(frozen=True, slots=True)
class _Turn:
    conn: asyncpg.Connection
    models: Models
    job: RetentionJob
    anchor_of: LeadIdFor
    now: datetime

    async def remove(self, chunk: _Chunk) -> tuple[int, bool]:
        """Remove what is old of a chunk; returns how many activities, and whether somebody has leads of it in hand: the
        others are done then, and the chunk comes again.
        """
        wanted = [lead.id for lead in chunk.leads]
        rows, busy = await ScoringRepository(self.conn).lock_free(wanted) if wanted else ({}, set[str]())
        rows = {lead_id: row for lead_id, row in rows.items() if row.merged_into is None and row.state}
        repository, entries = RetentionRepository(self.conn), EntryRepository(self.conn)
        histories, stored = await repository.histories(rows), await entries.of(rows)
        opened, kept, slices = dict[str, _Opened](), 0, Slices()
        for lead_id, row in rows.items():
            await slices.give_way()
            if not (old := self._old(histories[lead_id])):
                continue
            work = partial(self._open, row, histories[lead_id], old, stored[lead_id])
            # A large lead takes seconds, during which the consumer must have its turns.
            found = work() if len(histories[lead_id].activities) < LARGE else await asyncio.to_thread(work)
            if found is not None:
                opened[lead_id] = found
            else:
                kept += 1
        removed = await self._write(opened) if opened else 0
        await repository.looked_at(
            self.job, self.job.after if busy else chunk.after, len(opened), removed, 0 if busy else kept
        )
        return removed, bool(busy)

    def _old(self, history: History) -> list[Activity]:
        cut, recorded = self.job.cut, history.recorded
        return [one for one in history.activities if one.occurred_at < cut and recorded[one.source, one.id] < cut]

    def _open(
        self, row: LeadRow, history: History, old: Sequence[Activity], entries: Sequence[Entry]
    ) -> _Opened | None:
        """The lead without what is old; None where it would not be the same."""
        cut, before = self.job.cut, LeadState.unpack(row.state)
        activities, recorded = history.activities, history.recorded
        if not is_current(self.models, before):
            return None
        lead, gone = StoredLead(activities, entries, recorded), keys_of(old)
        openings = open_lead(self.models, lead, gone, cut, self.now, self.anchor_of)
        openings = [Entry(one.kind, one.id, one.anchor, one.at, _as_stored(one.body)) for one in openings]
        left = [one for one in activities if (one.source, one.id) not in gone]
        names = before.profile.identifiers
        whole = refold(self.models, activities, names, self.now, entries)
        after = refold(self.models, left, names, self.now, [*entries, *openings])
        if not _same(self.models, before, whole, after, self.now):
            return None
        after.stages, after.seen_at, after.due_at = before.stages, before.seen_at, before.due_at
        anchors = {(one.source, one.id): self.anchor_of(one.identifiers[0]) for one in old}
        return _Opened(openings, anchors, after.pack())

    async def _write(self, opened: dict[str, _Opened]) -> int:
        repository = RetentionRepository(self.conn)
        new = [(lead_id, entry) for lead_id, one in opened.items() for entry in one.openings]
        added = await EntryRepository(self.conn).add(new)
        anchors = {key: anchor for one in opened.values() for key, anchor in one.anchors.items()}
        removed = await repository.remove(self.job.cut, opened, anchors)
        if len(added) != len(new) or removed != len(anchors):
            raise TransientError(f"{len(anchors)} activities were to go and {removed} would have; nothing was removed")
        await repository.put_states({lead_id: one.state for lead_id, one in opened.items()})
        return removed


def _as_stored(body: Any) -> Any:
    return orjson.loads(orjson.dumps(body))


def _same(models: Models, before: LeadState, whole: LeadState, after: LeadState, now: datetime) -> bool:
    """Whether a lead without its old activities is what it was, now and for all that is to come."""
    at = before.instant(now)
    for model in models.all:
        if _parts(whole, model.key) != _parts(after, model.key):
            return False
        if before.evaluation(model, at) != after.evaluation(model, at):
            return False
    ours, theirs = after.profile, whole.profile
    return (ours.count, ours.last, ours.attributes) == (theirs.count, theirs.last, theirs.attributes)


def _parts(state: LeadState, key: str) -> dict[str, Any]:
    packed = encode(state.folds[key][1])
    for entry in packed["entries"].values():
        entry[-1] = set(entry[-1])  # objects paid for stand in no order
    return packed
