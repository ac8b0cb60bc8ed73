"""Opening entries: what activities that were removed for their age leave behind, so that no score changes by it.

An opening holds, of the removed activities of one identifier, what they earned under each rule (instants and objects,
as repeat policies, decay and recycling go on from there), what stages may still count, and what they said about the
lead. Folding starts with the openings; an activity that is told late takes its place among them.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Any, NamedTuple

from services.scoring.core.compile import CompiledModel, CompiledRule
from services.scoring.core.consent import Profiling
from services.scoring.core.entries import Entry
from services.scoring.core.fold import ActivityFacts, Placed, Seen, count, pay
from services.scoring.core.resolution import Order
from services.scoring.core.state import Entries, State
from services.scoring.core.verdicts import Hit
from shared.activity import Activity
from shared.clock import from_micros
from shared.identity import Identifier

OPENING = "opening"
REMOVED = ""
"""The type of what stands for a removed activity; no other has an empty one."""
BOTH, WHOLE, PART = 0, 1, 2
"""Earned whether or not the lead stands together with those it stood with at the cut; only with them; only without."""
Agreed = Sequence[tuple[datetime, bool]]
"""A lead's words about profiling, the earliest first."""


@dataclass(frozen=True, slots=True)
class Run:
    """What removed activities with the same answers to a rule's conditions earned: instants and objects, in order.

    `held` tells whether the rule matched them when they were removed; without answers it does so for good.
    """

    answers: str | None
    held: bool
    stands: int
    instants: Sequence[int]
    objects: Sequence[str]


class Counted(NamedTuple):
    """What was counted of removed activities: the place of the last one, and per type how many, and when."""

    last: tuple[int, str, str] | None
    types: Mapping[str, tuple[int, Sequence[int]]]


class Opening:
    """One opening entry, ready to be folded."""

    def __init__(self, entry: Entry) -> None:
        self.id, self.anchor, self.until, self._body = entry.id, entry.anchor, entry.at, entry.body
        self.removed: int = self._body["removed"]
        self.first, self.last = _order(self._body["first"]), _order(self._body["last"])
        self.beside = frozenset(self._body["beside"])
        self.trail = [Hit.decode(raw) for raw in self._body.get("trail", ())]
        self.counted = _counted(self._body["counted"])
        self.agreed = _counted(self._body["agreed"]) if "agreed" in self._body else self.counted

    @property
    def facts(self) -> Iterator[Activity]:
        """What the removed activities said about the lead and nobody has said anew; each names whom it was about."""
        for micros, id_, source, names, said in self._body["facts"]:
            yield Activity(
                id_,
                source,
                REMOVED,
                from_micros(micros),
                None,
                tuple(Identifier(*name) for name in names),
                said.get("email"),
                said.get("attributes", {}),
                {},
                said.get("consent"),
                (),
                said.get("phone"),
            )

    @property
    def recorded(self) -> Mapping[tuple[str, str], str]:
        """When what was said about consent was stored, by source and id of the activity that brought it."""
        return {
            (source, id_): said["recorded_at"]
            for _, id_, source, _, said in self._body["facts"]
            if "recorded_at" in said
        }

    def runs(self, model: str, rule: CompiledRule) -> Iterator[Run]:
        """What was earned under a rule of a model, by their names. Where the rule matches otherwise now, or pays by
        another policy, what it had matched then is taken as matched for good.
        """
        variants = self._body["models"].get(model, {}).get(rule.id, ())
        same = [one for one in variants if one["pays"] == rule.pays]
        for variant in same or variants[:1]:
            for run in variant["runs"]:
                instants = list(accumulate(run["at"]))
                objects = [self._body["objects"][index] for index in run["of"]] if "of" in run else [""] * len(instants)
                if same:
                    yield Run(run["answers"], run["held"], run["stands"], instants, objects)
                elif run["held"]:
                    yield Run(None, True, run["stands"], instants, objects)

    def active(self, model: str, rule: CompiledRule) -> Iterator[tuple[str | None, int]]:
        """By the answers to a rule's conditions, the last sign of life with such ones."""
        variants = self._body["models"].get(model, {}).get(rule.id, ())
        same = [one for one in variants if one["pays"] == rule.pays]
        for variant in same or variants[:1]:
            for answers, held, micros in variant["active"]:
                if same:
                    yield answers, micros
                elif held:
                    yield None, micros


class Openings:
    """All openings of a lead."""

    def __init__(self, openings: Sequence[Opening]) -> None:
        self.all = openings
        self.ids = frozenset(one.id for one in openings)
        self.until: datetime = max(one.until for one in openings)
        self.removed = sum(one.removed for one in openings)
        self.first: Order = min(one.first for one in openings)
        self.last: Order = max(one.last for one in openings)
        self.facts = sorted((fact for one in openings for fact in one.facts), key=lambda fact: fact.order)

    @property
    def trail(self) -> list[Hit]:
        """The last hits before the cut, in fold order, for the judgement on those after it."""
        hits: dict[tuple[str, str], Hit] = {}
        for hit in (hit for one in self.all for hit in one.trail):
            hits.setdefault(hit.key, hit).reasons.update(hit.reasons)
        return sorted(hits.values(), key=lambda hit: (hit.at, hit.id, hit.source))

    def only(self, anchor: str) -> "Openings | None":
        """Those of one identifier."""
        own = [one for one in self.all if one.anchor == anchor]
        return Openings(own) if own else None

    def under(self, model: CompiledModel, agreed: Agreed) -> "Before":
        """As a model sees them, by the lead's words about profiling."""
        return Before(self, model, agreed)

    def stands(self, opening: Opening) -> Collection[int]:
        """Which of its runs count: those of the lead as it was at the cut, or those of this part of it alone."""
        return (BOTH, WHOLE) if opening.beside <= self.ids else (BOTH, PART)


