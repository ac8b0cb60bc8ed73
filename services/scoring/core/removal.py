"""Removing old activities of a lead: what has to be left of them as opening entries.

Everything is worked out twice: for the lead as it stands, and for each of its identifiers alone, because a merge may be
undone. Where both come to the same, as they nearly always do, it is stored once.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

from services.scoring.core.compile import CompiledModel, CompiledRule, TypePlan
from services.scoring.core.consent import PROFILING, Profiling, history_of
from services.scoring.core.entries import Entry
from services.scoring.core.fold import ActivityFacts, fold, in_order, new_state, pay, unpaid_verdict
from services.scoring.core.lead import Models, counted
from services.scoring.core.objects import object_key, stored_key
from services.scoring.core.openings import BOTH, OPENING, PART, WHOLE, Agreed, Earned, Openings, openings_of
from services.scoring.core.state import Entries, State
from services.scoring.core.verdicts import NETWORKS_WITHIN, Judgement, hits_of, judge
from shared.activity import Activity
from shared.clock import to_micros, to_rfc3339
from shared.identity import EMAIL, Identifier

Key = tuple[str, str]
AnchorOf = Callable[[Identifier], str]
SPARE = 100
"""So many instants of each type, the newest, are kept although no model asks for them: a later one may."""


@dataclass(frozen=True, slots=True)
class StoredLead:
    """All that is stored of a lead; `recorded` tells by source and id when an activity was stored."""

    activities: Sequence[Activity]
    entries: Sequence[Entry]
    recorded: Mapping[Key, datetime]


def open_lead(
    models: Models, lead: StoredLead, gone: Collection[Key], cut: datetime, now: datetime, anchor_of: AnchorOf
) -> list[Entry]:
    """The openings that take the place of the activities `gone`, one for each identifier that they belong to.

    With these among its entries, the lead folded from the activities that are left is what it was.
    """
    due = sorted((one for one in lead.activities if one.occurred_at <= now), key=lambda one: one.order)
    work = _Work(models, lead, due, openings_of(lead.entries), frozenset(gone), anchor_of)
    removed: dict[str, list[Activity]] = defaultdict(list)
    for activity in due:
        if (activity.source, activity.id) in work.gone:
            removed[work.anchor_of(activity.identifiers[0])].append(activity)
    taken = {entry.id for entry in lead.entries if entry.kind == OPENING}
    ids = {anchor: _free(f"{anchor}/{cut:%Y-%m-%d}", taken) for anchor in removed}
    earned = work.earned(list(removed))
    trail = _trail(work, removed, cut)
    beside = sorted({*taken, *ids.values()})
    return [
        Entry(
            OPENING, ids[anchor], anchor, cut,
            _body(work, activities, earned[anchor]) | {"beside": beside, "trail": trail[anchor]},
        )
        for anchor, activities in sorted(removed.items())
    ]  # fmt: skip


def _free(wanted: str, taken: Collection[str]) -> str:
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}/{number}"
    return name


@dataclass(slots=True)
class _Work:
    """A lead on its way, and what is asked of it again and again."""

    models: Models
    lead: StoredLead
    due: Sequence[Activity]
    opened: Openings | None
    gone: frozenset[Key]
    anchor_of: AnchorOf
    judgement: Judgement = field(init=False)
    agreed: Agreed = field(init=False)

    def __post_init__(self) -> None:
        self.judgement = judge(self.due, self.opened.trail if self.opened else ())
        told = in_order(self.opened.facts, self.due) if self.opened else self.due
        self.agreed = [(word.at, word.granted) for word in history_of(told) if word.purpose == PROFILING]

    def is_paid(self, activity: Activity) -> bool:
        """Whether a person did it, as far as anybody knows."""
        return unpaid_verdict(activity, self.judgement.verdict_of) is None

    def earned(self, anchors: Sequence[str]) -> dict[str, dict[str, dict[str, list[dict[str, Any]]]]]:
        """By anchor, model and rule, what is stored: one variant for all versions that pay the same activities."""
        found: dict[str, dict[str, dict[str, list[dict[str, Any]]]]] = {anchor: {} for anchor in anchors}
        for model in self.models.all:
            candidates = self._candidates(model.compiled)
            facts = self._facts(model.compiled)
            for rule in model.compiled.rules:
                payments = _Payments(self, model.compiled, rule, candidates[rule.index])
                for anchor in anchors:
                    variants = found[anchor].setdefault(model.name, {}).setdefault(rule.id, [])
                    if all(one["pays"] != rule.pays for one in variants):
                        variants.append(payments.of(anchor, facts))
        return found

    def _facts(self, model: CompiledModel) -> ActivityFacts:
        """The lead as conditions see it now."""
        earlier = self.opened.under(model, self.agreed) if self.opened else None
        state = fold(model, new_state(model), counted(model, self.agreed, self.due), earlier=earlier)
        return ActivityFacts(state.attributes, state.domain)

    def _candidates(self, model: CompiledModel) -> list[list["_Candidate"]]:
        """Per rule, the activities that match it, or may once the lead's attributes change."""
        found: list[list[_Candidate]] = [[] for _ in model.rules]
        facts = ActivityFacts({}, None)
        for activity in counted(model, self.agreed, self.due):
            if not self.is_paid(activity):
                continue
            plan = model.plan(activity.type)
            facts.properties, facts.source = activity.properties, activity.source
            for rule in plan.rules:
                if (answers := _answers(rule, facts)) is not None:
                    found[rule.index].append(self._candidate(activity, answers, plan))
        return found

    def _candidate(self, activity: Activity, answers: str, plan: TypePlan) -> "_Candidate":
        gone = (activity.source, activity.id) in self.gone
        anchor = self.anchor_of(activity.identifiers[0])
        return _Candidate(to_micros(activity.occurred_at), answers, activity, anchor, gone, plan.active)


