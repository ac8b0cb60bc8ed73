"""All SQL of the consumer: set-wise on plain asyncpg. Locks: leads first, sorted; then handoffs, sorted."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import asyncpg
import orjson

from services.handoff.core.crossing import Memory
from services.handoff.core.states import OPEN, UNANSWERED

COLUMNS = "id::text, lead_id::text, rule, cycle, state, queue, mode, crossed_at, handed_over_at, close_at"
"""Of a handoff, in the order of HandoffRow."""
Place = tuple[str, str]
"""Lead id and rule."""


@dataclass(slots=True)
class LeadRow:
    """What is known of a lead: the last judged version, where it was merged into, its scores in cents by model."""

    id: str
    version: int
    merged_into: str | None
    scores: dict[str, int | None]


@dataclass(slots=True)
class HandoffRow:
    """One handoff."""

    id: str
    lead_id: str
    rule: str
    cycle: int
    state: str
    queue: str
    mode: str
    crossed_at: datetime
    handed_over_at: datetime
    close_at: datetime


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One step of a handoff."""

    handoff_id: str
    state: str
    at: datetime
    by: str | None = None
    reason: str | None = None
    until: datetime | None = None


class HandoffRepository:
    """The statements of one transaction on `conn`."""

    def __init__(self, conn: asyncpg.Connection) -> None:
        self._conn = conn

    async def lock_leads(self, ids: Collection[str]) -> dict[str, LeadRow]:
        """Lock the leads, making those that are new; new ones have version 0."""
        ordered = sorted(ids)
        await self._conn.execute(
            "INSERT INTO handoff.lead (id) SELECT * FROM unnest($1::uuid[]) ON CONFLICT DO NOTHING", ordered
        )
        rows = await self._conn.fetch(
            "SELECT id::text, version, merged_into::text, scores FROM handoff.lead WHERE id = ANY($1::uuid[])"
            " ORDER BY id FOR UPDATE",
            ordered,
        )
        return {row[0]: LeadRow(row[0], row[1], row[2], orjson.loads(row[3])) for row in rows}

    async def memories(self, ids: Collection[str]) -> dict[Place, Memory]:
        """The memories of locked leads."""
        rows = await self._conn.fetch(
            "SELECT lead_id::text, rule, armed, previous, cycle, crossed_at, open_handoff::text FROM handoff.crossing"
            " WHERE lead_id = ANY($1::uuid[])",
            list(ids),
        )
        return {(row[0], row[1]): Memory(*row[2:]) for row in rows}

    async def open_handoffs(self, ids: Collection[str]) -> dict[str, HandoffRow]:
        """Those of the handoffs that are open, locked."""
        rows = await self._conn.fetch(
            f"SELECT {COLUMNS} FROM handoff.handoff WHERE id = ANY($1::uuid[]) AND state = ANY($2::text[])"
            " ORDER BY id FOR UPDATE",
            sorted(ids),
            sorted(OPEN),
        )
        return {row[0]: HandoffRow(*row) for row in rows}

    async def lock_handoff(self, handoff_id: str) -> HandoffRow | None:
        """One handoff in any state, locked."""
        row = await self._conn.fetchrow(
            f"SELECT {COLUMNS} FROM handoff.handoff WHERE id = $1::uuid FOR UPDATE",
            handoff_id,
        )
        return HandoffRow(*row) if row else None

    async def due_handoffs(self, now: datetime, limit: int) -> list[HandoffRow]:
        """Handoffs without an answer whose time is over, locked."""
        rows = await self._conn.fetch(
            f"SELECT {COLUMNS} FROM handoff.handoff WHERE close_at <= $1 AND state IN ('qualified', 'assigned')"
            " ORDER BY close_at LIMIT $2 FOR UPDATE SKIP LOCKED",
            now,
            limit,
        )
        return [HandoffRow(*row) for row in rows]

    async def put_leads(self, rows: Iterable[LeadRow]) -> None:
        """Write locked leads."""
        ordered = sorted(rows, key=lambda row: row.id)
        await self._conn.execute(
            "UPDATE handoff.lead l SET version = n.version, merged_into = n.merged_into, scores = n.scores"
            " FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::jsonb[]) AS n(id, version, merged_into, scores)"
            " WHERE l.id = n.id",
            [row.id for row in ordered],
            [row.version for row in ordered],
            [row.merged_into for row in ordered],
            [orjson.dumps(row.scores).decode() for row in ordered],
        )

    async def put_memories(self, memories: Mapping[Place, Memory]) -> None:
        """Insert or replace memories."""
        ordered = sorted(memories)
        values = [memories[place] for place in ordered]
        await self._conn.execute(
            "INSERT INTO handoff.crossing (lead_id, rule, armed, previous, cycle, crossed_at, open_handoff)"
            " SELECT * FROM unnest($1::uuid[], $2::text[], $3::bool[], $4::int[], $5::int[], $6::timestamptz[],"
            " $7::uuid[]) ON CONFLICT (lead_id, rule) DO UPDATE SET armed = excluded.armed,"
            " previous = excluded.previous, cycle = excluded.cycle, crossed_at = excluded.crossed_at,"
            " open_handoff = excluded.open_handoff",
            [lead_id for lead_id, _ in ordered],
            [rule for _, rule in ordered],
            [memory.armed for memory in values],
            [memory.previous for memory in values],
            [memory.cycle for memory in values],
            [memory.crossed_at for memory in values],
            [memory.open_handoff for memory in values],
        )

    async def forget(self, lead_ids: Collection[str]) -> None:
        """Drop the memories of leads that were merged into another."""
        await self._conn.execute("DELETE FROM handoff.crossing WHERE lead_id = ANY($1::uuid[])", list(lead_ids))

    async def add_handoffs(self, rows: Collection[HandoffRow]) -> None:
        """Store new handoffs."""
        await self._conn.execute(
            "INSERT INTO handoff.handoff (id, lead_id, rule, cycle, state, queue, mode, crossed_at, handed_over_at,"
            " close_at) SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::int[], $5::text[], $6::text[],"
            " $7::text[], $8::timestamptz[], $9::timestamptz[], $10::timestamptz[])",
            *([getattr(row, name) for row in rows] for name in HandoffRow.__slots__),
        )

    async def move(self, steps: Collection[HistoryRow]) -> dict[str, int]:
        """Put handoffs into their new states, at most one step each; returns the numbers of the steps."""
        await self._conn.execute(
            "UPDATE handoff.handoff h SET state = n.state FROM unnest($1::uuid[], $2::text[]) AS n(id, state)"
            " WHERE h.id = n.id",
            [step.handoff_id for step in steps],
            [step.state for step in steps],
        )
        return await self.add_history(steps)

    async def add_history(self, steps: Collection[HistoryRow]) -> dict[str, int]:
        """Append to the history of handoffs, at most one step each; returns the number each step got."""
        rows = await self._conn.fetch(
            "INSERT INTO handoff.history (handoff_id, number, state, at, by, reason, until)"
            " SELECT n.id, (SELECT count(*) + 1 FROM handoff.history h WHERE h.handoff_id = n.id), n.state, n.at, n.by,"
            " n.reason, n.until FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::text[], $5::text[],"
            " $6::timestamptz[]) AS n(id, state, at, by, reason, until) RETURNING handoff_id::text, number",
            [step.handoff_id for step in steps],
            [step.state for step in steps],
            [step.at for step in steps],
            [step.by for step in steps],
            [step.reason for step in steps],
            [step.until for step in steps],
        )
        return {row[0]: row[1] for row in rows}

    async def install(self, now: datetime) -> datetime:
        """The instant of this handoff's very first start; noted when it is now."""
        await self._conn.execute("INSERT INTO handoff.installation VALUES (1, $1) ON CONFLICT DO NOTHING", now)
        noted: datetime = await self._conn.fetchval("SELECT installed_at FROM handoff.installation")
        return noted


def is_overdue(row: HandoffRow, at: datetime) -> bool:
    """Whether nobody answered in time."""
    return row.state in UNANSWERED and row.close_at <= at
