"""Published states of a batch to crossings and handoffs, inside one transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from services.handoff.core.crossing import Memory, first_memory, judge, union
from services.handoff.core.events import IMMEDIATE, OutcomeOf, outcome, qualified
from services.handoff.core.rules import Rule
from services.handoff.core.seen import SeenLead
from services.handoff.core.states import EXPIRED, MERGED, QUALIFIED
from services.handoff.repository import HandoffRepository, HandoffRow, HistoryRow, LeadRow, Place, is_overdue
from shared.outbox import OutboxRow

GRACE = timedelta(minutes=10)
"""States this much older than the very first start stem from leads that were there before handoff was."""


@dataclass(slots=True)
class Work:
    """What was read, and what is to be written."""

    rows: dict[str, LeadRow]
    memories: dict[Place, Memory]
    open: dict[str, HandoffRow]
    raised: dict[str, HandoffRow] = field(default_factory=dict)
    steps: list[HistoryRow] = field(default_factory=list)
    stepped: dict[str, HandoffRow] = field(default_factory=dict)
    published: list[OutboxRow] = field(default_factory=list)
    merged: set[str] = field(default_factory=set)
    changed: set[Place] = field(default_factory=set)


class BatchJudging:
    """Judges the states of one transaction."""

    def __init__(
        self, repository: HandoffRepository, rules: Sequence[Rule], installed_at: datetime, now: datetime
    ) -> None:
        self._repository = repository
        self._rules = rules
        self._installed_at = installed_at
        self._now = now

    async def judge(self, states: Sequence[SeenLead]) -> list[OutboxRow]:
        """Judge `states` in order and store what follows; returns what is to be published."""
        ids = {lead_id for lead in states for lead_id in (lead.lead_id, *lead.merged_from)}
        rows = await self._repository.lock_leads(ids)
        memories = await self._repository.memories(ids)
        open_ids = {memory.open_handoff for memory in memories.values() if memory.open_handoff}
        work = Work(rows, memories, await self._repository.open_handoffs(open_ids))
        for lead in states:
            self._take(work, lead)
        await self._write(work)
        return work.published

    def _take(self, work: Work, lead: SeenLead) -> None:
        row = work.rows[lead.lead_id]
        if row.merged_into is not None or lead.version <= row.version:
            return
        if lead.merged_from:
            self._merge(work, lead)
        for rule in self._rules:
            self._judge_one(work, rule, lead, row)
        row.version = lead.version
        row.scores = {name: lead.score(name) for name in lead.models}

    def _judge_one(self, work: Work, rule: Rule, lead: SeenLead, row: LeadRow) -> None:
        place = (lead.lead_id, rule.id)
        memory = work.memories.get(place) or first_memory(rule, row.scores.get(rule.model or lead.primary))
        silent = lead.is_silent or lead.evaluated_at < self._installed_at - GRACE
        judgement = judge(rule, memory, lead, closed=self._is_closed(work, memory, lead.evaluated_at), silent=silent)
        work.memories[place] = judgement.memory
        work.changed.add(place)
        if judgement.raised:
            self._raise(work, rule, lead, judgement.memory.cycle)

    def _is_closed(self, work: Work, memory: Memory, at: datetime) -> bool:
        handoff = work.open.get(memory.open_handoff or "")
        if handoff is None:
            return True
        if not is_overdue(handoff, at):
            return False
        self._close(work, handoff, EXPIRED, at)
        return True

    def _raise(self, work: Work, rule: Rule, lead: SeenLead, cycle: int) -> None:
        handoff = HandoffRow(
            rule.handoff_id(lead.lead_id, cycle),
            lead.lead_id,
            rule.id,
            cycle,
            QUALIFIED,
            rule.queue,
            IMMEDIATE,
            lead.evaluated_at,
            self._now,
            self._now + rule.close_after,
        )
        work.raised[handoff.id] = work.open[handoff.id] = handoff
        work.published.append(qualified(lead, rule, cycle, self._now))

    def _merge(self, work: Work, lead: SeenLead) -> None:
        """The survivor takes the union; of several open handoffs the oldest stays."""
        ids = [lead.lead_id, *lead.merged_from]
        for rule in self._rules:
            held = [work.memories.pop((lead_id, rule.id), None) for lead_id in ids]
            known = [memory for memory in held if memory is not None]
            if not known:
                continue
            handoffs = [work.open[memory.open_handoff] for memory in known if memory.open_handoff in work.open]
            handoffs.sort(key=lambda item: (item.crossed_at, item.id))
            for newer in handoffs[1:]:
                self._close(work, newer, MERGED, lead.evaluated_at)
            stays = handoffs[0].id if handoffs else None
            place = (lead.lead_id, rule.id)
            work.memories[place] = replace(union(known), open_handoff=stays)
            work.changed.add(place)
        for merged_id in lead.merged_from:
            work.rows[merged_id].merged_into = lead.lead_id
            work.merged.add(merged_id)

    def _close(self, work: Work, handoff: HandoffRow, state: str, at: datetime) -> None:
        handoff.state = state
        del work.open[handoff.id]
        work.steps.append(HistoryRow(handoff.id, state, at))
        work.stepped[handoff.id] = handoff

    async def _write(self, work: Work) -> None:
        await self._repository.put_leads(work.rows.values())
        kept = {place: work.memories[place] for place in work.changed if place in work.memories}
        await self._repository.put_memories(
            {place: memory for place, memory in kept.items() if place[0] not in work.merged}
        )
        if work.merged:
            await self._repository.forget(work.merged)
        if work.raised:
            await self._repository.add_handoffs(work.raised.values())
            await self._repository.add_history(
                [HistoryRow(row.id, QUALIFIED, row.handed_over_at) for row in work.raised.values()]
            )
        if work.steps:
            numbers = await self._repository.move(work.steps)
            work.published.extend(told(work.steps, work.stepped, numbers))


def told(steps: Iterable[HistoryRow], handoffs: dict[str, HandoffRow], numbers: dict[str, int]) -> Iterable[OutboxRow]:
    """The records that tell of steps."""
    for step in steps:
        row = handoffs[step.handoff_id]
        yield outcome(
            OutcomeOf(
                row.id,
                row.lead_id,
                row.rule,
                row.cycle,
                step.state,
                step.at,
                numbers[row.id],
                step.by,
                step.reason,
                step.until,
            )
        )
