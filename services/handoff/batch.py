"""One transaction on leads and handoffs: lock and load, decide in core, choose owners, save."""

from collections.abc import Collection, Sequence
from datetime import datetime

from asyncpg import Connection

from services.handoff.core.assigning import Assigner
from services.handoff.core.judging import Judging, LeadMemory
from services.handoff.core.ledger import Ledger
from services.handoff.core.rules import Rulebook
from services.handoff.incoming import Arrived
from services.handoff.notes import Notes
from services.handoff.repository import HandoffRepository
from services.handoff.traces import Traces


async def judge_batch(
    conn: Connection, book: Rulebook, arrived: Sequence[Arrived], ended: Collection[str], now: datetime
) -> Ledger:
    """Judge states in order and store what follows; the ledger holds what is to be published.

    `ended` leads, whose key has no value any more, were erased.
    """
    named = {id_ for item in arrived for id_ in item.state.named}
    still_open = await Traces(conn).open_handoffs(ended) if ended else ()
    judging = await load(conn, book, named | set(ended), still_open, now)
    for item in arrived:
        judging.take(item.state, silent=item.silent)
    for lead_id in ended:
        judging.forget(lead_id)
    await save(conn, judging)
    if ended:
        await Traces(conn).forget(ended)
    return judging.ledger


async def load(
    conn: Connection, book: Rulebook, lead_ids: Collection[str], handoff_ids: Collection[str], now: datetime
) -> Judging:
    """Lock leads, then their open handoffs and those that are named."""
    repository = HandoffRepository(conn)
    leads = await _lock(repository, lead_ids)
    open_ids = {memory.handoff for lead in leads.values() for memory in lead.rules.values() if memory.handoff}
    handoffs = await repository.lock_handoffs(open_ids | set(handoff_ids))
    return Judging(book.rules, leads, Ledger(handoffs, book), now)


async def save(conn: Connection, judging: Judging) -> None:
    """Write the leads and handoffs that changed."""
    await HandoffRepository(conn).put_leads({lead_id: judging.leads[lead_id] for lead_id in judging.changed})
    await save_handoffs(conn, judging.ledger, judging.now)


async def save_handoffs(conn: Connection, ledger: Ledger, now: datetime) -> None:
    """Choose owners for what was just handed over, and write everything the ledger holds."""
    if ledger.openings:
        notes = Notes(conn)
        queues = {opening.handoff.queue: opening.rule.to for opening in ledger.openings}
        workload = await notes.lock_workload([(name, queue.working_day(now)) for name, queue in queues.items()])
        Assigner(ledger, workload, now).openings()
        await notes.put_workload(workload)
    await HandoffRepository(conn).put_handoffs(ledger)


async def _lock(repository: HandoffRepository, ids: Collection[str]) -> dict[str, LeadMemory]:
    """The leads, and those that they were merged into.

    The latter are locked out of order; should two workers meet there, PostgreSQL ends one and its batch starts over.
    """
    leads: dict[str, LeadMemory] = {}
    missing = set(ids)
    while missing:
        leads |= await repository.lock_leads(missing)
        missing = {lead.merged_into for lead in leads.values() if lead.merged_into is not None} - leads.keys()
    return leads