def _answers(rule: CompiledRule, facts: ActivityFacts) -> str | None:
    """What the activity answers; None where it can never match."""
    if rule.sides is None:
        return "" if rule.test is None or rule.test(facts) else None
    answers = rule.sides.answers(facts)
    return answers if rule.sides.possible(answers) else None


@dataclass(slots=True)
class _Candidate:
    micros: int
    answers: str
    activity: Activity
    anchor: str
    gone: bool
    active: bool


_Marked = tuple[_Candidate, int]
"""What is to be kept, and whether it stands for the whole lead, for the part alone, or for both."""


class _Payments:
    """What one rule of one model has paid."""

    def __init__(self, work: _Work, model: CompiledModel, rule: CompiledRule, candidates: list[_Candidate]) -> None:
        self._work, self._model, self._rule, self._candidates = work, model, rule, candidates
        self._whole = self._paid(candidates, work.opened)

    def of(self, anchor: str, facts: ActivityFacts) -> dict[str, Any]:
        """The variant of this rule in the opening of one identifier."""
        own = [one for one in self._candidates if one.anchor == anchor]
        runs: dict[tuple[str, int], list[_Candidate]] = defaultdict(list)
        for candidate, stands in self._kept(anchor, own):
            runs[candidate.answers, stands].append(candidate)
        active = {one.answers: one.micros for one in own if one.gone and one.active}
        sides = self._rule.sides
        return {
            "pays": self._rule.pays,
            "runs": [
                {"answers": answers, "held": sides is None or sides.hold(answers, facts), "stands": stands, "of": some}
                for (answers, stands), some in runs.items()
            ],
            "active": [
                [answers, sides is None or sides.hold(answers, facts), micros] for answers, micros in active.items()
            ],
        }

    def _kept(self, anchor: str, own: list[_Candidate]) -> Iterator[_Marked]:
        if self._rule.cells:
            yield from ((one, BOTH) for one in _newest(own, self._rule.lifetime))
            return
        if self._whole is None:
            yield from ((one, BOTH) for one in own if one.gone)
            return
        alone = self._whole
        if len(own) < len(self._candidates) or self._others(anchor):
            paid = self._paid(own, self._work.opened.only(anchor) if self._work.opened else None)
            alone = set(map(id, own)) if paid is None else paid
        for one in own:
            place = id(one)
            if one.gone and (place in self._whole or place in alone):
                both = place in self._whole and place in alone
                yield one, BOTH if both else WHOLE if place in self._whole else PART

    def _others(self, anchor: str) -> bool:
        return self._work.opened is not None and any(one.anchor != anchor for one in self._work.opened.all)

    def _paid(self, candidates: Iterable[_Candidate], opened: Openings | None) -> set[int] | None:
        """Those that are paid wherever the rule matches; None where, by the lead's attributes, it may match some of
        them and not others, so that each of them may be paid yet.
        """
        if self._rule.cells:
            return None
        earned = opened.under(self._model, self._work.agreed).earned(self._rule) if opened else []
        steps: list[Earned | _Candidate] = sorted([*earned, *candidates], key=lambda one: one.micros)
        if len({one.answers for one in steps}) > 1:
            return None
        state, entries, paid = State(0), Entries(), set[int]()
        day_of = self._model.calendar.day
        for step in steps:
            denied = pay(self._model, state, self._rule, entries, step.micros, day_of(step.micros), step.activity)
            if denied is None and isinstance(step, _Candidate):
                paid.add(id(step))
        return paid


def _newest(own: list[_Candidate], span: int) -> Iterator[_Candidate]:
    """Of the removed ones those that cells may still count, and some more; per answers."""
    of: dict[str, list[_Candidate]] = defaultdict(list)
    for one in own:
        if one.gone:
            of[one.answers].append(one)
    for some in of.values():
        yield from some[_spared([one.micros for one in some], span) :]


def _spared(instants: Sequence[int], span: int) -> int:
    """How many of the first are not needed."""
    within = next(place for place, micros in enumerate(instants) if micros > instants[-1] - max(span, 1))
    return min(within, max(len(instants) - SPARE, 0))


