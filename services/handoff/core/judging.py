"""Leads under all rules: what a published state raises, and what a merge joins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from services.handoff.core.crossing import RuleMemory, judge, union
from services.handoff.core.handoff import new_handoff
from services.handoff.core.ledger import Ledger
from services.handoff.core.rules import Rule
from services.handoff.core.state import LeadState

Rules = Sequence[Rule]


@dataclass(frozen=True, slots=True)
class LeadMemory:
    """What is remembered of one lead: the last judged state, and per rule what came of it.

    `merged_into` names the lead that took it over; from then on nothing of its own is judged.
    """

    version: int = 0
    merged_into: str | None = None
    last: LeadState | None = None
    rules: Mapping[str, RuleMemory] = field(default_factory=dict)

    def of(self, rule: str) -> RuleMemory:
        """The memory under a rule, a fresh one where there is none."""
        return self.rules.get(rule, RuleMemory())


@dataclass(slots=True)
class Judging:
    """The leads that one transaction has in hand. `changed` are those whose memory is to be written."""

    rules: Rules
    leads: dict[str, LeadMemory]
    ledger: Ledger
    now: datetime
    changed: set[str] = field(default_factory=set)

    def take(self, state: LeadState, *, silent: bool) -> None:
        """Judge the next published state of a lead; one that is not newer than the last, or of a lead that was merged
        into another, raises nothing. Every lead it names, and every lead these were merged into, must be in hand.
        """
        memory = self.leads[state.lead_id]
        if state.version <= memory.version:
            return
        for merged_id in state.merged_from:
            self._absorb(self._survivor(state.lead_id), self._survivor(merged_id), state.evaluated_at)
        if memory.merged_into is not None:
            return
        memory = self.leads[state.lead_id]
        self.leads[state.lead_id] = judge_lead(self.rules, memory, state, self.ledger, silent=silent, now=self.now)
        self.changed.add(state.lead_id)

    def _survivor(self, lead_id: str) -> str:
        """Merges follow each other in any order, as their records lie in several partitions."""
        while (into := self.leads[lead_id].merged_into) is not None:
            lead_id = into
        return lead_id

    def _absorb(self, survivor: str, merged: str, at: datetime) -> None:
        if survivor == merged:
            return
        self.leads[survivor] = absorb(self.rules, self.leads[survivor], self.leads[merged], self.ledger, at)
        self.leads[merged] = LeadMemory(self.leads[merged].version, survivor)
        self.changed |= {survivor, merged}


def judge_lead(
    rules: Rules, memory: LeadMemory, state: LeadState, ledger: Ledger, *, silent: bool, now: datetime
) -> LeadMemory:
    """Judge the next state of a lead; what it raises is opened in `ledger`, handed over at `now`."""
    memories = dict(memory.rules)
    for rule in rules:
        before = _up_to_date(rule, memory, ledger)
        closed = ledger.closed(before.handoff, state.evaluated_at)
        after, crossing = judge(rule, before, state, closed=closed, silent=silent or state.quiet)
        if crossing is not None:
            handoff = new_handoff(rule, state, crossing, now)
            ledger.open(handoff, rule, state)
            after = replace(after, handoff=handoff.id)
        memories[rule.id] = after
    return LeadMemory(state.version, None, state, memories)


def _up_to_date(rule: Rule, memory: LeadMemory, ledger: Ledger) -> RuleMemory:
    """A rule that was not there when the lead was last judged takes note of that state first, and raises nothing."""
    known = memory.of(rule.id)
    if memory.last is None or known.version >= memory.version:
        return known
    closed = ledger.closed(known.handoff, memory.last.evaluated_at)
    return judge(rule, known, memory.last, closed=closed, silent=True)[0]


def absorb(rules: Rules, survivor: LeadMemory, merged: LeadMemory, ledger: Ledger, at: datetime) -> LeadMemory:
    """The survivor with what is remembered of a lead merged into it at `at`; rules no longer in force come along."""
    in_force = {rule.id: rule for rule in rules}
    memories = {}
    for name in dict.fromkeys((*in_force, *survivor.rules, *merged.rules)):
        rule = in_force.get(name)
        one = _up_to_date(rule, survivor, ledger) if rule else survivor.of(name)
        other = _up_to_date(rule, merged, ledger) if rule else merged.of(name)
        handoff = ledger.keep_older(one.handoff, other.handoff, at)
        version = survivor.version if rule else one.version
        memories[name] = replace(union(one, other), handoff=handoff, version=version)
    return replace(survivor, rules=memories)
