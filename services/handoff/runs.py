"""Runs and lists carried out: in batches, each one transaction; one that was interrupted goes on where it was."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import asyncpg
import structlog

from services.handoff.backlog import Backlog
from services.handoff.batch import save_handoffs
from services.handoff.core.collecting import collect, is_hot
from services.handoff.core.due_runs import COMPLETED, LIST, due_runs
from services.handoff.core.ledger import Ledger
from services.handoff.core.lifecycle import Extraction, extraction_completed
from services.handoff.core.rows import cells
from services.handoff.core.rules import Rule, Rulebook
from services.handoff.core.schedule import Run, Timetable
from services.handoff.extraction_repository import ExtractionRepository
from services.handoff.leftovers import Leftovers
from services.handoff.repository import HandoffRepository
from services.handoff.settings import HandoffSettings
from services.handoff.tables import SCHEMA
from shared import outbox
from shared.clock import Clock, from_rfc3339, to_rfc3339
from shared.events import OutboxRow
from shared.spreadsheet import Cell
from shared.telemetry import QUALIFIED
from shared.waiting import until_it_works

BATCH = 2_500
MARK_EVERY = timedelta(minutes=1)
Row = tuple[str, Sequence[Cell]]

log = structlog.get_logger()


class Runs:
    """Makes due runs and finishes what is not complete; several processes may do so at once.

    No run is begun before the `backlog` is judged: what crossed while nobody was there to judge it, or while whoever
    should have done so was stopped, belongs to that run. At the start what waits for rules that have changed comes
    first.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        settings: HandoffSettings,
        clock: Clock,
        book: Rulebook,
        backlog: Backlog | None = None,
    ) -> None:
        self._pool = pool
        self._settings = settings
        self._clock = clock
        self._book = book
        self._backlog = backlog
        self._cleared = False
        self._started_at = clock()

    async def run(self) -> None:
        """Make runs until cancelled."""
        while True:
            if not await until_it_works(self.tick, _ignore):
                await asyncio.sleep(self._settings.handoff.timers_every_s)

    async def tick(self) -> bool:
        """Note what is due and do one batch; returns whether there was one to do."""
        now = self._clock()
        if await self.plan(now) or not self._cleared:
            found_at = await self._backlog.judged(now) if self._backlog is not None else now
            if found_at is not None:
                await self._begin(found_at)
        return await self.step()

    async def _begin(self, found_at: datetime) -> None:
        """Begin what was due when the wait for the backlog began; what fell due since is found by the next look."""
        if not self._cleared:
            await Leftovers(self._pool, self._settings, self._clock, self._book).clear()
            self._cleared = True
        await self.plan(found_at, judged=True)

    async def plan(self, now: datetime, *, judged: bool = False) -> bool:
        """Note the runs that are due at `now` if what they take is `judged`; else returns whether there are any."""
        rules = {rule.id: rule for rule in self._book.rules}
        timetables = {rule.id: rule.timetable for rule in self._book.rules if rule.timetable is not None}
        waits, section = False, self._settings.handoff
        async with self._pool.acquire() as conn, conn.transaction():
            repository, until = ExtractionRepository(conn), now - timedelta(seconds=section.run_after_s)
            for name, mark in (await repository.marks(timetables, until)).items():
                runs = _between(timetables[name], mark, until)
                if runs and not judged:
                    waits = True
                elif runs or until - mark > MARK_EVERY:
                    late = timedelta(seconds=section.run_missed_after_s)
                    await repository.begin(due_runs(rules[name], runs, now, late), self._clock())
                    await repository.mark(name, timetables[name], until)
                    for run in runs:
                        log.info("run_due", rule=name, key=run.key)
            await repository.leave_marks(timetables, self._started_at, now)
        return waits

    async def step(self, wanted: str | None = None) -> bool:
        """One batch of the oldest extraction, or of the wanted one; returns whether there was one in free hands."""
        async with self._pool.acquire() as conn, conn.transaction():
            repository = ExtractionRepository(conn)
            now = self._clock()
            extraction = await repository.lock_next([rule.id for rule in self._book.rules], now, wanted)
            if extraction is None:
                return False
            ledger = await self._batch(conn, extraction, self._book.rule(extraction.rule), now)
        for labels in ledger.qualified:
            QUALIFIED.labels(*labels).inc()
        return True

    async def _batch(
        self, conn: asyncpg.Connection, extraction: Extraction, rule: Rule | None, now: datetime
    ) -> Ledger:
        """Of a rule that is gone from the file nothing is left to take: its run is complete as it stands."""
        ledger, rows, after = Ledger((), self._book), list[Row](), replace(extraction, state=COMPLETED)
        if rule is not None and extraction.kind == LIST:
            rows, after = await self._list(conn, extraction, rule)
        elif rule is not None:
            ledger, rows, after = await self._collect(conn, extraction, rule, now)
        repository = ExtractionRepository(conn)
        await repository.add_rows(extraction, rows)
        done = after.state == COMPLETED
        await repository.put(after, now if done else None)
        published: list[OutboxRow] = [*ledger.published, *([extraction_completed(after, now)] if done else [])]
        await outbox.append(conn, SCHEMA, published, self._settings.kafka.partitions)
        return ledger

    async def _collect(
        self, conn: asyncpg.Connection, extraction: Extraction, rule: Rule, now: datetime
    ) -> tuple[Ledger, list[Row], Extraction]:
        """Hand over what waits. What was handed over waits no more, so that a batch begins at the beginning, or behind
        those who go on waiting.
        """
        waiting = await ExtractionRepository(conn).waiting(rule.id, extraction.at, BATCH, *_place(extraction))
        if not waiting:
            return Ledger((), self._book), [], replace(extraction, state=COMPLETED)
        repository = HandoffRepository(conn)
        await repository.hold_leads({handoff.lead_id for handoff in waiting})
        states = await repository.last_states({handoff.lead_id for handoff in waiting})
        # What was answered, merged or expired meanwhile waits no longer; the order stays that of the crossings.
        locked = {handoff.id: handoff for handoff in await repository.lock_handoffs({one.id for one in waiting})}
        current = [locked[one.id] for one in waiting if locked[one.id].revision == one.revision]
        ledger = Ledger(current, self._book)
        of = {handoff.id: states.get(handoff.lead_id) for handoff in current}
        collected = collect(ledger, rule, extraction, current, of, now)
        await save_handoffs(conn, ledger, now)
        rows: list[Row] = [
            (handoff.lead_id, cells(rule, state, state.models[handoff.model], ledger.handoffs[handoff.id]))
            for handoff, state in collected.handed_over
        ]
        counted = replace(extraction, count=extraction.count + len(rows), lapsed=extraction.lapsed + collected.lapsed)
        if collected.left:
            log.warning("no_model_to_hand_over_by", rule=rule.id, key=extraction.key, waiting=collected.left)
            counted = replace(counted, place=f"{to_rfc3339(waiting[-1].crossed_at)} {waiting[-1].id}")
        return ledger, rows, counted

    async def _list(self, conn: asyncpg.Connection, extraction: Extraction, rule: Rule) -> tuple[list[Row], Extraction]:
        """Look through leads by id for those who meet the rule."""
        follows = rule.after.rule if rule.after is not None else None
        place = extraction.place or ""
        found = await ExtractionRepository(conn).candidates(rule.id, follows, rule.enter, place, BATCH)
        if not found:
            return [], replace(extraction, state=COMPLETED)
        hot = [(state, model) for state, stands in found if (model := is_hot(rule, state, stands)) is not None]
        rows: list[Row] = [(state.lead_id, cells(rule, state, model, None)) for state, model in hot]
        return rows, replace(extraction, count=extraction.count + len(rows), place=found[-1][0].lead_id)


def _place(extraction: Extraction) -> list[tuple[datetime, str]]:
    """Behind which a run goes on, if not at the beginning."""
    if extraction.place is None:
        return []
    crossed_at, _, handoff_id = extraction.place.partition(" ")
    return [(from_rfc3339(crossed_at), handoff_id)]


def _between(timetable: Timetable, start: datetime, end: datetime) -> list[Run]:
    """The runs of a stretch; nearly always there are none, which the timetable knows by heart."""
    if end <= start:
        return []
    first = timetable.after(start - timedelta(microseconds=1))
    return timetable.between(start, end) if first is not None and first.at < end else []


def _ignore(_: str | None) -> None:
    """The consumers tell what is wrong with the servers."""
