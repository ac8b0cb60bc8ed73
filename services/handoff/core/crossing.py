"""When a lead crosses a rule's threshold: raised once per crossing, armed again only after it came down and was closed.

A rule is judged on a lead's published states in order. It is raised when it is met and armed; then it is not armed. It
is armed again at the first judged state at which all hold: the state before was below `leave`, the cooldown is over,
and the handoff is closed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from services.handoff.core.rules import Rule
from services.handoff.core.seen import SeenLead


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of one lead under one rule. `previous` is the last judged score in cents, None without one.

    `open_handoff` is the id of the handoff that must be closed before the rule is armed again.
    """

    armed: bool = True
    previous: int | None = None
    cycle: int = 0
    crossed_at: datetime | None = None
    open_handoff: str | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """The memory after a state, and whether this state raised a new cycle."""

    memory: Memory
    raised: bool


def judge(rule: Rule, memory: Memory, lead: SeenLead, *, closed: bool, silent: bool) -> Judgement:
    """Judge one published state. `closed`: no handoff of the last cycle is open at `lead.evaluated_at`.

    A silent state marks the rule as met without raising a cycle.
    """
    score = lead.score(rule.model)
    armed = memory.armed or _may_arm(rule, memory, lead.evaluated_at, closed)
    met = score is not None and score >= rule.enter and rule.passes(lead)
    if not (met and armed):
        return Judgement(replace(memory, armed=armed, previous=score), raised=False)
    if silent:
        return Judgement(replace(memory, armed=False, previous=score), raised=False)
    raised = replace(
        memory,
        armed=False,
        previous=score,
        cycle=memory.cycle + 1,
        crossed_at=lead.evaluated_at,
        open_handoff=rule.handoff_id(lead.lead_id, memory.cycle + 1),
    )
    return Judgement(raised, raised=True)


def _may_arm(rule: Rule, memory: Memory, now: datetime, closed: bool) -> bool:
    below = memory.previous is None or memory.previous < rule.leave
    cooled = memory.crossed_at is None or now >= memory.crossed_at + rule.cooldown
    return below and cooled and closed


def first_memory(rule: Rule, known_before: int | None) -> Memory:
    """The memory of a rule that sees a lead for the first time.

    `known_before` is the lead's last score in cents from before the rule existed, if it was known then: who was above
    the threshold already is not handed over for the rule's sake.
    """
    if known_before is not None and known_before >= rule.enter:
        return Memory(armed=False, previous=known_before)
    return Memory(previous=known_before)


def union(memories: Iterable[Memory]) -> Memory:
    """The memory of a merged lead: met if any was, the greatest cycle, the later crossing.

    `open_handoff` is left empty: which of several open handoffs stays is decided by their age.
    """
    known = list(memories)
    return Memory(
        armed=all(memory.armed for memory in known),
        previous=max((memory.previous for memory in known if memory.previous is not None), default=None),
        cycle=max(memory.cycle for memory in known),
        crossed_at=max((memory.crossed_at for memory in known if memory.crossed_at), default=None),
    )
