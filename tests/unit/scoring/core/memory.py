"""What the database holds of leads, in memory, moved by the same pure decisions as the consumer's and the API's."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.scoring.core.entries import Entry
from services.scoring.core.evaluation import Evaluation
from services.scoring.core.lead import LeadState, Models, advance, refold
from services.scoring.core.linking import KnownOwners, Owner, Placement, Resolved, Standing, place, resolve_cluster
from services.scoring.core.links import JOINED, PARTED, Link, links_among, ties
from services.scoring.core.profile import identifiers_of
from services.scoring.core.resolution import NOT_YET
from shared.activity import Activity
from shared.identity import EMAIL, Identifier, lead_id_for

Key = tuple[str, str]


def id_for(identifier: Identifier) -> str:
    """The lead id that an identifier names."""
    return lead_id_for(b"secret", identifier)


@dataclass
class Memory:
    """`packed` are the states of the leads that stand for themselves; `merged_into` where every other id leads."""

    models: Models
    owners: dict[Identifier, Owner] = field(default_factory=dict)
    joined: dict[str, datetime] = field(default_factory=dict)
    stored: dict[str, list[Activity]] = field(default_factory=lambda: defaultdict(list))
    packed: dict[str, bytes] = field(default_factory=dict)
    merged_into: dict[str, str] = field(default_factory=dict)
    entries: dict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    links: list[Link] = field(default_factory=list)

    # -- what happens to it ------------------------------------------------------------------------------------------

    def receive(self, batch: Sequence[Activity], now: datetime) -> None:
        """A batch of activities that are all new."""
        known = {i: self.owners[i] for item in batch for i in item.identifiers if i in self.owners}
        with_email = frozenset(owner.lead_id for i, owner in self.owners.items() if i.kind == EMAIL)
        placement = place(batch, KnownOwners(known, {}, with_email, self.joined), id_for)
        self.owners.update(placement.owners)
        self.joined.update(placement.joined)
        fresh: dict[str, list[Activity]] = defaultdict(list)
        for item in sorted(batch, key=lambda one: one.order):
            fresh[placement.lead_of[item.source, item.id]].append(item)
        clustered = {lead_id for cluster in placement.clusters for lead_id in cluster}
        for cluster in placement.clusters:
            self._resolve(cluster, fresh, now)
        for lead_id, items in fresh.items():
            if lead_id not in clustered:
                self._fold(lead_id, items, placement, now)

    def enter(self, lead_id: str, entry: Entry, now: datetime) -> None:
        """An entry of a lead, anchored as the API anchors it."""
        self.entries[lead_id].append(entry)
        self.packed[lead_id] = self._folded(lead_id, self.stored[lead_id], now).pack()

    def anchor_of(self, lead_id: str) -> str:
        """Of an entry of this lead."""
        return id_for(LeadState.unpack(self.packed[lead_id]).profile.identifiers[0])

    def merge(self, lead_id: str, with_id: str, now: datetime) -> None:
        """Somebody says that two leads are one."""
        survivor, other = sorted(map(self._standing, (lead_id, with_id)), key=lambda one: one.rank)
        named = identifiers_of([*self.stored[lead_id], *self.stored[with_id]])
        apart = any(one.kind == PARTED and _about(one, named) for one in self.links)
        refused = self._refused(lead_id) | self._refused(with_id) if apart else set()
        link, names = Link(JOINED, _anchor(survivor), _anchor(other)), (survivor.identifiers, other.identifiers)
        holds = links_among(self.links, [*names[0], *names[1]], id_for)
        self.links += [*ties(link, *names, holds, id_for), link]
        self._resolve({lead_id, with_id}, {}, now)
        if refused:
            self._resolve_again({lead_id, with_id, *refused}, now)

    def unmerge(self, lead_id: str, other_id: str, now: datetime) -> None:
        """Somebody says that a lead which was merged into this one is another."""
        refused = self._refused(lead_id)
        self.links.append(Link(PARTED, _anchor(self._standing(lead_id)), other_id))
        self._resolve({lead_id, other_id}, {}, now)
        if refused:
            self._resolve_again({lead_id, other_id, *refused}, now)

    def separable(self) -> list[tuple[str, str]]:
        """Pairs (lead, other) that can be taken apart."""
        hashes = {lead_id: set(map(id_for, self._identifiers(lead_id))) for lead_id in self.packed}
        return sorted(
            (into, other) for other, into in self.merged_into.items() if into in hashes and other in hashes[into]
        )

    # -- what it shows -----------------------------------------------------------------------------------------------

    def evaluation(self, lead_id: str, now: datetime) -> Evaluation:
        """The lead as it is read."""
        state = LeadState.unpack(self.packed[lead_id])
        if state.ahead_at is not None and state.ahead_at <= now:
            state = self._folded(lead_id, self.stored[lead_id], now)
        return state.evaluation(self.models.primary, now)

    # -- how ---------------------------------------------------------------------------------------------------------

    def _identifiers(self, lead_id: str) -> list[Identifier]:
        return LeadState.unpack(self.packed[lead_id]).profile.identifiers

    def _standing(self, lead_id: str) -> Standing:
        return Standing(
            lead_id, self._identifiers(lead_id), min((item.order for item in self.stored[lead_id]), default=NOT_YET)
        )

    def _refused(self, lead_id: str) -> set[str]:
        """Leads that share an identifier with this one, which was refused to one of the two."""
        owning = {self.owners[one].lead_id for one in identifiers_of(self.stored[lead_id])}
        return (owning | self._naming(lead_id)) - {lead_id}

    def _naming(self, lead_id: str) -> set[str]:
        weak = {identifier for identifier in self._identifiers(lead_id) if identifier.kind != EMAIL}
        return {one for one in self.packed if weak & identifiers_of(self.stored[one]).keys()}

    def _fold(self, lead_id: str, items: list[Activity], placement: Placement, now: datetime) -> None:
        claimed = [i for i, owner in placement.owners.items() if owner.lead_id == lead_id]
        if lead_id not in self.packed:
            self.merged_into.pop(lead_id, None)
            self.stored[lead_id] = list(items)
            self.packed[lead_id] = refold(self.models, items, claimed, now, self.entries[lead_id]).pack()
            return
        state = LeadState.unpack(self.packed[lead_id])
        state.profile.own(claimed)
        identifiers = state.profile.identifiers
        if not advance(self.models, state, items, now):
            state = refold(self.models, [*self.stored[lead_id], *items], identifiers, now, self.entries[lead_id])
        self.stored[lead_id] += items
        self.packed[lead_id] = state.pack()

    def _folded(self, lead_id: str, activities: Sequence[Activity], now: datetime) -> LeadState:
        return refold(self.models, activities, self._identifiers(lead_id), now, self.entries[lead_id])

    def _resolve(self, cluster: set[str], fresh: Mapping[str, Sequence[Activity]], now: datetime) -> None:
        held = {lead_id: self._identifiers(lead_id) for lead_id in sorted(cluster) if lead_id in self.packed}
        items = [item for lead_id in cluster for item in (*self.stored[lead_id], *fresh.get(lead_id, ()))]
        names = identifiers_of(items)
        foreign = {i for i in names if self.owners[i].lead_id not in cluster}
        said = links_among([one for one in self.links if _about(one, set(names))], names, id_for)
        resolved = resolve_cluster(held, items, foreign, id_for, said.joined, said.parted)
        self._place_entries(cluster, resolved)
        for lead_id in cluster:
            self.stored[lead_id] = []
            self.packed.pop(lead_id, None)
            self.joined.pop(lead_id, None)
        for lead_id, group in resolved.groups.items():
            self.stored[lead_id] = list(group.activities)
            state = refold(self.models, group.activities, group.identifiers, now, self.entries[lead_id])
            self.packed[lead_id] = state.pack()
            self.merged_into.pop(lead_id, None)
            if group.joined is not None:
                self.joined[lead_id] = group.joined[0]
        self.owners.update(resolved.owners)
        self.merged_into.update(resolved.merged)
        self._redirect(
            {id_for(name): lead_id for lead_id, group in resolved.groups.items() for name in group.identifiers}
        )

    def _resolve_again(self, ids: set[str], now: datetime) -> None:
        """These leads, and those that the first resolution has split off."""
        named = identifiers_of([item for lead_id in ids for item in self.stored[lead_id]])
        self._resolve(ids | {self.owners[one].lead_id for one in named}, {}, now)

    def _place_entries(self, cluster: set[str], resolved: Resolved) -> None:
        owner_of = {id_for(identifier): owner.lead_id for identifier, owner in resolved.owners.items()}
        held = [(lead_id, entry) for lead_id in sorted(cluster) for entry in self.entries.pop(lead_id, [])]
        for lead_id, entry in held:
            self.entries[owner_of.get(entry.anchor) or resolved.merged.get(lead_id, lead_id)].append(entry)

    def _redirect(self, targets: Mapping[str, str]) -> None:
        for lead_id, target in targets.items():
            if lead_id in self.merged_into:
                self.merged_into[lead_id] = target


def _anchor(standing: Standing) -> str:
    hashes = [id_for(identifier) for identifier in standing.identifiers]
    return standing.lead_id if standing.lead_id in hashes else hashes[0]


def _about(link: Link, names: Iterable[Identifier]) -> bool:
    hashes = set(map(id_for, names))
    return link.survivor in hashes or link.other in hashes
