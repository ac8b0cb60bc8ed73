"""Leads under all rules: what a published state raises, and what a merge joins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from services.handoff.core.crossing import RuleMemory, judge, union
from services.handoff.core.handoff import SELF, Step, new_handoff
from services.handoff.core.ledger import Ledger
from services.handoff.core.lifecycle import cooled, cooling
from services.handoff.core.rules import Rule
from services.handoff.core.state import LeadState
from services.handoff.core.states import LAPSED, is_closed

Rules = Sequence[Rule]
ERASED = "erased"
"""Why the handoffs of an erased lead end."""
LAST_VERSION = 2**63 - 1
"""Of an erased lead: no state is newer, so none that is read late, or again, is judged. Its id is never used again."""


@dataclass(frozen=True, slots=True)
class LeadMemory:
    """What is remembered of one lead: the last judged state, and per rule what came of it.

    `merged_into` names the lead that took it over: nothing of its own up to `version` is judged any more.
    """

    version: int = 0
    merged_into: str | None = None
    last: LeadState | None = None
    rules: Mapping[str, RuleMemory] = field(default_factory=dict)

    def of(self, rule: str) -> RuleMemory:
        """The memory under a rule, a fresh one where there is none."""
        return self.rules.get(rule, RuleMemory())

    @property
    def may_be_handed_over(self) -> bool:
        """Whether its last state may still be shown to sales: by a run, or once a burst of clicks is judged."""
        return any(memory.handoff or memory.settling_since for memory in self.rules.values())


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
        is_new = state.version > memory.version
        if not is_new and memory.merged_into is None:
            return
        if is_new:
            self._stand_again(state)
        for merged_id in state.merged_from:
            self._take_over(state, merged_id)
        memory = self.leads[state.lead_id]
        if not is_new or memory.merged_into is not None:
            return
        silent = silent or state.unmerged_from is not None
        self.leads[state.lead_id] = judge_lead(self.rules, memory, state, self.ledger, silent=silent, now=self.now)
        self.changed.add(state.lead_id)

    def settle(self, lead_id: str) -> None:
        """A wait for the verdict on a mail click is over: judge the last state once more. What can no longer be judged,
        because its rule or the lead is gone, waits no more.
        """
        settled = _settle(self.rules, self.leads[lead_id], self.ledger, self.now, by=self.now)
        in_force = {rule.id for rule in self.rules} if settled.last is not None else set[str]()
        gone = {
            name: replace(one, settling_since=None, settle_due=None)
            for name, one in settled.rules.items()
            if name not in in_force
        }
        self.leads[lead_id] = replace(settled, rules={**settled.rules, **gone})
        self.changed.add(lead_id)

    def cool(self, lead_id: str) -> None:
        """It is time to tell that the lead will cool. Of a rule or a lead that is gone nothing is told."""
        cooled = _cool(self.rules, self.leads[lead_id], self.ledger, by=self.now)
        rules = {
            name: replace(one, cooling_due=None) if _is_due(one, self.now) else one
            for name, one in cooled.rules.items()
        }
        self.leads[lead_id] = replace(cooled, rules=rules)
        self.changed.add(lead_id)

    def reconsider(self, lead_id: str) -> None:
        """A handoff of this lead was answered: rules that follow it may now be met by the last state."""
        survivor = self._survivor(lead_id)
        memory = self.leads[survivor]
        followers = [rule for rule in self.rules if rule.after is not None]
        if memory.last is not None and followers:
            judged = judge_lead(followers, memory, memory.last, self.ledger, silent=False, now=self.now, answered=True)
            self.leads[survivor] = replace(memory, rules={**memory.rules, **judged.rules})
            self.changed.add(survivor)

    def forget(self, lead_id: str) -> None:
        """A lead was erased: nothing of it is kept or judged again, and nobody is to answer for it."""
        for handoff in list(self.ledger.handoffs.values()):
            if handoff.lead_id == lead_id and not is_closed(handoff.state):
                self.ledger.step(handoff.id, Step(LAPSED, self.now, SELF, ERASED))
        self.leads[lead_id] = replace(self.leads[lead_id], version=LAST_VERSION, last=None)
        self.changed.add(lead_id)

    def _stand_again(self, state: LeadState) -> None:
        """Let a lead be one of its own again that was taken out of another, or that takes over what it had become a
        part of. It raises no cycle that it or the other had, and owns no handoff of the time in which they were one.
        """
        lead_id, known = state.lead_id, self.leads[state.lead_id]
        if known.merged_into is not None and (state.unmerged_from is not None or state.merged_versions):
            self.leads[lead_id] = LeadMemory(known.version, rules=_for_another(self.leads[self._survivor(lead_id)]))
        elif state.unmerged_from is not None and not known.version:
            self._learn(lead_id, state.unmerged_from, state.evaluated_at)

    def _take_over(self, state: LeadState, merged_id: str) -> None:
        """A lead was merged into that of `state`. Records of both, and of what became of them later, may have been read
        in any order, as they lie in several partitions.
        """
        survivor, merged = self._survivor(state.lead_id), self.leads[merged_id]
        last = state.merged_versions.get(merged_id)
        if last is not None and merged.version > last:
            self._learn(survivor, merged_id, state.evaluated_at)
        elif last is None or merged.merged_into is None:
            self._absorb(survivor, self._survivor(merged_id), last or 0, state.evaluated_at)
        elif merged.version < last:
            self._learn(survivor, merged_id, state.evaluated_at)
            self.leads[merged_id] = LeadMemory(last, survivor)
            self.changed.add(merged_id)

    def _survivor(self, lead_id: str) -> str:
        while (into := self.leads[lead_id].merged_into) is not None:
            lead_id = into
        return lead_id

    def _learn(self, lead_id: str, other_id: str, at: datetime) -> None:
        """A lead raises no cycle that one had with which it was one for a time, and owns none of its handoffs."""
        other_id = self._survivor(other_id)
        if lead_id != other_id:
            other = LeadMemory(rules=_for_another(self.leads[other_id]))
            self.leads[lead_id] = absorb(self.rules, self.leads[lead_id], other, self.ledger, at)
            self.changed.add(lead_id)

    def _absorb(self, survivor: str, merged: str, last: int, at: datetime) -> None:
        if survivor == merged:
            return
        self.leads[survivor] = absorb(self.rules, self.leads[survivor], self.leads[merged], self.ledger, at)
        self.leads[merged] = LeadMemory(max(self.leads[merged].version, last), survivor)
        self.changed |= {survivor, merged}


def _for_another(lead: LeadMemory) -> Mapping[str, RuleMemory]:
    """What a lead that was one with this one knows of it."""
    return {
        name: replace(memory, handoff=None, version=0, settling_since=None, settle_due=None, cooling_due=None)
        for name, memory in lead.rules.items()
    }


def judge_lead(
    rules: Rules,
    memory: LeadMemory,
    state: LeadState,
    ledger: Ledger,
    *,
    silent: bool,
    now: datetime,
    answered: bool = False,
) -> LeadMemory:
    """Judge the next state of a lead, or its last one again after a handoff was `answered`; what it raises is opened in
    `ledger`.
    """
    memory = _settle(rules, memory, ledger, now, by=state.evaluated_at)
    memory = _cool(rules, memory, ledger, by=state.evaluated_at)
    judged = dict(memory.rules)
    known = {rule.id: _up_to_date(rule, memory, ledger) for rule in rules}
    standing = _standing(memory, known, ledger, state.evaluated_at)
    silent = silent or state.quiet
    for rule in rules:
        judged[rule.id] = _judge(
            rule, known[rule.id], state, ledger, standing, silent=silent, now=now, answered=answered
        )
    return LeadMemory(state.version, None, state, judged)


def _judge(
    rule: Rule,
    before: RuleMemory,
    state: LeadState,
    ledger: Ledger,
    standing: Mapping[str, str],
    *,
    silent: bool,
    now: datetime,
    settled: bool = False,
    answered: bool = False,
) -> RuleMemory:
    closed = ledger.closed(before.handoff, state.evaluated_at)
    ended = (ledger.state_of(before.handoff) if closed else None) or before.ended
    after, crossing = judge(rule, before, state, closed=closed, silent=silent, settled=settled, standing=standing)
    if closed and crossing is None:
        after = replace(after, ended=ended)
    if after.settling_since is not None and before.settling_since is None:
        after = replace(after, settle_due=max(now, state.evaluated_at) + rule.settle)
    if crossing is not None:
        handoff = new_handoff(rule, state, crossing, now, ledger.book.version, answered=answered)
        ledger.open(handoff, rule, state)
        after = replace(after, handoff=handoff.id)
    if before.hot and not after.hot and not silent and (name := state.model_name(rule.model)) is not None:
        ledger.published.append(cooled(rule, state, name, after.cycle))
    return after


def _settle(rules: Rules, memory: LeadMemory, ledger: Ledger, now: datetime, *, by: datetime) -> LeadMemory:
    """Raise what has waited long enough by the instant `by`, with the last state: it held until then."""
    last = memory.last
    if last is None or not any(one.settling_since for one in memory.rules.values()):
        return memory
    judged = dict(memory.rules)
    standing = _standing(memory, judged, ledger, last.evaluated_at)
    for rule in rules:
        before = memory.of(rule.id)
        if before.settling_since is not None and before.settling_since + rule.settle <= by:
            judged[rule.id] = _judge(rule, before, last, ledger, standing, silent=False, now=now, settled=True)
    return replace(memory, rules=judged)


def _cool(rules: Rules, memory: LeadMemory, ledger: Ledger, *, by: datetime) -> LeadMemory:
    """Tell what was to be told by the instant `by`: the last state held until then."""
    last = memory.last
    if last is None or not any(_is_due(one, by) for one in memory.rules.values()):
        return memory
    told = dict(memory.rules)
    for rule in rules:
        before, name = memory.of(rule.id), last.model_name(rule.model)
        falls = last.models[name].falls_below(rule.leave) if name is not None else None
        if name is not None and falls is not None and before.cooling_due is not None and before.cooling_due <= by:
            at = max(before.cooling_due, last.evaluated_at)
            ledger.published.append(cooling(rule, last, name, before.cycle, falls, at))
            told[rule.id] = replace(before, cooling_due=None, cooling_told=before.cooling_due)
    return replace(memory, rules=told)


def _is_due(memory: RuleMemory, by: datetime) -> bool:
    return memory.cooling_due is not None and memory.cooling_due <= by


def _standing(memory: LeadMemory, known: Mapping[str, RuleMemory], ledger: Ledger, at: datetime) -> Mapping[str, str]:
    """Where the latest handoff of each rule stands."""
    found = {}
    for name, one in {**memory.rules, **known}.items():
        ledger.closed(one.handoff, at)
        state = ledger.state_of(one.handoff) or one.ended
        if state is not None:
            found[name] = state
    return found


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
