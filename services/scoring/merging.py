"""Leads joined by hand and taken apart again: the word is stored, and the leads it is about are resolved anew."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from services.scoring.batch import BatchScoring
from services.scoring.core.events import Word
from services.scoring.core.lead import LeadState
from services.scoring.core.linking import Standing
from services.scoring.core.links import JOINED, PARTED, Link, ties
from services.scoring.core.openings import facts_of
from services.scoring.core.profile import identifiers_of
from services.scoring.core.resolution import NOT_YET
from services.scoring.entering import Work, not_found
from services.scoring.entry_repository import EntryRepository
from services.scoring.lead_row import LeadRow
from services.scoring.linked import Linked
from services.scoring.repository import LostRaceError, ScoringRepository
from shared.activity import Activity
from shared.errors import ProblemError
from shared.events import OutboxRow


async def merge(work: Work, lead_id: str, with_id: str, author: str) -> list[OutboxRow]:
    """Make two leads one, whatever their e-mails; nothing where they are already.

    Raises ProblemError 404 for an unknown lead, LostRaceError when a batch changed them meanwhile: start over.
    """
    repository = ScoringRepository(work.conn)
    ids = [await _standing_id(repository, one) for one in (lead_id, with_id)]
    if ids[0] == ids[1]:
        return []
    # What one of them was taken apart from is kept from the other as well, and may be free for others now.
    apart = await EntryRepository(work.conn).any_parted([one for id_ in ids for one in await _own(work, id_)])
    refused = {other for id_ in ids for other in await _refused(work, id_)} if apart else set[str]()
    locked = await repository.lock_leads({*ids, *refused})
    rows = _standing_rows(locked, ids)
    survivor, other = sorted((_standing(row) for row in rows.values()), key=lambda standing: standing.rank)
    link = Link(JOINED, _anchor(work, survivor), _anchor(work, other))
    names = (survivor.identifiers, other.identifiers)
    holds = await Linked(EntryRepository(work.conn), work.lead_id_for).among([*names[0], *names[1]])
    word = Word(link, survivor.lead_id, other.lead_id, author, ties(link, *names, holds, work.lead_id_for))
    told = await _say(work, word, rows)
    return [*told, *await _resolve_again(work, {*ids, *refused})] if refused else told


async def unmerge(work: Work, lead_id: str, other_id: str, author: str) -> list[OutboxRow]:
    """Let a merged lead stand for itself again, with the activities that came under its own identifiers.

    Raises ProblemError 404 for an unknown lead, 409 where `other_id` is not merged into the lead; LostRaceError as
    `merge`.
    """
    repository = ScoringRepository(work.conn)
    survivor_id = await _standing_id(repository, lead_id)
    is_merged = await repository.survivor_of(other_id) == survivor_id
    refused = await _refused(work, survivor_id) if is_merged else set[str]()
    locked = await repository.lock_leads({survivor_id, other_id, *refused})
    rows = {one: locked[one] for one in (survivor_id, other_id) if one in locked}
    if other_id not in rows:
        raise not_found()
    if rows[other_id].merged_into != survivor_id or not rows[survivor_id].state:
        raise ProblemError(409, "not_merged", "The other lead is not merged into this one.")
    standing = _standing(rows[survivor_id])
    own = {work.lead_id_for(identifier) for identifier in standing.identifiers}
    if other_id not in own:
        raise ProblemError(409, "not_separable", "No identifier of the lead tells which activities were the other's.")
    link = Link(PARTED, _anchor(work, standing), other_id)
    told = await _say(work, Word(link, survivor_id, other_id, author), rows)
    # What was refused to others while the two were one may join them now.
    return [*told, *await _resolve_again(work, {survivor_id, other_id, *refused})] if refused else told


async def say_again(work: Work, word: Word, at: datetime, owned: Mapping[str, str]) -> list[OutboxRow]:
    """Store a word that was said before this database was put back, and let its leads follow it as far as they are
    here: `owned` are the leads that own its anchors. LostRaceError as `merge`.
    """
    entries, ids = EntryRepository(work.conn), set(owned.values())
    await entries.add_link(word.link, word.author, at)
    await entries.lead_to(owned)
    if len(owned) < 2:
        return []
    apart = word.link.kind == PARTED or await entries.any_parted([one for id_ in ids for one in await _own(work, id_)])
    refused = {other for id_ in ids for other in await _refused(work, id_)} if apart else set[str]()
    rows = await ScoringRepository(work.conn).lock_leads({*ids, *owned, word.survivor, word.other})
    told = await _scoring(work).resolve_again(rows, word)
    return [*told, *await _resolve_again(work, {*ids, *refused})] if refused else told


async def _refused(work: Work, lead_id: str) -> set[str]:
    """Leads that share an identifier with the activities of this one, which was refused to one of the two."""
    repository = ScoringRepository(work.conn)
    named = identifiers_of(await _told(work, [lead_id]))
    owning = {owner.lead_id for owner in (await repository.owners(named)).owners.values()}
    return owning.union(await EntryRepository(work.conn).leads_naming(lead_id)) - {lead_id}


async def _say(work: Work, word: Word, rows: Mapping[str, LeadRow]) -> list[OutboxRow]:
    for link in word.each():
        await EntryRepository(work.conn).add_link(link, word.author)
    return await _scoring(work).resolve_again(rows, word)


async def _resolve_again(work: Work, ids: Collection[str]) -> list[OutboxRow]:
    """These leads, and those that the first resolution has split off."""
    repository = ScoringRepository(work.conn)
    owners = await repository.owners(identifiers_of(await _told(work, ids)))
    rows = await repository.lock_leads({*ids, *(owner.lead_id for owner in owners.owners.values())})
    return await _scoring(work).resolve_again(rows)


def _scoring(work: Work) -> BatchScoring:
    return BatchScoring(
        ScoringRepository(work.conn), EntryRepository(work.conn), work.models, work.lead_id_for, work.now
    )


async def _standing_id(repository: ScoringRepository, lead_id: str) -> str:
    found = await repository.survivor_of(lead_id)
    if found is None:
        raise not_found()
    return found


def _standing_rows(locked: Mapping[str, LeadRow], ids: Sequence[str]) -> dict[str, LeadRow]:
    rows = {one: locked[one] for one in ids if one in locked}
    if len(rows) < len(ids) or any(row.merged_into is not None or not row.state for row in rows.values()):
        raise LostRaceError("a lead was merged by another worker")
    return rows


async def _own(work: Work, lead_id: str) -> list[str]:
    """The keyed hashes of what is named in a lead's activities."""
    named = identifiers_of(await _told(work, [lead_id]))
    return [work.lead_id_for(identifier) for identifier in named]


async def _told(work: Work, ids: Collection[str]) -> list[Activity]:
    """The leads' activities, and what is left of those that were removed."""
    stored = await ScoringRepository(work.conn).activities_of(ids)
    entries = await EntryRepository(work.conn).of(ids)
    return [one for lead_id in ids for one in (*stored[lead_id], *facts_of(entries[lead_id]))]


def _standing(row: LeadRow) -> Standing:
    profile = LeadState.unpack(row.state).profile
    return Standing(row.id, profile.identifiers, profile.first or NOT_YET)


def _anchor(work: Work, standing: Standing) -> str:
    """The lead's id where it follows from one of its identifiers, as it nearly always does; else the strongest one."""
    hashes = [work.lead_id_for(identifier) for identifier in standing.identifiers]
    return standing.lead_id if standing.lead_id in hashes else hashes[0]
