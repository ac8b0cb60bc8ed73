"""When a lead crosses a rule: judged on its published states, in order.

Source: SCORING, section "Crossing". A rule is *armed* until it raises; it is armed again once the score lay below
`leave` while the cooldown was over and the handoff closed.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from services.handoff.core.rules import Rule
from services.handoff.core.state import LeadState


@dataclass(frozen=True, slots=True)
class RuleMemory:
    """What is remembered of one lead under one rule.

    `version` is the state it was last judged with, `score` (cents, None: not scored) the score of that state, `cycle`
    the last one raised and `crossed_at` when; `handoff` is the one that may still be open.
    """

    armed: bool = True
    cycle: int = 0
    crossed_at: datetime | None = None
    score: int | None = None
    handoff: str | None = None
    version: int = 0


@dataclass(frozen=True, slots=True)
class Crossing:
    """A rule was raised: the cycle's number, when, and under which model."""

    cycle: int
    crossed_at: datetime
    model: str


def judge(
    rule: Rule, memory: RuleMemory, state: LeadState, *, closed: bool, silent: bool
) -> tuple[RuleMemory, Crossing | None]:
    """Judge one state, which is later than all judged before. Pure.

    `closed`: whether the handoff of the last cycle is closed at `state.evaluated_at`; true where there is none.
    `silent`: a crossing is marked as met, but raises nothing. A state without the rule's model is not judged.
    """
    name = state.model_name(rule.model)
    if name is None:
        return memory, None
    model = state.models[name]
    at = state.evaluated_at
    armed = memory.armed or _armed_again(rule, memory, at, closed=closed)
    met = model.cents is not None and model.cents >= rule.enter and rule.gate(state, model)
    judged = replace(
        memory,
        armed=armed and not met,
        score=model.cents,
        version=state.version,
        handoff=None if closed else memory.handoff,
    )
    if not (met and armed) or silent:
        return judged, None
    crossing = Crossing(memory.cycle + 1, at, name)
    return replace(judged, cycle=crossing.cycle, crossed_at=at), crossing


def _armed_again(rule: Rule, memory: RuleMemory, at: datetime, *, closed: bool) -> bool:
    """The previous score counts: it held until `at`, while cooldown and handoff may have ended."""
    below = memory.score is None or memory.score < rule.leave
    cool = memory.crossed_at is None or at >= memory.crossed_at + rule.cooldown
    return below and cool and closed


def union(survivor: RuleMemory, merged: RuleMemory) -> RuleMemory:
    """What the survivor of a merge remembers; which handoff stays is decided by who knows the handoffs."""
    return replace(
        survivor,
        armed=survivor.armed and merged.armed,
        cycle=max(survivor.cycle, merged.cycle),
        crossed_at=_later(survivor.crossed_at, merged.crossed_at),
        # A rule that one part still fulfils has not been left, whatever the score of the other part was.
        score=_greater(survivor.score, merged.score),
    )


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(one, other) if one and other else one or other


def _greater(one: int | None, other: int | None) -> int | None:
    return max(one, other) if one is not None and other is not None else one if other is None else other
