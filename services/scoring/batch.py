"""New activities of a batch to new states of their leads, inside one transaction.

The order is: whom do they belong to, lock those leads, fold, write. What is decided is decided in core; here it is only
loaded and saved, set-wise. The activities themselves are stored while their leads are folded, and so are those leads
that are ready: the database works on the one while this process does the other.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from services.scoring.core.engine import signals_of
from services.scoring.core.entries import Entry
from services.scoring.core.events import Change, SignalFired, Word, told, tombstone
from services.scoring.core.lead import LeadState, Models, advance, refold
from services.scoring.core.linking import (
    NOT_YET,
    LeadIdFor,
    Owner,
    Placement,
    Resolved,
    Standing,
    place,
    resolve_cluster,
)
from services.scoring.core.links import NO_LINKS, Links, links_among
from services.scoring.core.openings import REMOVED, facts_of
from services.scoring.core.profile import identifiers_of
from services.scoring.entry_repository import EntryRepository
from services.scoring.renewal import NOBODY, renew
from services.scoring.repository import Key, LeadRow, LostRaceError, ScoringRepository
from services.scoring.work import Work, check_unmoved, new_row
from services.scoring.writing import TOGETHER, Publish, Writing
from shared.activity import SILENT, Activity
from shared.identity import Identifier
from shared.outbox import OutboxRow
from shared.slices import Slices

UNPACKED = 50
"""So many leads are unpacked at a time."""


class BatchScoring:
    """Scores the new activities of one transaction."""

    def __init__(
        self,
        repository: ScoringRepository,
        entries: EntryRepository,
        models: Models,
        lead_id_for: LeadIdFor,
        now: datetime,
    ) -> None:
        self._repository = repository
        self._entries = entries
        self._models = models
        self._lead_id_for = lead_id_for
        self._now = now

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
        waiting = await self._waiting(work)
        writing = Writing(self._repository, publish)
        # New leads are written below their identifiers: whoever claims those first makes them.
        writing.begin(partial(self._repository.put_owners, work.placement.owners, work.known))
        writing.begin(partial(self._store, work, bodies))
        try:
            again = await self._fold_others(work, waiting, writing)
        finally:
            await writing.end()
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
        return [*work.published, *(tombstone(lead_id, into) for lead_id, into in work.merged.items())]

    async def _place(self, fresh: Mapping[Key, Activity]) -> Work:
        known = await self._repository.owners(identifiers_of(fresh.values()))
        placement = place(fresh.values(), known.owners, set(known.with_email), self._lead_id_for)
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
        owners = await self._owners_of(work, identifiers_of(item for items in activities.values() for item in items))
        links = await self._links(identifiers_of(item for items in activities.values() for item in items))
        for cluster in work.placement.clusters:
            items = [item for lead_id in cluster for item in activities[lead_id]]
            resolved = resolve_cluster(
                [
                    Standing(
                        lead_id,
                        states[lead_id].profile.identifiers,
                        min((item.order for item in known[lead_id]), default=NOT_YET),
                    )
                    for lead_id in cluster
                    if lead_id in states
                ],
                items,
                {identifier for identifier in identifiers_of(items) if owners[identifier].lead_id not in cluster},
                self._lead_id_for,
                links.joined,
                links.parted,
                [lead_id for lead_id in cluster if lead_id in work.rows and work.rows[lead_id].merged_into],
            )
            entries = await self._placed(resolved, {lead_id: stored[lead_id] for lead_id in cluster})
            self._take(work, resolved, {lead_id: history[lead_id] for lead_id in cluster if lead_id in states}, entries)

    async def _links(self, identifiers: Collection[Identifier]) -> Links:
        if not await self._entries.any_links():
            return NO_LINKS
        said = await self._entries.links_of([self._lead_id_for(identifier) for identifier in identifiers])
        return links_among(said, identifiers, self._lead_id_for)

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
    ) -> None:
        stored_under = {(item.source, item.id): lead_id for lead_id, items in history.items() for item in items}
        for lead_id, group in resolved.groups.items():
            row = work.rows.setdefault(lead_id, new_row(lead_id))
            row.epoch, row.merged_into = row.epoch + 1, None
            own = [item for item in group.activities if item.type != REMOVED]
            work.states[lead_id] = refold(self._models, own, group.identifiers, self._now, entries.get(lead_id, ()))
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
        self, work: Work, waiting: Mapping[str, Sequence[Entry]], writing: Writing
    ) -> dict[str, Sequence[Identifier]]:
        """Bring all leads up to date; of those in no cluster the new activities alone are folded.

        Some at a time, so that no more than these are unpacked. Returns those of which that is not enough, with their
        identifiers.
        """
        await self._renew_all(work)
        claimed: dict[str, list[Identifier]] = defaultdict(list)
        for identifier, owner in work.placement.owners.items():
            claimed[owner.lead_id].append(identifier)
        again: dict[str, Sequence[Identifier]] = {}
        slices = Slices()
        others = [lead_id for lead_id in work.by_lead if lead_id not in work.clustered]
        for start in range(0, len(others), UNPACKED):
            await slices.give_way()
            if len(work.ready) >= TOGETHER:
                writing.write(*work.take_ready())
            again |= self._fold_some(work, others[start : start + UNPACKED], claimed, waiting)
        return again

    def _fold_some(
        self,
        work: Work,
        lead_ids: Sequence[str],
        claimed: Mapping[str, Sequence[Identifier]],
        waiting: Mapping[str, Sequence[Entry]],
    ) -> dict[str, Sequence[Identifier]]:
        # Step by step for all of them, not lead by lead: so the processor finds code and data near.
        known = {
            lead_id: LeadState.unpack(row.state)
            for lead_id in lead_ids
            if (row := work.rows.get(lead_id)) is not None and row.state
        }
        folded: dict[str, LeadState] = {}
        again: dict[str, Sequence[Identifier]] = {}
        for lead_id in lead_ids:
            state, activities, own = known.get(lead_id), work.by_lead[lead_id], claimed.get(lead_id, ())
            if state is None:
                row = work.rows.setdefault(lead_id, new_row(lead_id))
                row.merged_into = None
                folded[lead_id] = refold(self._models, activities, own, self._now, waiting.get(lead_id, ()))
                continue
            if own:
                state.profile.own(own)
            models = self._models.serving(state)
            if models is not self._models:
                work.serving[lead_id] = models
            if lead_id not in waiting and advance(models, state, activities, self._now):
                folded[lead_id] = state
                continue
            again[lead_id] = state.profile.identifiers
            if state.judgement.taken_back:
                work.taken_back.add(lead_id)
        self._renew(work, folded)
        return again

    async def _fold_again(self, work: Work, again: Mapping[str, Sequence[Identifier]]) -> None:
        """Fold leads from all that is stored of them, which what came new is by now."""
        history, entries = await self._repository.activities_of(again), await self._entries.of(again)
        slices = Slices()
        for lead_id, identifiers in again.items():
            await slices.give_way()
            models = work.serving.get(lead_id, self._models)
            state = refold(models, history[lead_id], identifiers, self._now, entries[lead_id])
            self._renew(work, {lead_id: state})

    async def _waiting(self, work: Work) -> Mapping[str, Sequence[Entry]]:
        """Entries that came before the activities of their lead, as they do where a database is filled again."""
        if not await self._entries.any_waiting():
            return {}
        return await self._entries.claim(
            {self._lead_id_for(identifier): owner.lead_id for identifier, owner in work.placement.owners.items()}
        )

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
            self._renew(work, {lead_id: state}, merged_from[lead_id])

    def _renew(self, work: Work, states: Mapping[str, LeadState], merged_from: Mapping[str, int] = NOBODY) -> None:
        """Bring the rows of leads up to their new states, and make the records of that."""
        changes = [self._changed(work, lead_id, state, merged_from) for lead_id, state in states.items()]
        for lead_id, change in zip(states, changes, strict=True):
            work.ready.append(lead_id)
            work.published += told(change, work.serving.get(lead_id, self._models))

    def _changed(self, work: Work, lead_id: str, state: LeadState, merged_from: Mapping[str, int]) -> Change:
        cause = "merge" if merged_from or work.word else "activity"
        cause = "verdict" if lead_id in work.taken_back else cause
        models, activities = work.serving.get(lead_id, self._models), work.by_lead.get(lead_id, ())
        signals = self._signals(models, state, activities)
        silent = True if activities and _all_silent(activities) else None
        change = renew(work.rows[lead_id], state, models, cause, self._now, merged_from, signals, silent=silent)
        work.unpaid.update(state.judgement.unpaid)
        return replace(change, word=work.word) if work.word else change

    def _signals(self, models: Models, state: LeadState, fresh: Sequence[Activity]) -> list[SignalFired]:
        if not models.signalling:
            return []
        return [
            SignalFired(signal, activity.source, activity.id, activity.occurred_at)
            for activity in fresh
            if (activity.source, activity.id) not in state.judgement.unpaid
            for model in models.live
            for signal in signals_of(model.compiled, activity, state.folds[model.name][1])
        ]


def _all_silent(fresh: Sequence[Activity]) -> bool:
    """Whether all that came is history. Beside anything else it raises what it raises: a crossing is not lost."""
    return bool(fresh) and all(SILENT in activity.flags for activity in fresh)
