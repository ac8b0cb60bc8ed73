"""Entries of leads taken in: stored, and folded into the lead at once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import uuid4

import asyncpg

from services.scoring.core.commands import GivePoints
from services.scoring.core.entries import POINTS, Entry, manual_of, points_entry
from services.scoring.core.events import points_given, told
from services.scoring.core.lead import LeadState, Models, is_current, refold
from services.scoring.core.linking import LeadIdFor
from services.scoring.core.openings import OPENING
from services.scoring.entry_repository import EntryRepository
from services.scoring.lead_row import LeadRow
from services.scoring.renewal import renew
from services.scoring.repository import ScoringRepository
from shared.errors import FieldFault, ProblemError
from shared.events import OutboxRow

CAUSE = "manual"


@dataclass(frozen=True, slots=True)
class Work:
    """What every change of single leads works with: a connection inside a transaction, models, ids, the time.

    `base_id_for` is the plain keyed hash of an identifier; `lead_id_for` differs from it for those that were erased.
    """

    conn: asyncpg.Connection
    models: Models
    lead_id_for: LeadIdFor
    base_id_for: LeadIdFor
    now: datetime


async def give_points(work: Work, lead_id: str, wanted: GivePoints, author: str) -> list[OutboxRow]:
    """Give points by hand; returns what is to be published, nothing where the id is known.

    Raises ProblemError 404 for an unknown lead, 409 where the id stands for something else, 422 for points that would
    have expired already.
    """
    row = await lock_lead(work, lead_id)
    known = await EntryRepository(work.conn).find(POINTS, wanted.id) if wanted.id is not None else None
    if known is not None:
        _check_same(known, row.id, wanted)
        return []
    if wanted.expires_at is not None and wanted.expires_at <= work.now:
        fault = FieldFault("/expires_at", "expected an instant in the future")
        raise ProblemError(422, "invalid_fields", "Some fields are not as expected.", [fault])
    given = points_entry(wanted.id or str(uuid4()), _anchor(work, row), work.now, wanted.given(author, work.now))
    return await _take(work, row, [given])


async def give_again(work: Work, lead_id: str, given: Entry) -> list[OutboxRow]:
    """Take in points that were given before this database was put back; nothing where they are known."""
    return await _take(work, await lock_lead(work, lead_id), [given])


def _check_same(known: tuple[str | None, Entry], lead_id: str, wanted: GivePoints) -> None:
    owner, entry = known
    given = manual_of([entry])[0]
    if (owner, given.points, given.reason, given.expires_at) != (
        lead_id,
        wanted.points,
        wanted.reason,
        wanted.expires_at,
    ):
        raise ProblemError(409, "id_taken", "This id stands for other points already.")


async def lock_lead(work: Work, lead_id: str) -> LeadRow:
    """Lock the lead that an id leads to. Raises ProblemError 404."""
    row = await ScoringRepository(work.conn).lock_lead(lead_id)
    if row is None:
        raise not_found()
    return row


def not_found() -> ProblemError:
    """The answer to an unknown id."""
    return ProblemError(404, "lead_not_found", "There is no lead with this id.")


async def take_recyclings(work: Work, lead_id: str, entries: Sequence[Entry]) -> list[OutboxRow]:
    """Store that sales sent a lead back. Where its activities have yet to come, the entries wait for them."""
    row = await ScoringRepository(work.conn).lock_lead(lead_id)
    if row is None:
        await EntryRepository(work.conn).add((None, entry) for entry in entries)
        return []
    anchor = _anchor(work, row)
    return await _take(work, row, [replace(entry, anchor=anchor) for entry in entries])


def _anchor(work: Work, row: LeadRow) -> str:
    return work.lead_id_for(LeadState.unpack(row.state).profile.identifiers[0])


async def _take(work: Work, row: LeadRow, entries: Sequence[Entry]) -> list[OutboxRow]:
    """Store `entries` of a locked lead and fold them in; returns what is to be published for those that are new."""
    new = await EntryRepository(work.conn).add((row.id, entry) for entry in entries)
    if not new:
        return []
    state = await _with_entries(work, row)
    models = work.models.serving(state)
    change = renew(row, state, models, CAUSE, work.now)
    await ScoringRepository(work.conn).put_leads([row])
    given = [points_given(row.id, entry) for entry in entries if entry.kind == POINTS and (entry.kind, entry.id) in new]
    return [*told(change, models), *given]


async def _with_entries(work: Work, row: LeadRow) -> LeadState:
    """The lead with all its entries; folded again unless only points given by hand changed."""
    state = LeadState.unpack(row.state)
    entries = (await EntryRepository(work.conn).of([row.id]))[row.id]
    serving = work.models.serving(state)
    if is_current(serving, state) and all(entry.kind in (POINTS, OPENING) for entry in entries):
        state.manual = manual_of(entries)
        return state
    history = await ScoringRepository(work.conn).activities_of([row.id])
    return refold(serving, history[row.id], state.profile.identifiers, state.instant(work.now), entries)
