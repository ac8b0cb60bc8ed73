"""Folding every stored lead again from nothing and comparing: what `kizashi replay` does. Reads only."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from services.scoring.account_replay import compare_accounts, compare_contacts
from services.scoring.core.entries import Entry
from services.scoring.core.lead import LeadState, Models, is_current, refold
from services.scoring.entry_repository import EntryRepository
from services.scoring.models import ModelsInForce
from services.scoring.replayed import FIRST, Difference, Replay
from services.scoring.repository import ScoringRepository
from shared.activity import Activity
from shared.clock import to_rfc3339

CHUNK = 500
_ROWS = (
    "SELECT lead.id::text, state, score, has_email, search,"
    " ARRAY(SELECT ARRAY[kind, value] FROM scoring.identifier i WHERE i.lead_id = lead.id)"
    " FROM scoring.lead WHERE merged_into IS NULL AND state <> '' AND id > $1 ORDER BY lead.id LIMIT $2"
)


async def replay(
    pool: asyncpg.Pool, models: ModelsInForce, now: datetime, progress: Callable[[int, int], None]
) -> Replay:
    """Compare every lead; `progress` gets how many are done, of how many."""
    found = Replay()
    async with pool.acquire() as conn:
        total = await conn.fetchval("SELECT count(*) FROM scoring.lead WHERE merged_into IS NULL AND state <> ''")
        found.differences += await _uneven(conn)
        after, seen = FIRST, 0
        while chunk := await _compare_chunk(conn, models.current, now, after, found):
            after, seen = chunk[-1], seen + len(chunk)
            progress(seen, max(seen, total))
        found.accounts, differing = await compare_accounts(conn, models.current, now)
        found.differences += differing
    return found


async def _uneven(conn: asyncpg.Connection) -> list[Difference]:
    """Each key that counts must have exactly one stored activity; both are read in one snapshot.

    Those of erased people, of what came without a needed consent, and of what was removed for its age, are taken but
    count no more.
    """
    keys, stored = await conn.fetchrow(
        "SELECT (SELECT count(*) FROM scoring.activity_key WHERE fingerprint <> '' AND anchor IS NULL),"
        " (SELECT count(*) FROM scoring.activity)"
    )
    return [] if keys == stored else [Difference("", "stored activities", stored, keys)]


async def _compare_chunk(
    conn: asyncpg.Connection, models: Models, now: datetime, after: str, found: Replay
) -> Sequence[str]:
    # One snapshot, so that a batch committed meanwhile is seen in the leads and in the activities, or in neither.
    async with conn.transaction(isolation="repeatable_read", readonly=True):
        rows = await conn.fetch(_ROWS, after, CHUNK)
        ids = [row[0] for row in rows]
        history = await ScoringRepository(conn).activities_of(ids) if ids else {}
        entries = await EntryRepository(conn).of(ids) if ids else {}
        folded: dict[str, LeadState] = {}
        for lead_id, packed, *columns in rows:
            state, stored = LeadState.unpack(packed), (history[lead_id], entries[lead_id])
            if (again := _compare(models, lead_id, state, stored, now, found)) is not None:
                folded[lead_id] = again
                found.differences += _beside(models, lead_id, state, columns, now)
        found.differences += await compare_contacts(conn, models, folded)
    return ids


def _compare(
    models: Models,
    lead_id: str,
    stored: LeadState,
    history: tuple[Collection[Activity], Collection[Entry]],
    now: datetime,
    found: Replay,
) -> LeadState | None:
    """Returns the lead folded again, None where it was not compared."""
    activities, entries = history
    found.leads += 1
    found.activities += len(activities)
    if not is_current(models, stored) or (stored.ahead_at is not None and stored.ahead_at <= now):
        found.waiting += 1
        return None
    folded = refold(models, activities, stored.profile.identifiers, now, entries)
    ours, theirs = _shown(models, stored, now), _shown(models, folded, now)
    found.differences += [
        Difference(lead_id, what, ours[what], theirs[what]) for what in ours if ours[what] != theirs[what]
    ]
    return folded


def _beside(models: Models, lead_id: str, state: LeadState, columns: Sequence[Any], now: datetime) -> list[Difference]:
    """Where what stands beside a state, for lists and for finding a lead, is not what the state says."""
    score, has_email, search, names = columns
    profile = state.profile
    evaluated = state.evaluation(models.primary, state.seen_at or state.instant(now)).score
    wanted = None if evaluated is None else evaluated / 100
    ours = {"has e-mail": has_email, "search text": search, "owned identifiers": sorted(map(tuple, names))}
    theirs = {
        "has e-mail": profile.has_email,
        "search text": profile.search_text,
        "owned identifiers": sorted(tuple(name) for name in profile.identifiers),
    }
    if not _as_last_seen(score, wanted, fades=state.due_at is not None):
        ours, theirs = ours | {"listed score": score}, theirs | {"listed score": wanted}
    return [Difference(lead_id, what, ours[what], theirs[what]) for what in ours if ours[what] != theirs[what]]


def _as_last_seen(score: float | None, wanted: float | None, *, fades: bool) -> bool:
    """The timer may have looked since the last publication, and publishes when a point is lost."""
    if score is None or wanted is None or not fades:
        return score == wanted
    return abs(score - wanted) < 1


def _shown(models: Models, state: LeadState, now: datetime) -> Mapping[str, Any]:
    """Everything that a reader could see of a lead, part by part."""
    profile = state.profile
    parts: dict[str, Any] = {
        "identifiers": profile.identifiers_out(),
        "attributes": profile.attributes,
        "recent activities": profile.recent,
        "activities": profile.count,
    }
    parts["manual points"] = [to_rfc3339(one.given_at) for one in state.manual]
    for model in models.live:
        if model.name in state.folds:
            evaluation = state.evaluation(model, state.instant(now))
            parts |= {f"{model.name}: {name}": value for name, value in evaluation.to_json().items()}
    return parts
