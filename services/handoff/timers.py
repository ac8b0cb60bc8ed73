"""What time alone does to handoffs: each step is one short transaction on what is due, whoever gets hold of it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial

import asyncpg

from services.handoff.batch import load, save
from services.handoff.core.assigning import Assigner
from services.handoff.core.ledger import Ledger
from services.handoff.core.rules import Rulebook
from services.handoff.notes import Notes
from services.handoff.repository import HandoffRepository
from services.handoff.settings import HandoffSettings
from services.handoff.tables import SCHEMA
from shared import outbox
from shared.clock import Clock
from shared.telemetry import HANDOFF_SLA_BREACHES, QUALIFIED
from shared.waiting import until_it_works

CHUNK = 500


class Timers:
    """The steps. Judging and answers look at the time themselves: nothing waits for these to be punctual."""

    def __init__(self, pool: asyncpg.Pool, settings: HandoffSettings, clock: Clock, book: Rulebook) -> None:
        self._pool = pool
        self._settings = settings
        self._clock = clock
        self._book = book

    async def run(self) -> None:
        """Do what is due until cancelled."""
        while True:
            done = [await until_it_works(partial(self._step, one), _ignore) for one in self.steps]
            if max(done) < CHUNK:
                await asyncio.sleep(self._settings.handoff.timers_every_s)

    @property
    def steps(self) -> tuple[Callable[[asyncpg.Connection, datetime], Awaitable[tuple[int, Ledger]]], ...]:
        """Expiry before deadlines: what nobody answered for good is not given to somebody else first."""
        return (self._settle, self._cool, self._expire, self._breach, self._assign)

    async def tick(self) -> int:
        """Every step once; returns how many leads or handoffs were touched."""
        return sum([await self._step(one) for one in self.steps])

    async def _step(self, step: Callable[[asyncpg.Connection, datetime], Awaitable[tuple[int, Ledger]]]) -> int:
        async with self._pool.acquire() as conn, conn.transaction():
            done, ledger = await step(conn, self._clock())
            await outbox.append(conn, SCHEMA, ledger.published, self._settings.kafka.partitions)
        HANDOFF_SLA_BREACHES.inc(ledger.breached)
        for labels in ledger.qualified:
            QUALIFIED.labels(*labels).inc()
        return done

    async def _settle(self, conn: asyncpg.Connection, now: datetime) -> tuple[int, Ledger]:
        """Raise what has waited long enough for the verdict on a burst of clicks."""
        due = await HandoffRepository(conn).settling(now, CHUNK)
        if not due:
            return 0, Ledger((), self._book)
        judging = await load(conn, self._book, due, (), now)
        for lead_id in due:
            judging.settle(lead_id)
        await save(conn, judging)
        return len(due), judging.ledger

    async def _cool(self, conn: asyncpg.Connection, now: datetime) -> tuple[int, Ledger]:
        """Tell of leads that will fall below a rule's `leave` soon."""
        due = await HandoffRepository(conn).cooling(now, CHUNK)
        if not due:
            return 0, Ledger((), self._book)
        judging = await load(conn, self._book, due, (), now)
        for lead_id in due:
            judging.cool(lead_id)
        await save(conn, judging)
        return len(due), judging.ledger

    async def _expire(self, conn: asyncpg.Connection, now: datetime) -> tuple[int, Ledger]:
        """End handoffs that nobody answered."""
        repository = HandoffRepository(conn)
        ledger = Ledger(await repository.due_handoffs(now, CHUNK), self._book)
        for handoff_id in list(ledger.handoffs):
            ledger.expire_if_due(handoff_id, now)
        await repository.put_handoffs(ledger)
        return len(ledger.handoffs), ledger

    async def _breach(self, conn: asyncpg.Connection, now: datetime) -> tuple[int, Ledger]:
        """Remind of deadlines that passed, and give what is overdue to somebody else."""
        repository = HandoffRepository(conn)
        due = await repository.overdue_handoffs(now, CHUNK)
        if not due:
            return 0, Ledger((), self._book)
        assigner = await assigner_of(conn, Ledger(due, self._book), now)
        tried = await repository.owners_of([handoff.id for handoff in due])
        states = await repository.last_states({handoff.lead_id for handoff in due})
        for handoff in due:
            assigner.breach(handoff, states.get(handoff.lead_id), tried.get(handoff.id, set()))
        await _save(conn, assigner)
        return len(due), assigner.ledger

    async def _assign(self, conn: asyncpg.Connection, now: datetime) -> tuple[int, Ledger]:
        """Find owners for handoffs that found all capacity used up, now that a new day has begun."""
        repository = HandoffRepository(conn)
        due = await repository.unassigned_handoffs(now, CHUNK)
        if not due:
            return 0, Ledger((), self._book)
        assigner = await assigner_of(conn, Ledger(due, self._book), now)
        tried = await repository.owners_of([handoff.id for handoff in due])
        states = await repository.last_states({handoff.lead_id for handoff in due})
        for handoff in due:
            assigner.waiting(handoff, states.get(handoff.lead_id), tried.get(handoff.id, set()))
        await _save(conn, assigner)
        for name, until in assigner.full.items():
            await repository.postpone(name, now, until)
        return len(due), assigner.ledger


async def assigner_of(conn: asyncpg.Connection, ledger: Ledger, now: datetime) -> Assigner:
    """One for the handoffs in `ledger`, with what their queues' members have taken today."""
    queues = {handoff.queue for handoff in ledger.handoffs.values()}
    days = [(name, ledger.book.queue(name).working_day(now)) for name in queues]
    return Assigner(ledger, await Notes(conn).lock_workload(days), now)


async def _save(conn: asyncpg.Connection, assigner: Assigner) -> None:
    await Notes(conn).put_workload(assigner.workload)
    await HandoffRepository(conn).put_handoffs(assigner.ledger)


def _ignore(_: str | None) -> None:
    """The consumers tell what is wrong with the servers."""
