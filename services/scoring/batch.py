"""New activities of a batch to new states of their leads, inside one transaction.

The order is: whom do they belong to, lock those leads, fold, write. What is decided is decided in core; here it is only
loaded and saved, set-wise. The activities themselves are stored while their leads are folded, and so are those leads
that are ready: the database works on the one while this process does the other.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from functools import partial

from services.scoring.advancing import Advanced, Arrival, bring_up
from services.scoring.core.entries import Entry
from services.scoring.core.events import Word, told, tombstone
from services.scoring.core.lead import LeadState, Models, refold
from services.scoring.core.linking import (
    LeadIdFor,
    Owner,
    Placement,
    Resolved,
    place,
    resolve_cluster,
)
from services.scoring.core.links import PARTED, Links
from services.scoring.core.openings import REMOVED, facts_of
from services.scoring.core.profile import identifiers_of
from services.scoring.entry_repository import EntryRepository
from services.scoring.helper import Helpers
from services.scoring.lead_row import LeadRow
from services.scoring.linked import Linked
from services.scoring.renewal import NOBODY
from services.scoring.repository import Key, LostRaceError, ScoringRepository
from services.scoring.sharing import Sharing
from services.scoring.work import Work, check_unmoved
from services.scoring.writing import TOGETHER, Publish, Writing
from shared.activity import Activity
from shared.events import OutboxRow
from shared.identity import Identifier
from shared.slices import Slices

LEADS_WORTH_A_HELPER = 400
"""Leads of a batch: so many come together only where there is a backlog."""


class BatchScoring:
    """Scores the new activities of one transaction."""

    def __init__(
        self,
        repository: ScoringRepository,
        entries: EntryRepository,
        models: Models,
        lead_id_for: LeadIdFor,
        now: datetime,
        helpers: Helpers | None = None,
    ) -> None:
        """Without `helpers` large batches are folded here alone."""
        self._repository = repository
        self._entries = entries
        self._models = models
        self._lead_id_for = lead_id_for
        self._linked = Linked(entries, lead_id_for)
        self._now = now
        self._helpers = helpers

    async def score(
        self, fresh: Mapping[Key, Activity], bodies: Mapping[Key, str], publish: Publish
    ) -> list[OutboxRow]:
        """Place, fold and store `fresh`; what is to be published goes to `publish`, and what of it is left is returned.

        Raises LostRaceError when another worker changed the same leads meanwhile: roll back and start over.
        """
        work = await self._place(fresh)
        if work.placement.clusters:
            await self._resolve(work)
            work.sort_by_lead()
        waiting = await self._claim(work.placement.owners)
        async with Writing(self._repository, publish) as writing:
            # New leads are written below their identifiers: whoever claims those first makes them.
            writing.begin(partial(self._repository.put_owners, work.placement.owners, work.known))
            writing.begin(partial(self._store, work, bodies))
            again = await self._fold_others(work, waiting, bodies, writing)
        if again:
            await self._fold_again(work, again)
        return await self._write(work)

    async def _store(self, work: Work, bodies: Mapping[Key, str]) -> None:
        lead_of = work.placement.lead_of
        placed = [(lead_of[key], activity) for key, activity in work.fresh.items()]
        await self._repository.add_activities(placed, bodies, self._now)

    async def resolve_again(self, rows: Mapping[str, LeadRow], word: Word | None = None) -> list[OutboxRow]:
        """Resolve and fold these locked leads anew, after somebody's `word`; returns what is to be published.

        Raises LostRaceError as `score`.
        """
        placement = Placement(clusters=[set(rows)])
        work = Work({}, placement, {}, dict(rows), word=word)
        await self._resolve(work)
        if word is not None and word.link.kind == PARTED:
            work.word = replace(word, other=work.redirects.get(word.link.other, word.other))
        await self._repository.put_owners(work.placement.owners, work.known)
        await self._renew_all(work)
        return await self._write(work)

    async def _write(self, work: Work) -> list[OutboxRow]:
        """Write what is not written yet; returns what of it is to be published."""
        await self._repository.put_leads(work.rows.values())
        await self._repository.move_activities(work.moves)
        await self._note_verdicts(work)
        if work.redirects:
            await self._repository.redirect(work.redirects)
            await self._repository.note_merges(work.merged)
        await self._linked.note(work.placement)
        return [*work.published, *(tombstone(lead_id, into) for lead_id, into in work.merged.items())]

    async def _place(self, fresh: Mapping[Key, Activity]) -> Work:
        known = await self._repository.owners(identifiers_of(fresh.values()))
        placement = place(fresh.values(), known, self._lead_id_for)
        known = await self._linked.unite(placement, known)
        touched = {*placement.lead_of.values(), *(lead_id for cluster in placement.clusters for lead_id in cluster)}
        rows = await self._repository.lock_leads(touched)
        check_unmoved(known, touched, rows)
        work = Work(fresh, placement, dict(known.owners), rows)
        work.sort_by_lead()
        return work

    async def _resolve(self, work: Work) -> None:
        """Resolve the leads of every cluster again from all their activities, and fold each anew."""
        clustered = {lead_id for cluster in work.placement.clusters for lead_id in cluster}
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
        waiting = await self._claim({one: owners[one] for one in named if owners[one].lead_id in clustered})
        for lead_id, came_first in waiting.items():
            stored[lead_id] += came_first
        resolved = [
            self._resolved({one: states[one] for one in cluster if one in states}, cluster, activities, owners, links)
            for cluster in work.placement.clusters
        ]
        await self._lock_former(work, resolved)
        for cluster, leads in zip(work.placement.clusters, resolved, strict=True):
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

    async def _fold_others(
        self, work: Work, waiting: Mapping[str, Sequence[Entry]], bodies: Mapping[Key, str], writing: Writing
    ) -> list[Advanced]:
        """Bring all leads up to date; of those in no cluster the new activities alone are folded.

        Returns those of which that is not enough.
        """
        await self._renew_all(work)
        again: list[Advanced] = []
        arrivals = self._arrivals(work, waiting)
        large = len(arrivals) >= LEADS_WORTH_A_HELPER
        helper = self._helpers.idle() if large and self._helpers is not None else None
        async with aclosing(Sharing(self._models, arrivals, bodies, self._now, helper).advanced()) as pieces:
            async for leads in pieces:
                again += work.take(leads)
                if len(work.ready) >= TOGETHER:
                    writing.write(*work.take_ready())
        return again

    def _arrivals(self, work: Work, waiting: Mapping[str, Sequence[Entry]]) -> list[Arrival]:
        claimed: dict[str, list[Identifier]] = defaultdict(list)
        for identifier, owner in work.placement.owners.items():
            claimed[owner.lead_id].append(identifier)
        arrivals = [
            Arrival(work.row_of(lead_id), activities, claimed.get(lead_id, ()), waiting.get(lead_id))
            for lead_id, activities in work.by_lead.items()
            if lead_id not in work.clustered
        ]
        for arrival in arrivals:
            if (at := work.placement.joined.get(arrival.row.id)) is not None:
                arrival.row.joined_at = max(at, arrival.row.joined_at or at)
        return arrivals

    async def _fold_again(self, work: Work, again: Sequence[Advanced]) -> None:
        """Fold leads from all that is stored of them, which what came new is by now."""
        ids = [lead.row.id for lead in again]
        history, entries = await self._repository.activities_of(ids), await self._entries.of(ids)
        slices = Slices()
        for lead in again:
            await slices.give_way()
            before = LeadState.unpack(lead.row.state)
            models, now = self._models.serving(before), before.instant(self._now)
            state = refold(models, history[lead.row.id], lead.again or (), now, entries[lead.row.id])
            self._renew(work, lead.row, state, models, "verdict" if lead.taken_back else "activity")

    async def _claim(self, owned: Mapping[Identifier, Owner]) -> Mapping[str, Sequence[Entry]]:
        """Entries that came before the activities of their lead, as they do where a database is filled again."""
        if not await self._entries.any_waiting():
            return {}
        return await self._entries.claim({self._lead_id_for(one): owner.lead_id for one, owner in owned.items()})

    async def _note_verdicts(self, work: Work) -> None:
        if work.unpaid:
            await self._entries.add_verdicts(work.unpaid, self._now)

    async def _renew_all(self, work: Work) -> None:
        """As `_renew`, for all leads of clusters."""
        merged_from: dict[str, dict[str, int]] = defaultdict(dict)
        for lead_id, survivor in sorted(work.merged.items()):
            merged_from[survivor][lead_id] = work.rows[lead_id].version
        slices = Slices()
        for lead_id, state in work.states.items():
            await slices.give_way()
            cause = "merge" if merged_from[lead_id] or work.word else "activity"
            self._renew(work, work.rows[lead_id], state, self._models, cause, merged_from[lead_id])

    def _renew(
        self,
        work: Work,
        row: LeadRow,
        state: LeadState,
        models: Models,
        cause: str,
        merged_from: Mapping[str, int] = NOBODY,
    ) -> None:
        """Bring the row of a lead up to its new state, and make the records of that."""
        change = bring_up(row, state, models, work.by_lead.get(row.id, ()), cause, self._now, merged_from)
        change = replace(change, word=work.word, unmerged_from=work.parted.get(row.id))
        work.take([Advanced(row, told(change, models), state.judgement.unpaid)])


def _former(row: LeadRow, own: Iterable[Activity], stored_under: Mapping[Key, str]) -> str | None:
    """The lead that one was a part of which comes back, or comes to be with nothing but what was stored under that."""
    if row.merged_into is not None or row.version:
        return row.merged_into
    origins = {stored_under.get((one.source, one.id)) for one in own}
    return origins.pop() if len(origins) == 1 else None
