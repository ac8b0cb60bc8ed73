"""Placing new activities among the leads that exist.

Most activities carry only identifiers of one lead, or of none yet: those are placed at once. Where one touches several
leads, these form a cluster, and the leads of a cluster are resolved again from all their activities
(`services.scoring.core.resolution`), which covers merges and late arrivals alike.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from services.scoring.core.resolution import LeadGroup, Order, Pairs, resolve_leads, strongest_first
from shared.activity import Activity
from shared.identity import ANONYMOUS, EMAIL, Identifier

LeadIdFor = Callable[[Identifier], str]
NOT_YET: Order = (datetime.max.replace(tzinfo=UTC), "", "")
"""The place of a lead without an activity: what it had belongs to others now, or is dated ahead."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The lead an identifier belongs to, and since which place in the fold order it belongs to an e-mail."""

    lead_id: str
    since: Order | None


@dataclass(slots=True)
class Placement:
    """Where new activities go. `clusters` are sets of leads to be resolved again from all their activities; `anchors`
    are those of words about leads that are among what is new.
    """

    lead_of: dict[tuple[str, str], str] = field(default_factory=dict)
    owners: dict[Identifier, Owner] = field(default_factory=dict)
    clusters: list[set[str]] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def cluster_of(self, lead_id: str) -> set[str] | None:
        """The cluster that holds `lead_id`, if any."""
        return next((cluster for cluster in self.clusters if lead_id in cluster), None)

    def unite(self, one: str, other: str) -> None:
        """Let two leads, or one as a whole, be resolved again together with what they already are to be with."""
        touched = [cluster for cluster in self.clusters if one in cluster or other in cluster]
        self.clusters = [cluster for cluster in self.clusters if cluster not in touched]
        self.clusters.append({one, other}.union(*touched))


def place(
    activities: Iterable[Activity], known: Mapping[Identifier, Owner], with_email: set[str], lead_id_for: LeadIdFor
) -> Placement:
    """Place new `activities`; `known` are the owners of their identifiers, `with_email` the leads that have an e-mail.

    `owners` of the answer holds the identifiers whose row is new or has changed.
    """
    placement, with_email = Placement(), set(with_email)
    clusters: dict[str, set[str]] = {}
    for activity in sorted(activities, key=lambda item: item.order):
        placement.lead_of[activity.source, activity.id] = _place_one(
            activity, known, with_email, placement, clusters, lead_id_for
        )
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
    """What decides which of several leads survives a merge."""

    lead_id: str
    identifiers: Sequence[Identifier]
    first: Order

    @property
    def rank(self) -> tuple[bool, Order, str]:
        """Smaller survives: identified before anonymous, then the older, then by id."""
        return ({identifier.kind for identifier in self.identifiers} <= {ANONYMOUS}, self.first, self.lead_id)


@dataclass(frozen=True, slots=True)
class Resolved:
    """A cluster after resolution: its leads by id, who owns each identifier, and which leads are no more."""

    groups: Mapping[str, LeadGroup]
    owners: Mapping[Identifier, Owner]
    merged: Mapping[str, str]


def resolve_cluster(
    existing: Sequence[Standing],
    activities: Iterable[Activity],
    foreign: Collection[Identifier],
    lead_id_for: LeadIdFor,
    joined: Pairs = (),
    parted: Pairs = (),
    former_ids: Collection[str] = (),
) -> Resolved:
    """Resolve the leads of one cluster again from all `activities`, stored and new.

    `existing` are its stored leads, `foreign` the identifiers in its activities that leads outside of it own;
    `joined` and `parted` is what people said (see `resolve_leads`), `former_ids` are
    leads of the cluster that had been merged away.
    """
    groups = resolve_leads(activities, foreign, joined, parted)
    names = _name(groups, existing, former_ids, lead_id_for)
    named = dict(zip(names, groups, strict=True))
    owners = {
        identifier: Owner(name, group.since.get(identifier))
        for name, group in named.items()
        for identifier in group.identifiers
    }
    merged = {
        lead.lead_id: owners[min(lead.identifiers, key=strongest_first)].lead_id
        for lead in existing
        if lead.lead_id not in named
    }
    return Resolved(named, owners, merged)


def _name(
    groups: Sequence[LeadGroup], existing: Sequence[Standing], former_ids: Collection[str], lead_id_for: LeadIdFor
) -> list[str]:
    """The lead id of each group.

    A group with an e-mail has the id that follows from it, or from the lead that took it over by hand, so that every
    replay names it the same; any other goes on under the id of its surviving member, or that it once had.
    """
    names = [lead_id_for(group.named_by) if group.named_by else "" for group in groups]
    at_home = {
        lead_id_for(identifier): position for position, group in enumerate(groups) for identifier in group.identifiers
    }
    for position, group in enumerate(groups):
        if names[position]:
            continue
        members = set(group.identifiers)
        standing = sorted(
            (
                lead
                for lead in existing
                if lead.lead_id not in names
                and members & set(lead.identifiers)
                and at_home.get(lead.lead_id, position) == position
            ),
            key=lambda lead: lead.rank,
        )
        former = sorted(one for one in former_ids if at_home.get(one) == position and one not in names)
        names[position] = standing[0].lead_id if standing else [*former, lead_id_for(group.identifiers[0])][0]
    return names
