"""Erasing a lead: everything that could name a person leaves PostgreSQL at once; what goes on is told on the topics."""

from collections.abc import Collection
from datetime import datetime

import asyncpg

from services.scoring.account_repository import AccountRepository
from services.scoring.core.events import lead_erased, tombstone
from services.scoring.core.lead import LeadState
from services.scoring.entering import Work, not_found
from services.scoring.erasures import LOCK
from services.scoring.repository import ScoringRepository
from shared.events import OutboxRow
from shared.identity import Identifier


async def erase(work: Work, lead_id: str) -> list[OutboxRow]:
    """Erase a lead and everything merged into it; nothing where it was erased before.

    Raises ProblemError 404 for an id that was never a lead's.
    """
    conn = work.conn
    await conn.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
    row = await ScoringRepository(conn).lock_lead(lead_id)
    if row is None:
        if not await conn.fetchval("SELECT EXISTS (SELECT FROM scoring.erasure WHERE hash = $1::uuid)", lead_id):
            raise not_found()
        return []
    ids = await with_merged(conn, [row.id])
    owned = await conn.fetch("SELECT kind, value FROM scoring.identifier WHERE lead_id = ANY($1::uuid[])", ids)
    identifiers = {*LeadState.unpack(row.state).profile.identifiers, *(Identifier(*one) for one in owned)}
    hashes = sorted({work.base_id_for(identifier) for identifier in identifiers})
    anchors = sorted({*ids, *hashes, *(work.lead_id_for(identifier) for identifier in identifiers)})
    await delete_leads(conn, ids, anchors)
    await note_erasure(conn, row.id, {*hashes, *ids}, work.now)
    return [*(tombstone(one) for one in ids), lead_erased(row.id, ids, hashes, work.now)]


async def with_merged(conn: asyncpg.Connection, lead_ids: Collection[str]) -> list[str]:
    """Leads, and those that were merged into them, each only if it is there."""
    rows = await conn.fetch(
        "WITH RECURSIVE merged AS (SELECT id FROM scoring.lead WHERE id = ANY($1::uuid[]) UNION SELECT l.id"
        " FROM scoring.lead l JOIN merged m ON l.merged_into = m.id) SELECT id::text FROM merged",
        list(lead_ids),
    )
    return [row[0] for row in rows]


async def note_erasure(conn: asyncpg.Connection, lead_id: str, hashes: Collection[str], at: datetime) -> None:
    """Keep what lets anything said before `at` about these be dropped."""
    await conn.execute(
        "INSERT INTO scoring.erasure (hash, lead_id, erased_at)"
        " SELECT hash, $2::uuid, $3 FROM unnest($1::uuid[]) AS h(hash)",
        sorted(hashes),
        lead_id,
        at,
    )


async def delete_leads(conn: asyncpg.Connection, ids: Collection[str], anchors: Collection[str]) -> None:
    """Take leads away, with all that stands under these ids and `anchors`; accounts will forget them."""
    # Their ids stay, so that none of them counts again; what they said does not, not even as a fingerprint.
    await conn.execute(
        "UPDATE scoring.activity_key k SET fingerprint = '' FROM scoring.activity a"
        " WHERE a.lead_id = ANY($1::uuid[]) AND k.source = a.source AND k.id = a.id",
        ids,
    )
    await conn.execute(
        "UPDATE scoring.activity_key SET fingerprint = '', anchor = NULL WHERE anchor = ANY($1::uuid[])", anchors
    )
    await conn.execute(
        "DELETE FROM scoring.verdict v USING scoring.activity a"
        " WHERE a.lead_id = ANY($1::uuid[]) AND v.source = a.source AND v.id = a.id",
        ids,
    )
    for statement in (
        "DELETE FROM scoring.activity WHERE lead_id = ANY($1::uuid[])",
        "DELETE FROM scoring.identifier WHERE lead_id = ANY($1::uuid[])",
        "DELETE FROM scoring.due WHERE lead_id = ANY($1::uuid[])",
        "DELETE FROM scoring.lead_merge WHERE merged_id = ANY($1::uuid[]) OR survivor_id = ANY($1::uuid[])",
        "DELETE FROM scoring.lead WHERE id = ANY($1::uuid[])",
    ):
        await conn.execute(statement, ids)
    await conn.execute(
        "DELETE FROM scoring.entry WHERE lead_id = ANY($1::uuid[]) OR anchor = ANY($2::uuid[])", ids, anchors
    )
    await conn.execute("DELETE FROM scoring.link WHERE survivor = ANY($1::uuid[]) OR other = ANY($1::uuid[])", anchors)
    await AccountRepository(conn).forget(ids)
