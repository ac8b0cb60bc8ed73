"""When a lead crosses a rule: judged on its published states, in order.

Source: SCORING, section "Crossing". A rule is *armed* until it raises; it is armed again once the score lay below
`leave` while the cooldown was over and the handoff closed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType

from services.handoff.core.rules import Rule
from services.handoff.core.state import LeadState, ModelState
from services.handoff.core.triggers import Instant, Low, instants, lows, used

NOTHING_STANDS: Mapping[str, str] = MappingProxyType({})
MAIL_CLICK = "email_clicked"
SAME_FORECAST = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class RuleMemory:
    """What is remembered of one lead under one rule.

    `version` is the state it was last judged with, `score` (cents, None: not scored) the score of that state, `cycle`
    the last one raised and `crossed_at` when; `handoff` is the one that may still be open, `ended` where the last one
    stood when it was closed. `hot`: the rule was met by its score, which has not fallen below `leave` since. `noted_at`
    is the last silent state. A crossing that waits for the verdict on a mail click was met at `settling_since`; the
    clock of whoever waits for it ends at `settle_due`. That the lead will cool is to be told at `cooling_due`; the last
    one that was told was due at `cooling_told`.
    """

    armed: bool = True
    cycle: int = 0
    crossed_at: datetime | None = None
    score: int | None = None
    handoff: str | None = None
    version: int = 0
    ended: str | None = None
    hot: bool = False
    noted_at: datetime | None = None
    settling_since: datetime | None = None
    settle_due: datetime | None = None
    instants: tuple[Instant, ...] = ()
    lows: tuple[Low, ...] = ()
    cooling_due: datetime | None = None
    cooling_told: datetime | None = None


@dataclass(frozen=True, slots=True)
class Crossing:
    """A rule was raised: the cycle's number, when, and under which model."""

    cycle: int
    crossed_at: datetime
    model: str


def judge(
    rule: Rule,
    memory: RuleMemory,
    state: LeadState,
    *,
    closed: bool,
    silent: bool,
    settled: bool = False,
    standing: Mapping[str, str] = NOTHING_STANDS,
) -> tuple[RuleMemory, Crossing | None]:
    """Judge one state, which is later than all judged before, or the last one again. Pure; any key will do for the
    lead's.

    `closed`: whether the handoff of the last cycle is closed at `state.evaluated_at`; true where there is none.
    `silent`: a crossing is marked as met, but raises nothing. `settled`: a crossing by a mail click has waited enough.
    `standing`: where the latest handoff of each other rule stands. A state without the rule's model is not judged.
    """
    name = state.model_name(rule.model)
    if name is None:
        return memory, None
    model, at = state.models[name], state.evaluated_at
    armed = memory.armed or _armed_again(rule, memory, at, closed=closed)
    judged = _triggers(rule, memory, state, model.cents, silent=silent)
    met = _met(rule, judged, state, model, standing)
    waits = met and armed and not silent and not settled and _waits(rule, memory, state)
    hot = _hot(rule, memory, model.cents, met=met)
    cooling_due, cooling_told = cooling(rule, memory, state, model if hot else None, silent=silent)
    judged = replace(
        judged,
        armed=armed and (waits or not met),
        score=model.cents,
        version=state.version,
        handoff=None if closed else memory.handoff,
        hot=hot,
        settling_since=(memory.settling_since or at) if waits else None,
        settle_due=memory.settle_due if waits else None,
        cooling_due=cooling_due,
        cooling_told=cooling_told,
    )
    if not (met and armed) or silent or waits:
        return judged, None
    crossing = Crossing(memory.cycle + 1, memory.settling_since or at, name)
    raised = replace(
        judged,
        cycle=crossing.cycle,
        crossed_at=crossing.crossed_at,
        ended=None,
        instants=used(judged.instants),
        lows=judged.lows[-1:],
    )
    return raised, crossing


def _armed_again(rule: Rule, memory: RuleMemory, at: datetime, *, closed: bool) -> bool:
    """The previous score counts: it held until `at`, while cooldown and handoff may have ended."""
    below = memory.score is None or memory.score < rule.leave
    cool = memory.crossed_at is None or at >= memory.crossed_at + rule.cooldown
    return below and cool and closed