def openings_of(entries: Collection[Entry]) -> Openings | None:
    """The openings among a lead's entries; None for the lead of which nothing was removed."""
    found = [entry for entry in entries if entry.kind == OPENING]
    if not found:
        return None
    return Openings([Opening(one) for one in sorted(found, key=lambda one: (one.at, one.anchor, one.id))])


def facts_of(entries: Iterable[Entry]) -> list[Activity]:
    """What stands for removed activities where leads are resolved: who was named together, and since when."""
    return [fact for entry in entries if entry.kind == OPENING for fact in Opening(entry).facts]


class Earned(NamedTuple):
    """One thing that a removed activity earned under a rule, or may again once the lead's attributes change."""

    micros: int
    answers: str | None
    activity: Activity


class Before:
    """The openings of a lead as one model sees them; see `services.scoring.core.fold.Earlier`."""

    def __init__(self, openings: Openings, model: CompiledModel, agreed: Agreed) -> None:
        self._openings, self._name = openings, model.model.model
        self._agreed = agreed if model.model.needs_consent else None
        self._allows = _allowing(self._agreed)
        self._facts = [fact for fact in openings.facts if self._allows(fact.occurred_at)]

    @property
    def facts(self) -> Sequence[Activity]:
        """See Earlier."""
        return self._facts

    def weave(self, model: CompiledModel, state: State, placed: Placed, seen: Seen | None) -> Placed:
        """See Earlier."""
        steps, facts = self._counts(model, state), ActivityFacts(state.attributes, state.domain)
        for rule in model.rules:
            for earned in self.earned(rule):
                if _matches(rule, earned.answers, facts):
                    steps.append((earned.micros, rule, earned.activity))
        steps.sort(key=lambda step: step[0])
        number = 0
        for micros, activity in placed:
            while number < len(steps) and steps[number][0] <= micros:
                _take(model, state, steps[number], seen)
                number += 1
            yield micros, activity
        for step in steps[number:]:
            _take(model, state, step, seen)
        active = max(self._signs_of_life(model, facts), default=None)
        if active is not None and (state.last_active is None or state.last_active < active):
            state.last_active = active

    def earned(self, rule: CompiledRule) -> list[Earned]:
        """What was earned under a rule, in order; under one that asks about the lead, also what may be yet."""
        found: list[Earned] = []
        for opening in self._openings.all:
            stands = self._openings.stands(opening)
            for run in opening.runs(self._name, rule):
                if run.stands in stands:
                    found += self._of_run(run, f"{opening.id} {run.answers} {run.stands}")
        found.sort(key=lambda one: one.micros)
        return found

    def _of_run(self, run: Run, name: str) -> Iterator[Earned]:
        for number, (micros, key) in enumerate(zip(run.instants, run.objects, strict=True)):
            at = from_micros(micros)
            if self._allows(at):
                yield Earned(micros, run.answers, _earner(f"{name} {number}", at, key))

    def _counts(self, model: CompiledModel, state: State) -> list["_Step"]:
        """Count what nobody needs to know the instant of; the rest is to be counted in its turn."""
        steps: list[_Step] = []
        for opening in self._openings.all:
            counted = self._counted(opening)
            if counted.last is not None and (state.last is None or state.last < counted.last):
                state.last = counted.last
            for type_, (many, instants) in counted.types.items():
                plan = model.plan(type_)
                state.sensitive = state.sensitive or plan.sensitive
                if plan.did_span is not None:
                    state.did.setdefault(type_, [0, []])[0] += many - len(instants)
                    steps += [(micros, None, type_) for micros in instants]
        return steps

    def _counted(self, opening: Opening) -> Counted:
        if self._agreed is None:
            return opening.counted
        if not self._agreed:
            return Counted(None, {})
        return opening.agreed

    def _signs_of_life(self, model: CompiledModel, facts: ActivityFacts) -> Iterator[int]:
        for rule in model.rules:
            for opening in self._openings.all:
                for answers, micros in opening.active(self._name, rule):
                    if _matches(rule, answers, facts) and self._allows(from_micros(micros)):
                        yield micros


_Step = tuple[int, CompiledRule | None, Any]
"""At an instant, something earned under a rule, or an activity of a type that is counted."""


def _take(model: CompiledModel, state: State, step: _Step, seen: Seen | None) -> None:
    micros, rule, what = step
    if rule is None:
        span = model.plan(what).did_span
        assert span is not None
        count(state, span, what, micros)
        return
    entries = state.entries[rule.index]
    if entries is None:
        entries = state.entries[rule.index] = Entries()
    denied = pay(model, state, rule, entries, micros, model.calendar.day(micros), what)
    if seen is not None:
        seen[rule.index].append((what, denied))


def _matches(rule: CompiledRule, answers: str | None, facts: ActivityFacts) -> bool:
    return rule.sides is None or answers is None or rule.sides.hold(answers, facts)


def _allowing(agreed: Agreed | None) -> Callable[[datetime], bool]:
    return (lambda _: True) if agreed is None else Profiling(agreed).allows


def _earner(name: str, at: datetime, key: str) -> Activity:
    """What stands for a removed activity where it earns: it is about the same thing."""
    return Activity(name, "", REMOVED, at, None, (), None, {}, {"object_key": key}, None, ())


def _counted(raw: Mapping[str, Any]) -> Counted:
    last = raw["last"]
    return Counted(
        None if last is None else (last[0], last[1], last[2]),
        {type_: (many, list(accumulate(deltas))) for type_, (many, deltas) in raw["types"].items()},
    )


def _order(raw: Sequence[Any]) -> Order:
    return (from_micros(raw[0]), raw[1], raw[2])
