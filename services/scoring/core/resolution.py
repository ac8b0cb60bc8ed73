"""Which activities belong to one lead.

The answer is a function of the set of activities, so it is defined over the fold order and not over arrival: visit the
activities in that order; each joins the identifiers it carries into one lead, unless that would join two leads with
different e-mails, in which case the weaker identifier stays where it was. A browser or mobile phone that two e-mails
used therefore belongs to the one it appeared with first. An activity belongs to the lead of its strongest identifier.
What people joined by hand is one lead from the start, whatever its e-mails; what they took apart no activity joins.

Where two leads become one on this way, the identified one survives, or else the older: what the union is called follows
from the set of activities too.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from shared.activity import Activity
from shared.clock import EPOCH
from shared.identity import ANONYMOUS, EMAIL, STRENGTH, Identifier

Order = tuple[datetime, str, str]
"""A place in the fold order: occurred_at, id, source."""
FIRST: Order = (EPOCH, "", "")
NOT_YET: Order = (datetime.max.replace(tzinfo=UTC), "", "")
"""The place of a lead without an activity: what it had belongs to others now, or is dated ahead."""
Pairs = Sequence[tuple[Identifier, Identifier]]


@dataclass(frozen=True, slots=True)
class LeadGroup:
    """One lead: its identifiers, strongest kinds first, and its activities in fold order.

    `since` tells for each identifier from which place on it belongs to an e-mail; only an earlier activity with another
    e-mail can still take it away.

    `named_by` is the identifier whose lead this is in every replay, and `joined` the place at which the last of its
    identifiers came to the others, if there is more than one: only an earlier activity can still change the name.
    """

    identifiers: tuple[Identifier, ...]
    activities: tuple[Activity, ...]
    since: Mapping[Identifier, Order]
    named_by: Identifier
    joined: Order | None = None


def rank(*, identified: bool, first: Order) -> tuple[bool, Order]:
    """Of two leads that become one the smaller survives: identified before anonymous, then the older by its first
    activity.
    """
    return (not identified, first)


class _First(NamedTuple):
    """The place of a lead's first activity, and the identifier that it is called by."""

    order: Order
    name: Identifier

    def rank(self) -> tuple[bool, Order]:
        return rank(identified=self.name.kind != ANONYMOUS, first=self.order)


class _Forest:
    """Identifiers joined into leads, each lead holding at most one e-mail."""

    def __init__(self, parted: Pairs = ()) -> None:
        self._parted = parted
        self._by_hand: dict[Identifier, Identifier] = {}
        self._root: dict[Identifier, Identifier] = {}
        self._with_email: set[Identifier] = set()
        self._first: dict[Identifier, _First] = {}
        self.members: dict[Identifier, list[Identifier]] = {}
        self.since: dict[Identifier, Order] = {}
        self.joined: dict[Identifier, Order] = {}

    def find(self, identifier: Identifier) -> Identifier:
        if identifier not in self._root:
            self._root[identifier] = identifier
            self.members[identifier] = [identifier]
            if identifier.kind == EMAIL:
                self._with_email.add(identifier)
        return self._root[identifier]

    def visit(self, identifier: Identifier, order: Order) -> None:
        """Note an activity of the lead of `identifier`."""
        self._first.setdefault(self.find(identifier), _First(order, identifier))

    def name(self, root: Identifier) -> Identifier | None:
        """What a lead is called: by what survived by hand, unless that was a browser and the lead is known by now."""
        first, by_hand = self._first.get(root), self._by_hand.get(root)
        if first is None or (by_hand is not None and (by_hand.kind != ANONYMOUS or first.name.kind == ANONYMOUS)):
            return by_hand
        return first.name

    def join(self, one: Identifier, other: Identifier, order: Order) -> None:
        root, branch = self.find(one), self.find(other)
        if root == branch or (root in self._with_email and branch in self._with_email):
            return
        if self._parted and self._apart(root, branch):
            return
        self._unite(root, branch, order)

    def join_by_hand(self, survivor: Identifier, other: Identifier) -> None:
        root, branch = self.find(survivor), self.find(other)
        if root != branch:
            name = self._by_hand.get(root, survivor)
            self._unite(root, branch, FIRST)
            self._by_hand[self.find(survivor)] = name

    def _apart(self, root: Identifier, branch: Identifier) -> bool:
        """Whether somebody took apart what would become one here."""
        return any({self._root.get(one), self._root.get(other)} == {root, branch} for one, other in self._parted)

    def _unite(self, root: Identifier, branch: Identifier, order: Order) -> None:
        self._note_email(root, branch, order)
        name = self._by_hand.pop(root, None) or self._by_hand.pop(branch, None)
        first = _of_both(self._first.pop(root, None), self._first.pop(branch, None))
        if len(self.members[root]) < len(self.members[branch]):
            root, branch = branch, root
        for member in self.members[branch]:
            self._root[member] = root
        self.members[root] += self.members.pop(branch)
        if branch in self._with_email:
            self._with_email.add(root)
        if name is not None:
            self._by_hand[root] = name
        if first is not None:
            self._first[root] = first
        self.joined.pop(branch, None)
        self.joined[root] = order

    def _note_email(self, root: Identifier, branch: Identifier, order: Order) -> None:
        if root in self._with_email:
            self.since.update(dict.fromkeys(self.members[branch], order))
        elif branch in self._with_email:
            self.since.update(dict.fromkeys(self.members[root], order))


def _of_both(one: _First | None, other: _First | None) -> _First | None:
    """Of what two leads become: their earlier first activity, and the name of the one that survives."""
    if one is None or other is None:
        return one or other
    return _First(min(one.order, other.order), min(one, other, key=_First.rank).name)


def resolve_leads(
    activities: Iterable[Activity],
    foreign: Collection[Identifier] = (),
    joined: Pairs = (),
    parted: Pairs = (),
) -> list[LeadGroup]:
    """Group activities into leads. Pure; neither the groups nor their order depend on the order of the input.

    `joined` are pairs (survivor, other) that somebody made one lead, `parted` those that somebody took apart.

    `foreign` are identifiers that belong to leads outside of `activities`; the links to them were refused and stay so,
    because an activity that arrives later never takes an e-mail away from an identifier's past. What was joined by
    hand among them, or among identifiers that no activity names, makes no lead here.
    """
    ordered = sorted(activities, key=lambda activity: activity.order)
    forest = _Forest(parted)
    own = {one for activity in ordered for one in activity.identifiers}.difference(foreign) if joined else ()
    for survivor, other in joined:
        if survivor in own and other in own:
            forest.join_by_hand(survivor, other)
    for activity in ordered:
        forest.visit(activity.identifiers[0], activity.order)
        for weaker in activity.identifiers[1:]:
            if weaker not in foreign:
                forest.join(activity.identifiers[0], weaker, activity.order)
    owned: dict[Identifier, list[Activity]] = defaultdict(list)
    for activity in ordered:
        owned[forest.find(activity.identifiers[0])].append(activity)
    groups = [
        LeadGroup(
            tuple(sorted(members, key=strongest_first)),
            tuple(owned[root]),
            {member: forest.since[member] for member in members if member in forest.since},
            forest.name(root) or min(members, key=strongest_first),
            forest.joined.get(root),
        )
        for root, members in forest.members.items()
    ]
    return sorted(groups, key=lambda group: strongest_first(group.identifiers[0]))


def strongest_first(identifier: Identifier) -> tuple[int, str]:
    """Sort key: kinds by strength, values by code point."""
    return (STRENGTH[identifier.kind], identifier.value)
