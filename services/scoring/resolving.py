"""The leads of clusters, resolved again from all their activities: merges, late arrivals, names that change, browsers
that change hands, and what people said about leads are one path.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from services.scoring.core.entries import Entry
from services.scoring.core.lead import LeadState, Models, refold
from services.scoring.core.linking import LeadIdFor, Owner, Resolved, resolve_cluster
from services.scoring.core.links import Links
from services.scoring.core.openings import REMOVED, facts_of
from services.scoring.core.profile import identifiers_of
from services.scoring.entry_repository import EntryRepository
from services.scoring.lead_row import LeadRow
from services.scoring.linked import Linked
from services.scoring.repository import Key, LostRaceError, ScoringRepository
from services.scoring.work import Work
from shared.activity import Activity
from shared.identity import Identifier
from shared.slices import Slices

AT_ONCE = 50
"""Of so many clusters, or leads, all activities are in memory together."""


class Resolving:
    """Resolves leads inside one transaction."""

    def __init__(
        self,
        repository: ScoringRepository,
        entries: EntryRepository,
        linked: Linked,
        models: Models,
        lead_id_for: LeadIdFor,
        now: datetime,
    ) -> None:
        self._repository = repository
        self._entries = entries
        self._linked = linked
        self._models = models
        self._lead_id_for = lead_id_for
        self._now = now

    async def resolve(self, work: Work) -> None:
        """Resolve the leads of every cluster of `work`, which are locked, and fold each anew. LostRaceError where an
        identifier belongs to others meanwhile.
        """
        clusters = work.placement.clusters
        for start in range(0, len(clusters), AT_ONCE):
            await self._resolve(work, clusters[start : start + AT_ONCE])

    async def _resolve(self, work: Work, clusters: Sequence[set[str]]) -> None:
        clustered = {lead_id for cluster in clusters for lead_id in cluster}
        states = {
            lead_id: LeadState.unpack(row.state)
            for lead_id, row in work.rows.items()
            if lead_id in clustered and row.state
        }
        history, stored = await self._repository.activities_of(states), await self._entries.of(states)
        fresh = work.by_lead
        known = {lead_id: [*items, *facts_of(stored[lead_id])] for lead_id, items in history.items()}
        activities = {lead_id: [*known.get(lead_id, ()), *fresh.get(lead_id, ())] for lead_id in clustered}
        named = identifiers_of(item for items in activities.values() for item in items)
        owners, links = await self._owners_of(work, named), await self._linked.among(named)
        here = {one: owners[one] for one in named if owners[one].lead_id in clustered}
        waiting = await claim_waiting(self._entries, here, self._lead_id_for)
        for lead_id, came_first in waiting.items():
            stored[lead_id] += came_first
        resolved = [
            self._resolved({one: states[one] for one in cluster if one in states}, cluster, activities, owners, links)
            for cluster in clusters
        ]
        await self._lock_former(work, resolved)
        slices = Slices()
        for cluster, leads in zip(clusters, resolved, strict=True):
            await slices.give_way()
            entries = await self._placed(leads, {lead_id: stored[lead_id] for lead_id in cluster})
            known_by = max((states[one].instant(self._now) for one in cluster if one in states), default=self._now)
            told = {lead_id: history[lead_id] for lead_id in cluster if lead_id in states}
            self._take(work, leads, told, entries, known_by)

    def _resolved(
        self,
        states: Mapping[str, LeadState],
        cluster: set[str],
        activities: Mapping[str, Sequence[Activity]],
        owners: Mapping[Identifier, Owner],
        links: Links,
    ) -> Resolved:
        items = [item for lead_id in cluster for item in activities[lead_id]]
        return resolve_cluster(
            {lead_id: state.profile.identifiers for lead_id, state in states.items()},
            items,
            {identifier for identifier in identifiers_of(items) if owners[identifier].lead_id not in cluster},
            self._lead_id_for,
            links.joined,
            links.parted,
        )

    async def _lock_former(self, work: Work, resolved: Iterable[Resolved]) -> None:
        """Leads may go on under ids that were merged into them before. Who wants the lock of such a row has that of the
        lead already.
        """
        names = {lead_id for leads in resolved for lead_id in leads.groups}
        work.rows.update(await self._repository.lock_leads(names - work.rows.keys()))

    async def _placed(self, resolved: Resolved, stored: Mapping[str, Sequence[Entry]]) -> dict[str, list[Entry]]:
        """The entries of a cluster by the lead that owns their anchor now; those that change leads are moved."""
        placed: dict[str, list[Entry]] = defaultdict(list)
        moves: dict[Key, str] = {}
        if any(stored.values()):
            owner_of = {self._lead_id_for(identifier): owner.lead_id for identifier, owner in resolved.owners.items()}
            for lead_id, entries in stored.items():
                for entry in entries:
                    target = owner_of.get(entry.anchor) or resolved.merged.get(lead_id, lead_id)
                    placed[target].append(entry)
                    if target != lead_id:
                        moves[entry.kind, entry.id] = target
        if moves:
            await self._entries.move(moves)
        return placed

    async def _owners_of(self, work: Work, identifiers: Iterable[Identifier]) -> dict[Identifier, Owner]:
        missing = [item for item in identifiers if item not in work.known]
        if missing:
            found = (await self._repository.owners(missing)).owners
            if any(identifier in work.placement.owners for identifier in found):
                raise LostRaceError("an identifier was claimed by another worker")
            work.known.update(found)
        return {**work.known, **work.placement.owners}

    def _take(
        self,
        work: Work,
        resolved: Resolved,
        history: Mapping[str, Sequence[Activity]],
        entries: Mapping[str, Sequence[Entry]],
        now: datetime,
    ) -> None:
        stored_under = {(item.source, item.id): lead_id for lead_id, items in history.items() for item in items}
        for lead_id, group in resolved.groups.items():
            row = work.row_of(lead_id)
            own = [item for item in group.activities if item.type != REMOVED]
            former = _former(row, own, stored_under)
            if former is not None and former in resolved.groups:
                work.parted[lead_id] = former
            row.epoch, row.merged_into = row.epoch + 1, None
            row.joined_at = group.joined[0] if group.joined else None
            work.states[lead_id] = refold(self._models, own, group.identifiers, now, entries.get(lead_id, ()))
            work.redirects.update((self._lead_id_for(name), lead_id) for name in group.identifiers)
            for item in own:
                key = (item.source, item.id)
                if key in work.fresh:
                    work.placement.lead_of[key] = lead_id
                elif stored_under[key] != lead_id:
                    work.moves[key] = (stored_under[key], lead_id)
        for lead_id, survivor in resolved.merged.items():
            row = work.rows[lead_id]
            row.epoch, row.merged_into, row.state, row.score, row.search = row.epoch + 1, survivor, b"", None, ""
        work.placement.owners.update(resolved.owners)
        work.merged.update(resolved.merged)
        work.clustered.update(resolved.groups)


async def claim_waiting(
    entries: EntryRepository, owned: Mapping[Identifier, Owner], lead_id_for: LeadIdFor
) -> Mapping[str, Sequence[Entry]]:
    """Entries that came before the activities of their lead, as they do where a database is filled again."""
    if not await entries.any_waiting():
        return {}
    return await entries.claim({lead_id_for(one): owner.lead_id for one, owner in owned.items()})


def _former(row: LeadRow, own: Iterable[Activity], stored_under: Mapping[Key, str]) -> str | None:
    """The lead that one was a part of which comes back, or comes to be with nothing but what was stored under that."""
    if row.merged_into is not None or row.version:
        return row.merged_into
    origins = {stored_under.get((one.source, one.id)) for one in own}
    return origins.pop() if len(origins) == 1 else None
