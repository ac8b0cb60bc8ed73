"""Published states of a batch to crossings and handoffs, inside one transaction: load, judge in core, save."""

from collections.abc import Collection, Sequence
from datetime import datetime

from services.handoff.core.judging import Judging, LeadMemory
from services.handoff.core.ledger import Ledger
from services.handoff.core.rules import Rule
from services.handoff.incoming import Arrived
from services.handoff.repository import HandoffRepository


async def judge_batch(
    repository: HandoffRepository, rules: Sequence[Rule], arrived: Sequence[Arrived], now: datetime
) -> Ledger:
    """Judge states in order and store what follows; the ledger holds what is to be published."""
    leads = await _lock(repository, {id_ for item in arrived for id_ in (item.state.lead_id, *item.state.merged_from)})
    open_ids = {memory.handoff for lead in leads.values() for memory in lead.rules.values() if memory.handoff}
    judging = Judging(rules, leads, Ledger(await repository.lock_handoffs(open_ids)), now)
    for item in arrived:
        judging.take(item.state, silent=item.silent)
    await repository.put_leads({lead_id: leads[lead_id] for lead_id in judging.changed})
    await repository.put_handoffs(judging.ledger)
    return judging.ledger


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
