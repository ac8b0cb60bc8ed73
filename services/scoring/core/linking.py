"""Placing new activities among the leads that exist.

Most activities carry only identifiers of one lead, or of none yet: those are placed at once. Where one touches several
leads, or comes late enough to change what its lead is called, these form a cluster, and the leads of a cluster are
resolved again from all their activities (`services.scoring.core.resolution`), which covers merges and late arrivals
alike.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.scoring.core.resolution import LeadGroup, Order, Pairs, rank, resolve_leads, strongest_first
from shared.activity import Activity
from shared.identity import ANONYMOUS, EMAIL, Identifier

LeadIdFor = Callable[[Identifier], str]


@dataclass(frozen=True, slots=True)
class Owner:
    """The lead an identifier belongs to, and since which place in the fold order it belongs to an e-mail."""

    lead_id: str
    since: Order | None


@dataclass(slots=True)
class Placement:
    """Where new activities go. `clusters` are sets of leads to be resolved again from all their activities; `joined`
    tells of the others when an identifier came to them last; `anchors` are those of words about leads that are among
    what is new.
    """

    lead_of: dict[tuple[str, str], str] = field(default_factory=dict)
    owners: dict[Identifier, Owner] = field(default_factory=dict)
    clusters: list[set[str]] = field(default_factory=list)
    joined: dict[str, datetime] = field(default_factory=dict)
    anchors: set[str] = field(default_factory=set)

    def unite(self, one: str, other: str) -> None:
        """Let two leads, or one as a whole, be resolved again together with what they already are to be with."""
        touched = [cluster for cluster in self.clusters if one in cluster or other in cluster]
        self.clusters = [cluster for cluster in self.clusters if cluster not in touched]
        self.clusters.append({one, other}.union(*touched))


@dataclass(frozen=True, slots=True)
class KnownOwners:
    """The owners of identifiers as read before locking. Of these leads: the epoch each had then, which have an e-mail,
    and when an identifier came to them last.
    """

    owners: Mapping[Identifier, Owner]
    epochs: Mapping[str, int]
    with_email: frozenset[str]
    joined: Mapping[str, datetime]


def place(activities: Iterable[Activity], known: KnownOwners, lead_id_for: LeadIdFor) -> Placement:
    """Place new `activities`; `known` are the owners of their identifiers.

    `owners` of the answer holds the identifiers whose row is new or has changed.
    """
    placement, with_email = Placement(), set(known.with_email)
    clusters: dict[str, set[str]] = {}
    for activity in sorted(activities, key=lambda item: item.order):
        lead_id = _place_one(activity, known.owners, with_email, placement, clusters, lead_id_for)
        placement.lead_of[activity.source, activity.id] = lead_id
        joined = known.joined.get(lead_id)
        if joined is not None and activity.occurred_at <= joined:
            # Told in time it could have been this activity that makes one of the united leads the older.
            _unite(clusters, lead_id, lead_id)
    placement.clusters = list({id(cluster): cluster for cluster in clusters.values()}.values())
    return placement


def _place_one(
    activity: Activity,
    known: Mapping[Identifier, Owner],
    with_email: set[str],
    placement: Placement,
    clusters: dict[str, set[str]],
    lead_id_for: LeadIdFor,
) -> str:
    owners = placement.owners
    strongest = activity.identifiers[0]
    owner = owners.get(strongest) or known.get(strongest)
    if owner is None:
        owner = owners[strongest] = Owner(lead_id_for(strongest), None)
        if strongest.kind == EMAIL:
            with_email.add(owner.lead_id)
    if len(activity.identifiers) == 1:
        return owner.lead_id
    since = _since(strongest, owner, activity.order, with_email)
    for identifier in activity.identifiers[1:]:
        held = owners.get(identifier) or known.get(identifier)
        if held is None:
            placement.joined[owner.lead_id] = activity.occurred_at
        if held is None or (held.lead_id == owner.lead_id and since and (held.since is None or since < held.since)):
            owners[identifier] = Owner(owner.lead_id, since)
        elif held.lead_id != owner.lead_id and not _refused(strongest, owner, held, activity.order, with_email):
            _unite(clusters, owner.lead_id, held.lead_id)
    return owner.lead_id


def _since(strongest: Identifier, owner: Owner, order: Order, with_email: set[str]) -> Order | None:
    """From when on an identifier that is linked here belongs to an e-mail; None while the lead has none."""
    if owner.lead_id not in with_email:
        return None
    return order if strongest.kind == EMAIL or owner.since is None else max(order, owner.since)


def _refused(strongest: Identifier, owner: Owner, held: Owner, order: Order, with_email: set[str]) -> bool:
    """Whether both sides belonged to different e-mails before this activity, so that it joins nothing."""
    if not (owner.lead_id in with_email and held.lead_id in with_email):
        return False
    return _before(held, order) and (strongest.kind == EMAIL or _before(owner, order))


def _before(owner: Owner, order: Order) -> bool:
    return owner.since is not None and owner.since < order


def _unite(clusters: dict[str, set[str]], one: str, other: str) -> None:
    united = clusters.get(one, {one}) | clusters.get(other, {other})
    for lead_id in united:
        clusters[lead_id] = united


@dataclass(frozen=True, slots=True)
class Standing:
    """What decides which of two leads survives where somebody joins them."""

    lead_id: str
    identifiers: Sequence[Identifier]
    first: Order

    @property
    def rank(self) -> tuple[tuple[bool, Order], str]:
        """The smaller survives."""
        identified = any(identifier.kind != ANONYMOUS for identifier in self.identifiers)
        return (rank(identified=identified, first=self.first), self.lead_id)


@dataclass(frozen=True, slots=True)
class Resolved:
    """A cluster after resolution: its leads by id, who owns each identifier, and which leads are no more."""

    groups: Mapping[str, LeadGroup]
    owners: Mapping[Identifier, Owner]
    merged: Mapping[str, str]


def resolve_cluster(
    existing: Mapping[str, Sequence[Identifier]],
    activities: Iterable[Activity],
    foreign: Collection[Identifier],
    lead_id_for: LeadIdFor,
    joined: Pairs = (),
    parted: Pairs = (),
) -> Resolved:
    """Resolve the leads of one cluster again from all `activities`, stored and new.

    `existing` are the identifiers of its stored leads, `foreign` those in its activities that leads outside of it own;
    `joined` and `parted` is what people said (see `resolve_leads`).
    """
    named = {lead_id_for(group.named_by): group for group in resolve_leads(activities, foreign, joined, parted)}
    owners = {
        identifier: Owner(lead_id, group.since.get(identifier))
        for lead_id, group in named.items()
        for identifier in group.identifiers
    }
    merged = {
        lead_id: owners[min(identifiers, key=strongest_first)].lead_id
        for lead_id, identifiers in existing.items()
        if lead_id not in named
    }
    return Resolved(named, owners, merged)
