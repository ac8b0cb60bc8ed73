"""All SQL of consumers and answers: set-wise on plain asyncpg. Locks: leads first, sorted; then handoffs, sorted."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from datetime import datetime

import asyncpg

from services.handoff.core.crossing import RuleMemory
from services.handoff.core.handoff import Handoff
from services.handoff.core.judging import LeadMemory
from services.handoff.core.ledger import Entry, Ledger
from services.handoff.core.state import encode_state, parse_state

_NAMES = tuple(field.name for field in fields(Handoff))
_TYPES = (
    "uuid text text int text text text text text int timestamptz timestamptz timestamptz timestamptz timestamptz int"
).split()
COLUMNS = ", ".join(_NAMES)
SELECTED = COLUMNS.replace("id", "id::text", 1)
"""Columns of a handoff in the order of the class's fields."""
ARRAYS = ", ".join(f"${number}::{type_}[]" for number, type_ in enumerate(_TYPES, 1))


class HandoffRepository:
    """The statements of one transaction on `conn`."""

    def __init__(self, conn: asyncpg.Connection) -> None:
        self._conn = conn

    async def lock_leads(self, ids: Collection[str]) -> dict[str, LeadMemory]:
        """Lock leads and read their memories; unknown ones are made.

        Made first, so that two workers of which one merges what the other sees for the first time wait for each other.
        """
        ordered = sorted(ids)
        await self._conn.execute(
            "INSERT INTO handoff.lead (id) SELECT * FROM unnest($1::text[]) ON CONFLICT DO NOTHING", ordered
        )
        leads = await self._conn.fetch(
            "SELECT id, version, merged_into, state FROM handoff.lead WHERE id = ANY($1::text[])"
            " ORDER BY id FOR UPDATE",
            ordered,
        )
        rules: dict[str, dict[str, RuleMemory]] = {lead_id: {} for lead_id in ordered}
        for row in await self._conn.fetch(
            "SELECT lead_id, rule, armed, cycle, crossed_at, previous, open_handoff::text, version"
            " FROM handoff.crossing WHERE lead_id = ANY($1::text[])",
            ordered,
        ):
            rules[row[0]][row[1]] = RuleMemory(*row[2:])
        return {
            id_: LeadMemory(version, merged_into, parse_state(state) if state else None, rules[id_])
            for id_, version, merged_into, state in leads
        }

    async def put_leads(self, leads: Mapping[str, LeadMemory]) -> None:
        """Write locked leads; of those merged into another nothing but that is kept."""
        ordered = sorted(leads)
        await self._conn.execute(
            "UPDATE handoff.lead l SET version = n.version, merged_into = n.merged_into, state = n.state"
            " FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bytea[]) AS n(id, version, merged_into, state)"
            " WHERE l.id = n.id",
            ordered,
            [leads[id_].version for id_ in ordered],
            [leads[id_].merged_into for id_ in ordered],
            [_packed(leads[id_]) for id_ in ordered],
        )
        merged = [id_ for id_ in ordered if leads[id_].merged_into is not None]
        if merged:
            await self._conn.execute("DELETE FROM handoff.crossing WHERE lead_id = ANY($1::text[])", merged)
        await self._put_memories(
            [(id_, rule, memory) for id_ in ordered for rule, memory in sorted(leads[id_].rules.items())]
        )

    async def _put_memories(self, rows: Collection[tuple[str, str, RuleMemory]]) -> None:
        await self._conn.execute(
            "INSERT INTO handoff.crossing (lead_id, rule, armed, cycle, crossed_at, previous, open_handoff, version)"
            " SELECT * FROM unnest($1::text[], $2::text[], $3::bool[], $4::int[], $5::timestamptz[], $6::int[],"
            " $7::uuid[], $8::bigint[]) ON CONFLICT (lead_id, rule) DO UPDATE SET armed = excluded.armed,"
            " cycle = excluded.cycle, crossed_at = excluded.crossed_at, previous = excluded.previous,"
            " open_handoff = excluded.open_handoff, version = excluded.version",
            [lead_id for lead_id, _, _ in rows],
            [rule for _, rule, _ in rows],
            [memory.armed for _, _, memory in rows],
            [memory.cycle for _, _, memory in rows],
            [memory.crossed_at for _, _, memory in rows],
            [memory.score for _, _, memory in rows],
            [memory.handoff for _, _, memory in rows],
            [memory.version for _, _, memory in rows],
        )

    async def lock_handoffs(self, ids: Collection[str]) -> list[Handoff]:
        """Those of the handoffs that exist, locked."""
        if not ids:
            return []
        rows = await self._conn.fetch(
            f"SELECT {SELECTED} FROM handoff.handoff WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE", sorted(ids)
        )
        return [Handoff(*row) for row in rows]

    async def due_handoffs(self, now: datetime, limit: int) -> list[Handoff]:
        """Handoffs without an answer whose time is over, locked; those in other hands are left for later."""
        rows = await self._conn.fetch(
            f"SELECT {SELECTED} FROM handoff.handoff WHERE close_at <= $1 AND state IN ('qualified', 'assigned')"
            " ORDER BY close_at LIMIT $2 FOR UPDATE SKIP LOCKED",
            now,
            limit,
        )
        return [Handoff(*row) for row in rows]

    async def put_handoffs(self, ledger: Ledger) -> None:
        """Write what a transaction has done to handoffs: new ones, changed ones, their history."""
        if ledger.born:
            await self._conn.execute(
                f"INSERT INTO handoff.handoff ({COLUMNS}) SELECT * FROM unnest({ARRAYS})",
                *([getattr(handoff, name) for handoff in ledger.born.values()] for name in _NAMES),
            )
        if ledger.changed:
            await self._conn.execute(
                "UPDATE handoff.handoff h SET state = n.state, revision = n.revision"
                " FROM unnest($1::uuid[], $2::text[], $3::int[]) AS n(id, state, revision) WHERE h.id = n.id",
                list(ledger.changed),
                [handoff.state for handoff in ledger.changed.values()],
                [handoff.revision for handoff in ledger.changed.values()],
            )
        if ledger.history:
            await self._add_history(ledger.history)

    async def _add_history(self, entries: Iterable[Entry]) -> None:
        ordered = list(entries)
        await self._conn.execute(
            "INSERT INTO handoff.history (handoff_id, number, state, at, by, reason, until) SELECT * FROM"
            " unnest($1::uuid[], $2::int[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], $7::timestamptz[])",
            [entry.handoff_id for entry in ordered],
            [entry.revision for entry in ordered],
            [entry.step.state for entry in ordered],
            [entry.step.at for entry in ordered],
            [entry.step.by for entry in ordered],
            [entry.step.reason for entry in ordered],
            [entry.step.until for entry in ordered],
        )

    async def install(self, now: datetime) -> datetime:
        """The instant of this handoff's very first start; noted when it is now."""
        await self._conn.execute("INSERT INTO handoff.installation VALUES (1, $1) ON CONFLICT DO NOTHING", now)
        noted: datetime = await self._conn.fetchval("SELECT installed_at FROM handoff.installation")
        return noted

    async def note_ends(self, topic: str, ends: Mapping[int, int]) -> None:
        """Note where partitions ended when they were first read; what was noted stays."""
        await self._conn.execute(
            "INSERT INTO handoff.first_start SELECT $1::text, * FROM unnest($2::int[], $3::bigint[])"
            " ON CONFLICT DO NOTHING",
            topic,
            list(ends),
            list(ends.values()),
        )

    async def ends(self, topic: str) -> dict[int, int]:
        """Where the partitions of `topic` ended when they were first read."""
        rows = await self._conn.fetch("SELECT partition, end_offset FROM handoff.first_start WHERE topic = $1", topic)
        return {row[0]: row[1] for row in rows}


def _packed(lead: LeadMemory) -> bytes | None:
    return encode_state(lead.last) if lead.last is not None else None
