"""Words about leads that were there before the activities of those leads, as they are where a database is filled again:
once both sides are there, the leads are resolved together, as they were when the word was said.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace

from services.scoring.core.linking import KnownOwners, LeadIdFor, Placement
from services.scoring.core.links import NO_LINKS, Link, Links, links_among
from services.scoring.entry_repository import EntryRepository
from shared.identity import Identifier


class Linked:
    """What people said, as one transaction needs it."""

    def __init__(self, entries: EntryRepository, lead_id_for: LeadIdFor) -> None:
        self._entries = entries
        self._lead_id_for = lead_id_for

    async def among(self, identifiers: Collection[Identifier]) -> Links:
        """What holds among `identifiers`."""
        if not await self._entries.any_links():
            return NO_LINKS
        said = await self._entries.links_of([self._lead_id_for(identifier) for identifier in identifiers])
        return links_among(said, identifiers, self._lead_id_for)

    async def unite(self, placement: Placement, known: KnownOwners) -> KnownOwners:
        """Add to the clusters of `placement` what somebody said about identifiers that are new in it. Returns what is
        known by then, with the leads on the other side.
        """
        new = [identifier for identifier in placement.owners if identifier not in known.owners]
        if not new or not await self._entries.any_links():
            return known
        claimed = {self._lead_id_for(identifier): placement.owners[identifier].lead_id for identifier in new}
        said = await self._entries.links_of(list(claimed))
        if not said:
            return known
        await self._entries.take_turns()
        anchors = {anchor for link in said for anchor in (link.survivor, link.other)}
        standing = await self._entries.standing(anchors - claimed.keys())
        _unite(placement, said, {anchor: lead_id for anchor, (lead_id, _) in standing.items()} | claimed)
        placement.anchors = anchors & claimed.keys()
        return replace(known, epochs={**known.epochs, **dict(standing.values())})

    async def note(self, placement: Placement) -> None:
        """Let the anchors among what was new lead to the leads that own them now."""
        if placement.anchors:
            owned = {self._lead_id_for(identifier): owner.lead_id for identifier, owner in placement.owners.items()}
            await self._entries.lead_to({anchor: owned[anchor] for anchor in placement.anchors})


def _unite(placement: Placement, said: Iterable[Link], leads: dict[str, str]) -> None:
    for link in said:
        if link.survivor in leads and link.other in leads:
            placement.unite(leads[link.survivor], leads[link.other])