def _met(rule: Rule, memory: RuleMemory, state: LeadState, model: ModelState, standing: Mapping[str, str]) -> bool:
    """Instant qualifiers and rises stand for the score, never for the gates; an excluded lead meets nothing."""
    if model.cents is None:
        return False
    if not (model.cents >= rule.enter or _qualifies_at_once(memory) or _has_risen(rule, memory, model.cents)):
        return False
    if rule.after is not None and standing.get(rule.after.rule) not in rule.after.state:
        return False
    return rule.gate(state, model)


def _qualifies_at_once(memory: RuleMemory) -> bool:
    noted = memory.noted_at
    return any(not one.used and (noted is None or one.occurred_at > noted) for one in memory.instants)


def _has_risen(rule: Rule, memory: RuleMemory, cents: int) -> bool:
    return rule.increase is not None and bool(memory.lows) and cents - memory.lows[0][1] >= rule.increase.points


def _triggers(rule: Rule, memory: RuleMemory, state: LeadState, cents: int | None, *, silent: bool) -> RuleMemory:
    """The memory with what this state says of instant qualifiers and rises. A new lead rises from nothing."""
    at = state.evaluated_at
    if silent:
        memory = replace(memory, noted_at=at, lows=())
    if rule.instant:
        memory = replace(memory, instants=instants(memory.instants, rule.instant, state, rule.cooldown))
    if rule.increase is not None:
        begin = ((at, 0),) if memory.version == 0 and not silent else memory.lows
        kept = () if cents is None else lows(begin, at, cents, rule.increase.within)
        memory = replace(memory, lows=kept)
    return memory


def _waits(rule: Rule, memory: RuleMemory, state: LeadState) -> bool:
    """Whether the verdict on a burst of clicks may still come."""
    if memory.settling_since is not None:
        return state.evaluated_at < memory.settling_since + rule.settle
    latest = next(iter(state.recent_activities), {})
    return bool(rule.settle) and latest.get("type") == MAIL_CLICK


def _hot(rule: Rule, memory: RuleMemory, cents: int | None, *, met: bool) -> bool:
    """Of a rule that its gates, or an instant qualifier alone, decided about, a falling score tells nobody anything."""
    return cents is not None and ((met and cents >= rule.enter) or (memory.hot and cents >= rule.leave))


def cooling(
    rule: Rule, memory: RuleMemory, state: LeadState, hot: ModelState | None, *, silent: bool
) -> tuple[datetime | None, datetime | None]:
    """When it is to be told that the lead will cool, and what was told already: once, until something raises the lead
    out of the span `cools_within` and it cools again. A silent state that lies in the span tells nothing.

    `hot` is the lead's standing if it is hot. The same forecast published again differs by nothing that counts.
    """
    falls = hot.falls_below(rule.leave) if hot is not None and rule.cools_within is not None else None
    if falls is None or rule.cools_within is None:
        return None, None
    due, told = falls - rule.cools_within, memory.cooling_told
    if told is not None and due <= max(told, state.evaluated_at) + SAME_FORECAST:
        return None, told
    if silent and due <= state.evaluated_at:
        return None, due
    return due, None


def union(survivor: RuleMemory, merged: RuleMemory) -> RuleMemory:
    """What the survivor of a merge remembers; which handoff stays is decided by who knows the handoffs.

    A crossing that waits goes on waiting. Points that come together by a merge are no rise.
    """
    waiting = [one for one in (survivor, merged) if one.settling_since is not None]
    return replace(
        survivor,
        armed=survivor.armed and merged.armed,
        cycle=max(survivor.cycle, merged.cycle),
        crossed_at=_later(survivor.crossed_at, merged.crossed_at),
        # A rule that one part still fulfils has not been left, whatever the score of the other part was.
        score=_greater(survivor.score, merged.score),
        ended=survivor.ended if survivor.cycle >= merged.cycle else merged.ended,
        hot=survivor.hot or merged.hot,
        noted_at=_later(survivor.noted_at, merged.noted_at),
        settling_since=min((one.settling_since for one in waiting if one.settling_since), default=None),
        settle_due=min((one.settle_due for one in waiting if one.settle_due), default=None),
        instants=tuple(sorted({*survivor.instants, *merged.instants}, key=lambda one: (one.used, one))),
        lows=(),
        cooling_told=_later(survivor.cooling_told, merged.cooling_told),
    )


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(one, other) if one and other else one or other


def _greater(one: int | None, other: int | None) -> int | None:
    return max(one, other) if one is not None and other is not None else one if other is None else other
