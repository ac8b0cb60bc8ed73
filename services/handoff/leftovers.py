"""Leads that wait for a run which will never come, because their rule hands over at once by now, or is gone."""

import asyncpg
import structlog

from services.handoff.batch import save_handoffs
from services.handoff.core.collecting import WITHOUT_RULE
from services.handoff.core.due_runs import last_run
from services.handoff.core.ledger import Ledger
from services.handoff.core.rules import Rulebook
from services.handoff.extraction_repository import ExtractionRepository
from services.handoff.repository import HandoffRepository
from services.handoff.settings import HandoffSettings
from services.handoff.tables import SCHEMA
from shared import outbox
from shared.clock import Clock
from shared.postgres import ENDLESS

BATCH = 2_500

log = structlog.get_logger()


class Leftovers:
    """Looks after them once, when a process starts with its file."""

    def __init__(self, pool: asyncpg.Pool, settings: HandoffSettings, clock: Clock, book: Rulebook) -> None:
        self._pool = pool
        self._settings = settings
        self._clock = clock
        self._book = book

    async def clear(self) -> None:
        """Begin a last run of rules that hand over at once by now; let lapse what waits for rules that are gone."""
        for name in await self._begin_last_runs():
            lapsed = 0
            while count := await self._let_lapse(name):
                lapsed += count
            log.warning("rule_gone", rule=name, lapsed=lapsed)

    async def _begin_last_runs(self) -> list[str]:
        """Returns the rules that are gone."""
        scheduled = {rule.id for rule in self._book.rules if rule.timetable is not None}
        gone: list[str] = []
        async with self._pool.acquire() as conn, conn.transaction():
            repository, now = ExtractionRepository(conn), self._clock()
            # Processes that start together begin one run.
            await conn.execute("SELECT pg_advisory_xact_lock(hashtext('handoff-leftovers'))")
            for name, latest in (await repository.latest_waiting()).items():
                rule = self._book.rule(name)
                if rule is None:
                    gone.append(name)
                elif name not in scheduled and not await repository.is_running(name, latest):
                    run = last_run(rule, latest, now)
                    await repository.begin([run], now)
                    log.info("last_run_begun", rule=name, key=run.key)
        return gone

    async def _let_lapse(self, name: str) -> int:
        """One batch, one transaction; returns how many were looked at."""
        async with self._pool.acquire() as conn, conn.transaction():
            waiting = await ExtractionRepository(conn).waiting(name, ENDLESS, BATCH)
            repository, now = HandoffRepository(conn), self._clock()
            await repository.hold_leads({handoff.lead_id for handoff in waiting})
            # What was answered, merged or erased meanwhile waits no longer.
            read = {handoff.id: handoff.revision for handoff in waiting}
            locked = await repository.lock_handoffs(set(read))
            ledger = Ledger([one for one in locked if one.revision == read[one.id]], self._book)
            for handoff_id in list(ledger.handoffs):
                ledger.lapse(handoff_id, now, WITHOUT_RULE)
            await save_handoffs(conn, ledger, now)
            await outbox.append(conn, SCHEMA, ledger.published, self._settings.kafka.partitions)
        return len(waiting)
