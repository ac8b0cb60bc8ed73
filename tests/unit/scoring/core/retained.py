"""A lead of which old activities are removed, beside the same lead with all of them."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import orjson

from services.scoring.core.compile import compile_model
from services.scoring.core.engine import until
from services.scoring.core.entries import Entry, manual_of, recyclings_of
from services.scoring.core.explain import explain
from services.scoring.core.lead import LeadState, LiveModel, Models, refold
from services.scoring.core.loader import model_from
from services.scoring.core.next_change import next_change_at
from services.scoring.core.openings import OPENING, REMOVED, openings_of
from services.scoring.core.past import score_before
from services.scoring.core.removal import StoredLead, open_lead
from services.scoring.core.state import State, encode
from shared.activity import Activity
from shared.identity import Identifier
from tests.oracle.scoring import Act
from tests.unit.scoring.core.choices import Choices
from tests.unit.scoring.core.strategies import START, to_activity, to_entries

DAY = timedelta(days=1)
NEXT_YEAR = timedelta(days=365)
MOMENT = timedelta(microseconds=1)


def anchor_of(identifier: Identifier) -> str:
    """In place of a keyed hash."""
    return f"{identifier.kind}:{identifier.value}"


def models_of(*trees: dict[str, Any]) -> Models:
    """Versions of one model: the first is in force, the others are shadows."""
    live, *shadows = [LiveModel("random", number, compile_model(model_from(one))) for number, one in enumerate(trees)]
    return Models((live,), tuple(replace(one, shadow=True) for one in shadows))


@dataclass
class Kept:
    """What is stored of a lead."""

    activities: list[Activity]
    entries: list[Entry] = field(default_factory=list)

    def by(self, at: datetime) -> list[Activity]:
        """What had happened by then."""
        return [one for one in self.activities if one.occurred_at <= at]

    def remove(self, models: Models, gone: Collection[Activity], cut: datetime, now: datetime) -> list[Entry]:
        """As the service does; what is left goes through JSON. Returns the openings."""
        recorded = {(one.source, one.id): one.occurred_at for one in self.activities}
        stored, keys = StoredLead(self.by(now), self.entries, recorded), {(one.source, one.id) for one in gone}
        made = [
            replace(one, body=orjson.loads(orjson.dumps(one.body)))
            for one in open_lead(models, stored, keys, cut, now, anchor_of)
        ]
        self.activities = [one for one in self.activities if (one.source, one.id) not in keys]
        self.entries = [*self.entries, *made]
        return made

    def folded(self, models: Models, at: datetime) -> LeadState:
        """The lead at an instant."""
        return refold(models, self.by(at), [], at, self.entries)

    def together(self, other: "Kept") -> "Kept":
        """Both made one lead."""
        return Kept([*self.activities, *other.activities], [*self.entries, *other.entries])

    def part(self, wanted: Callable[[str], bool]) -> "Kept":
        """What belongs to some of its identifiers alone."""
        return Kept(
            [one for one in self.activities if wanted(anchor_of(one.identifiers[0]))],
            [one for one in self.entries if one.kind == OPENING and wanted(one.anchor)],
        )


def is_the_same_lead(models: Models, got: LeadState, whole: LeadState, at: datetime) -> None:
    """Every number, what is going to change when, and what a fold goes on from."""
    for model in models.all:
        ours, theirs = got.folds[model.key][1], whole.folds[model.key][1]
        assert got.evaluation(model, at) == whole.evaluation(model, at)
        assert next_change_at(model.compiled, ours, at) == next_change_at(model.compiled, theirs, at)
        assert as_sets(ours) == as_sets(theirs)
    for name in ("email", "phone", "attributes", "first", "last", "count", "consent"):
        assert getattr(got.profile, name) == getattr(whole.profile, name), name
    assert got.agreed == whole.agreed


def is_explained(models: Models, lead: "Kept", whole: "Kept", at: datetime) -> None:
    """Entry by entry it adds up to the same, with what was removed among the entries."""
    model = models.primary.compiled
    got, expected = (
        explain(
            model,
            some.by(at),
            at,
            manual=manual_of(some.entries),
            recyclings=recyclings_of(some.entries, model.model.recycle),
            opened=openings_of(some.entries),
        )
        for some in (lead, whole)
    )
    assert len({score_before(model, until(some.by(at), at), at + MOMENT, some.entries) for some in (lead, whole)}) == 1
    assert (got.evaluation, got.sums, got.next_change) == (expected.evaluation, expected.sums, expected.next_change)
    for ours, theirs in zip(got.rules, expected.rules, strict=True):
        assert (ours.raw, ours.points, ours.count) == (theirs.raw, theirs.points, theirs.count)
        assert len(ours.entries) == len(theirs.entries)
        for one, other in zip(ours.entries, theirs.entries, strict=True):
            assert (one.activity.occurred_at, one.now) == (other.activity.occurred_at, other.now)
        # One by one and in order; among those of one instant a removed one may stand elsewhere, as its id is gone.
        left = [one.activity for one in ours.entries if one.activity.type != REMOVED]
        kept = {id(one) for one in left}
        assert [id(one) for one in left] == [id(one.activity) for one in theirs.entries if id(one.activity) in kept]


def scores_the_same(models: Models, got: LeadState, whole: LeadState, at: datetime) -> None:
    """What anybody can see of it."""
    for model in models.all:
        assert got.evaluation(model, at) == whole.evaluation(model, at)


def as_sets(state: State) -> dict[str, Any]:
    """A packed state; objects paid for stand in no order."""
    packed = encode(state)
    for entry in packed["entries"].values():
        entry[-1] = sorted(entry[-1])
    return orjson.loads(orjson.dumps(packed))  # type: ignore[no-any-return]


def to_lead(acts: Sequence[Act], since: datetime) -> list[Activity]:
    """Its activities. What is said about consent after `since` holds from then on, and about nothing before."""
    return [
        to_activity(replace(one, consent={**one.consent, "at": None}) if one.consent and one.at > since else one)
        for one in acts
    ]


def cuts_of(choices: Choices, number: int) -> list[tuple[datetime, datetime]]:
    """Cuts, and when each is made."""
    steps = sorted(choices.number(0, 480) for _ in range(number))
    cuts = [START + timedelta(hours=3 * step) for step in steps]
    return [(cut, cut + DAY * choices.number(1, 9)) for cut in cuts]


def remove_some(lead: Kept, models: Models, cut: datetime, now: datetime, choices: Choices) -> list[Entry]:
    """What is older than the cut, but for a few that were told late."""
    old = [one for one in lead.by(now) if one.occurred_at < cut]
    late = {id(choices.one(old)) for _ in range(choices.number(0, 2))} if old and choices.number(0, 2) == 0 else set()
    return lead.remove(models, [one for one in old if id(one) not in late], cut, now)


def keeps_every_score(
    trees: Sequence[dict[str, Any]], acts: Sequence[Act], given: Sequence[Any], choices: Choices, cuts: int = 2
) -> None:
    """After every cut, now and later, the lead is what it would have been."""
    models, moments = models_of(*trees), cuts_of(choices, cuts)
    activities, entries = to_lead(acts, moments[0][1]), to_entries(given)
    whole, lead = Kept(activities, entries), Kept(activities, entries)
    now = moments[0][1]
    for cut, made in moments:
        now = max(now, made)
        remove_some(lead, models, cut, now, choices)
        for at in (now, now + DAY * choices.number(0, 30), now + NEXT_YEAR):
            is_the_same_lead(models, lead.folded(models, at), whole.folded(models, at), at)
            is_explained(models, lead, whole, at)


PLAIN = ("every", "once", "once_per_object")
"""Policies under which what was denied before a cut stays denied, whoever joins and whatever comes late."""


def plain(tree: dict[str, Any]) -> dict[str, Any]:
    """A model under which the past of one lead says all about what it is worth beside others."""
    rules = [
        rule if "cells" in rule or rule["repeat"] in PLAIN else rule | {"repeat": PLAIN[place % 3]}
        for place, rule in enumerate(tree["engagement"]["rules"])
    ]
    return tree | {"daily_max": 100, "consent": {}, "engagement": tree["engagement"] | {"rules": rules}}


def joins_as_before(tree: dict[str, Any], one: Sequence[Act], other: Sequence[Act], choices: Choices) -> None:
    """Two leads of which activities were removed make the one that all activities make."""
    models, ((cut, now),) = models_of(plain(tree)), cuts_of(choices, 1)
    leads = [Kept(to_lead(some, now)) for some in (one, [replace(act, id=f"other-{act.id}") for act in other])]
    whole = leads[0].together(leads[1])
    for lead in leads:
        remove_some(lead, models, cut, now, choices)
    both = leads[0].together(leads[1])
    for at in (now, now + DAY * choices.number(0, 30), now + NEXT_YEAR):
        scores_the_same(models, both.folded(models, at), whole.folded(models, at), at)


def parts_as_before(tree: dict[str, Any], acts: Sequence[Act], choices: Choices) -> None:
    """A lead taken apart is, for each of its identifiers, what the activities of that one make."""
    models, moments = models_of(tree | {"consent": {}}), cuts_of(choices, 2)
    activities = to_lead(acts, moments[0][1])
    whole, lead, last = Kept(activities), Kept(activities), moments[0][1]
    for cut, now in moments:
        last = max(last, now)
        lead.remove(models, [one for one in lead.by(last) if one.occurred_at < cut], cut, last)
    for anchor in {anchor_of(one.identifiers[0]) for one in activities}:
        ours, theirs = (some.part(anchor.__eq__) for some in (lead, whole))
        for at in (last, last + DAY * choices.number(0, 30)):
            scores_the_same(models, ours.folded(models, at), theirs.folded(models, at), at)


def late_ones_find_their_place(
    tree: dict[str, Any], acts: Sequence[Act], late: Sequence[Act], choices: Choices
) -> None:
    """What is told after the cut, and was before it, changes what it would have changed."""
    models, ((cut, now),) = models_of(plain(tree)), cuts_of(choices, 1)
    lead = Kept(to_lead(acts, now))
    told = to_lead([replace(act, id=f"late-{act.id}") for act in late], now)
    whole = Kept([*lead.activities, *told])
    remove_some(lead, models, cut, now, choices)
    lead.activities += told
    for at in (now, now + DAY * choices.number(0, 30)):
        scores_the_same(models, lead.folded(models, at), whole.folded(models, at), at)


def other_points_find_the_same_past(
    tree: dict[str, Any], other: dict[str, Any], acts: Sequence[Act], given: Sequence[Any], choices: Choices
) -> None:
    """A later version that pays the same activities, however much and for however long, folds what it would have."""
    models, ((cut, now),) = models_of(tree), cuts_of(choices, 1)
    later = models_of(repriced(tree, other))
    activities, entries = to_lead(acts, now), to_entries(given)
    whole, lead = Kept(activities, entries), Kept(activities, entries)
    remove_some(lead, models, cut, now, choices)
    for at in (now, now + DAY * choices.number(0, 30)):
        is_the_same_lead(later, lead.folded(later, at), whole.folded(later, at), at)


def repriced(tree: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """The same rules with the points, decay, bounds and surroundings of another model."""
    prices, rules = [*other["engagement"]["rules"]], []
    for place, rule in enumerate(tree["engagement"]["rules"]):
        price = prices[place % len(prices)]
        kept = {name: value for name, value in rule.items() if name not in ("decay", "min", "max")}
        taken = {name: price[name] for name in ("decay", "min", "max") if name in price and "cells" not in rule}
        rules.append(kept | taken | ({"points": price["points"]} if "points" in price and "points" in rule else {}))
    same = {name: tree[name] for name in ("model", "timezone", "daily_max", "consent")}
    return other | same | {"engagement": other["engagement"] | {"rules": rules}}