def _body(work: _Work, removed: Sequence[Activity], earned: Mapping[str, Any]) -> dict[str, Any]:
    allows = Profiling(work.agreed).allows
    agreed = [one for one in removed if work.agreed and allows(one.occurred_at)]
    objects: dict[str, int] = {}
    body = {
        "removed": len(removed),
        "first": _place(removed[0]),
        "last": _place(removed[-1]),
        "counted": _counted(work, removed),
        "facts": _facts(work, removed, agreed),
        "models": {
            name: {
                rule: [_written(one, objects) for one in variants]
                for rule, variants in rules.items()
                if any(one["runs"] or one["active"] for one in variants)
            }
            for name, rules in earned.items()
        },
    }
    if len(agreed) < len(removed):
        body["agreed"] = _counted(work, agreed)
    return {**body, "objects": list(objects)}


def _written(variant: Mapping[str, Any], objects: dict[str, int]) -> dict[str, Any]:
    """As JSON; instants as the steps between them."""
    return {**variant, "runs": [_run(run, objects) for run in variant["runs"]]}


def _run(run: Mapping[str, Any], objects: dict[str, int]) -> dict[str, Any]:
    some: Sequence[_Candidate] = run["of"]
    keys = [stored_key(object_key(one.activity.type, one.activity.properties)) for one in some]
    written = {**run, "at": _steps([one.micros for one in some])}
    written["of"] = [objects.setdefault(key, len(objects)) for key in keys]
    return written


def _steps(instants: Sequence[int]) -> list[int]:
    return [*instants[:1], *(later - earlier for earlier, later in pairwise(instants))]


def _counted(work: _Work, removed: Sequence[Activity]) -> dict[str, Any]:
    """What stages may count of these activities, and where the last one stood."""
    of: dict[str, list[int]] = defaultdict(list)
    for activity in removed:
        if work.is_paid(activity):
            of[activity.type].append(to_micros(activity.occurred_at))
    spans = {name: max([model.compiled.plan(name).did_span or 0 for model in work.models.all]) for name in of}
    return {
        "last": _place(removed[-1]) if removed else None,
        "types": {
            name: [len(instants), _steps(instants[_spared(instants, spans[name]) :])] for name, instants in of.items()
        },
    }


def _place(activity: Activity) -> list[Any]:
    return [to_micros(activity.occurred_at), activity.id, activity.source]


def _facts(work: _Work, removed: Sequence[Activity], agreed: Sequence[Activity]) -> list[list[Any]]:
    """What these activities say about the lead, without what later ones of them say anew."""
    said: dict[Key, dict[str, Any]] = defaultdict(dict)
    for some in (removed, agreed) if len(agreed) < len(removed) else (removed,):
        _note_latest(some, said)
    seen: set[tuple[Identifier, ...]] = set()
    for activity in removed:
        key = (activity.source, activity.id)
        if activity.identifiers not in seen:
            seen.add(activity.identifiers)
            said.setdefault(key, {})  # who goes with whom is told by the first activity that names them together
        if activity.consent:
            said[key] |= {"consent": activity.consent, "recorded_at": to_rfc3339(work.lead.recorded[key])}
    return [
        [*_place(one), [list(name) for name in one.identifiers], said[one.source, one.id]]
        for one in removed
        if (one.source, one.id) in said
    ]


def _note_latest(activities: Sequence[Activity], said: dict[Key, dict[str, Any]]) -> None:
    latest: dict[str, tuple[Activity, Any]] = {}
    for activity in activities:
        for name, value in activity.attributes.items():
            if value is not None and value != "":
                latest[name] = (activity, value)
    for name, (activity, value) in latest.items():
        said[activity.source, activity.id].setdefault("attributes", {})[name] = value
    if with_phone := [one for one in activities if one.phone]:
        said[with_phone[-1].source, with_phone[-1].id]["phone"] = with_phone[-1].phone
    with_email = [one for one in activities if one.email]
    own = [one for one in with_email if one.identifiers[0].kind == EMAIL]
    shared = [one for one in with_email if one.identifiers[0].kind != EMAIL]
    # The last address is shown; the first own one, else the first of a shared mailbox, names the domain.
    for one in (*with_email[-1:], *own[:1], *shared[:1]):
        said[one.source, one.id]["email"] = one.email


def _trail(work: _Work, removed: Mapping[str, Sequence[Activity]], cut: datetime) -> dict[str, list[list[Any]]]:
    """By anchor, the hits that the judgement on others may need: just before the cut, or beside what is left."""
    anchor_of = {(one.source, one.id): anchor for anchor, some in removed.items() for one in some}
    found: dict[str, list[list[Any]]] = {anchor: [] for anchor in removed}
    hits = hits_of(work.due, work.opened.trail if work.opened else ())
    left = [to_micros(cut), *(hit.at for hit in hits if hit.key not in anchor_of)]
    left.sort()
    for hit in hits:
        if hit.key in anchor_of:
            place = bisect_left(left, hit.at - NETWORKS_WITHIN)
            if place < len(left) and left[place] <= hit.at + NETWORKS_WITHIN:
                found[anchor_of[hit.key]].append(hit.encode())
    return found
