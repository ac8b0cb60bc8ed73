"""The fold: activities in order change a state. One pass, whether the state is new or goes on."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from services.scoring.core.compile import CompiledModel, CompiledRule
from services.scoring.core.objects import object_key, stored_key
from services.scoring.core.state import Entries, Recycling, State
from shared.activity import Activity
from shared.clock import to_micros
from shared.identity import EMAIL

UNPAID = frozenset({"suspected", "scan"})
"""Verdicts under which an activity earns nothing and is not counted."""
VerdictOf = Callable[[Activity], str | None]
DAILY_MAX = "daily_max"
REPEAT = "repeat"
Seen = Sequence[list[tuple[Activity, str | None]]]
"""Per rule in model order the activities that matched it, in fold order, each with what denied it; see `pay`."""
Placed = Iterator[tuple[int, Activity]]
"""Activities with their instants in microseconds, in fold order."""


class Earlier(Protocol):
    """What is left of activities that were removed; see `services.scoring.core.openings`."""

    @property
    def facts(self) -> Sequence[Activity]:
        """What they said about the lead, as activities in fold order that count for nothing else."""
        ...

    def weave(self, model: CompiledModel, state: State, placed: Placed, seen: Seen | None) -> Placed:
        """`placed`; what was removed earns what it earned, in `state`, each before the first that is later."""
        ...


class ActivityFacts:
    """What conditions on an activity may ask about (see shared.conditions.Scope). One is re-used over a whole fold."""

    __slots__ = ("attributes", "email_domain", "properties", "source")

    def __init__(self, attributes: Mapping[str, Any], email_domain: str | None) -> None:
        self.attributes = attributes
        self.email_domain = email_domain
        self.properties: Mapping[str, Any] = {}
        self.source = ""


def new_state(
    model: CompiledModel, *, attributes: Mapping[str, Any] | None = None, recyclings: Sequence[Recycling] = ()
) -> State:
    """The state before the first activity.

    `attributes` hold from the beginning (the first activity's overrule them); `recyclings` are all that are known: a
    new one means a fold from a new state.
    """
    state = State(len(model.rules), recyclings)
    if attributes:
        _merge(model, state, attributes)
    return state


def fold(
    model: CompiledModel,
    state: State,
    activities: Sequence[Activity],
    verdict_of: VerdictOf | None = None,
    seen: Seen | None = None,
    earlier: Earlier | None = None,
) -> State:
    """Fold `activities` into `state`, in place.

    They stand in fold order (occurred_at, id, source), none twice, all after the last one folded. Raises ValueError
    where they do not. When it returns with `needs_refold`, an attribute changed that rules had asked about earlier:
    fold everything again from a new state. What came of each activity is appended to `seen`, for those who want to
    watch. `earlier` is what removed activities left, for a new state alone.
    """
    instants = _place(state, activities)
    _take_facts(model, state, activities if earlier is None else in_order(earlier.facts, activities))
    if not state.needs_refold:
        placed = zip(instants, activities, strict=True)
        woven = placed if earlier is None else earlier.weave(model, state, placed, seen)
        _earn(model, state, woven, verdict_of, seen)
    return state


def in_order(some: Iterable[Activity], others: Iterable[Activity]) -> list[Activity]:
    """Both together in fold order."""
    return sorted([*some, *others], key=lambda activity: activity.order)


def _earn(
    model: CompiledModel,
    state: State,
    placed: Iterable[tuple[int, Activity]],
    verdict_of: VerdictOf | None,
    seen: Seen | None,
) -> None:
    facts, every, plans = ActivityFacts(state.attributes, state.domain), state.entries, model.plans
    day_of = model.calendar.day
    for micros, activity in placed:
        if (activity.flags or verdict_of is not None) and unpaid_verdict(activity, verdict_of):
            continue
        plan = plans.get(activity.type, model.other)
        if plan.did_span is not None:
            count(state, plan.did_span, activity.type, micros)
        if plan.sensitive:
            state.sensitive = True
        facts.properties, facts.source = activity.properties, activity.source
        day = None
        for rule in plan.rules:
            if rule.test is None or rule.test(facts):
                if day is None:
                    day = day_of(micros)
                entries = every[rule.index]
                if entries is None:
                    entries = every[rule.index] = Entries()
                denied = pay(model, state, rule, entries, micros, day, activity)
                if seen is not None:
                    seen[rule.index].append((activity, denied))
        if day is not None and plan.active:
            state.last_active = micros


def unpaid_verdict(activity: Activity, verdict_of: VerdictOf | None = None) -> str | None:
    """The verdict under which this activity earns nothing, None where it may earn."""
    if activity.flags and (found := UNPAID.intersection(activity.flags)):
        return min(found)
    verdict = verdict_of(activity) if verdict_of is not None else None
    return verdict if verdict in UNPAID else None


def _place(state: State, activities: Sequence[Activity]) -> list[int]:
    """Check the order and move `last`; returns the instants of the activities in microseconds."""
    last, instants = state.last, []
    for activity in activities:
        micros = to_micros(activity.occurred_at)
        here = (micros, activity.id, activity.source)
        if last is not None and here <= last:
            raise ValueError("activities must come in fold order, each once, after those already folded")
        last = here
        instants.append(micros)
    state.last = last
    return instants


def _take_facts(model: CompiledModel, state: State, activities: Iterable[Activity]) -> None:
    """Attributes and e-mail domain of all activities, before any of them is judged: rules see them as of the end."""
    for activity in activities:
        if activity.attributes:
            _merge(model, state, activity.attributes)
        if activity.email and state.email_domain is None:
            _take_domain(model, state, activity)


def _merge(model: CompiledModel, state: State, attributes: Mapping[str, Any]) -> None:
    """The last value that is not empty wins."""
    known = state.attributes
    for name in model.attributes:
        value = attributes.get(name)
        if value is None or value == "" or (name in known and _same(known[name], value)):
            continue
        known[name] = value
        state.fit = None
        if state.sensitive and name in model.engagement_attributes:
            state.needs_refold = True


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON; Python alone would take true for 1, so containers are never trusted."""
    kind = type(one)
    return kind is type(other) and kind is not dict and kind is not list and bool(one == other)


def _take_domain(model: CompiledModel, state: State, activity: Activity) -> None:
    """The first own address in fold order names the domain; that of a shared mailbox stands in until there is one."""
    before = state.domain
    domain = (activity.email or "").rpartition("@")[2]
    if activity.identifiers and activity.identifiers[0].kind == EMAIL:
        state.email_domain = domain
    elif state.mailbox_domain is None:
        state.mailbox_domain = domain
    if state.domain != before:
        state.fit = None
        if state.sensitive and model.engagement_domain:
            state.needs_refold = True


def count(state: State, span: int, activity_type: str, micros: int) -> None:
    """Note that this was done, and when as long as it may lie in a span of this length that somebody asks about."""
    counted = state.did.setdefault(activity_type, [0, []])
    counted[0] += 1
    if span:
        _remember(counted[1], micros, span)


def _remember(times: list[int], micros: int, lifetime: int) -> None:
    """Append, and forget what is that old by then."""
    if times and times[0] <= micros - lifetime:
        del times[: bisect_right(times, micros - lifetime)]
    times.append(micros)


def pay(
    model: CompiledModel, state: State, rule: CompiledRule, entries: Entries, micros: int, day: int, activity: Activity
) -> str | None:
    """Pay the activity, of that instant and local day, if neither the repeat policy nor the daily maximum denies it;
    returns which of them did.

    Rules with cells count every one.
    """
    if rule.cells:
        _remember(entries.times, micros, rule.lifetime)
        return None
    repeat, key = rule.repeat, ""
    if repeat.by_object:
        key = stored_key(object_key(activity.type, activity.properties))
        if key in entries.keys:
            return REPEAT
    elif repeat.limit and len(entries.recent) >= repeat.limit and entries.recent[0] > micros - repeat.span:
        return REPEAT
    if day == entries.day and entries.today < model.daily_max:
        entries.today += 1
    elif not _has_room(entries, day, model.daily_max):
        return DAILY_MAX
    entries.count += 1
    if repeat.by_object:
        entries.keys[key] = None
    elif repeat.limit:
        entries.recent.append(micros)
        if len(entries.recent) > repeat.limit:
            del entries.recent[0]
    if rule.keeps_times:
        _remember(entries.times, micros, rule.lifetime)
    elif state.recyclings:
        entries.times.append(micros)
    return None


def _has_room(entries: Entries, day: int, daily_max: int) -> bool:
    """Count a payment on this local day, unless there are too many already."""
    if day > entries.day:
        entries.yesterday = entries.today if day == entries.day + 1 else 0
        entries.day, entries.today = day, 0
    if day == entries.day:
        if entries.today >= daily_max:
            return False
        entries.today += 1
        return True
    if entries.yesterday >= daily_max:
        return False
    entries.yesterday += 1
    return True
