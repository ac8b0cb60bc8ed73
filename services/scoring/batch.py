"""New activities of a batch to new states of their leads, inside one transaction.

The order is: whom do they belong to, lock those leads, fold, write. What is decided is decided in core; here it is only
loaded and saved, set-wise. The activities themselves are stored while their leads are folded, and so are those leads
that are ready: the database works on the one while this process does the other.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from functools import partial

from services.scoring.advancing import Advanced, Arrival, bring_up
from services.scoring.core.entries import Entry
from services.scoring.core.events import Word, told, tombstone
from services.scoring.core.lead import LeadState, Models, refold
from services.scoring.core.linking import LeadIdFor, Placement, place
from services.scoring.core.links import PARTED
from services.scoring.core.profile import identifiers_of
from services.scoring.entry_repository import EntryRepository
from services.scoring.helper import Helpers
from services.scoring.lead_row import LeadRow
from services.scoring.linked import Linked
from services.scoring.renewal import NOBODY
from services.scoring.repository import Key, ScoringRepository
from services.scoring.resolving import AT_ONCE, Resolving, claim_waiting
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
        self._resolving = Resolving(repository, entries, self._linked, models, lead_id_for, now)
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
            await self._resolving.resolve(work)
            work.sort_by_lead()
        waiting = await claim_waiting(self._entries, work.placement.owners, self._lead_id_for)
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
        await self._resolving.resolve(work)
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
        slices = Slices()
        for start in range(0, len(again), AT_ONCE):
            some = again[start : start + AT_ONCE]
            ids = [lead.row.id for lead in some]
            history, entries = await self._repository.activities_of(ids), await self._entries.of(ids)
            for lead in some:
                await slices.give_way()
                before = LeadState.unpack(lead.row.state)
                models, now = self._models.serving(before), before.instant(self._now)
                state = refold(models, history[lead.row.id], lead.again or (), now, entries[lead.row.id])
                self._renew(work, lead.row, state, models, "verdict" if lead.taken_back else "activity")

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
