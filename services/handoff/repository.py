"""All SQL of consumers and answers: set-wise on plain asyncpg. Locks: leads first, sorted; then handoffs, sorted."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

import asyncpg

from services.handoff.core.crossing import RuleMemory
from services.handoff.core.handoff import Handoff
from services.handoff.core.judging import LeadMemory
from services.handoff.core.ledger import Entry, Ledger
from services.handoff.core.state import LeadState, encode_state, stored_state
from services.handoff.core.triggers import pack_triggers, unpack_triggers
from shared.postgres import finite

_NAMES = tuple(field.name for field in fields(Handoff))
_TYPES = (
    "uuid text text int text text text text text int timestamptz timestamptz timestamptz timestamptz timestamptz int"
    " timestamptz timestamptz int timestamptz text text timestamptz int int text text"
).split()
COLUMNS = ", ".join(_NAMES)
SELECTED = COLUMNS.replace("id", "id::text", 1)
"""Columns of a handoff in the order of the class's fields."""
ARRAYS = ", ".join(f"${number}::{type_}[]" for number, type_ in enumerate(_TYPES, 1))
_BORN_WITH = frozenset("lead_id rule cycle mode crossed_at rules_version source campaign".split())
_CHANGING = tuple((name, type_) for name, type_ in zip(_NAMES, _TYPES, strict=True) if name not in _BORN_WITH)
"""The id, and what the steps of a handoff change."""
UPDATE = (
    f"UPDATE handoff.handoff h SET {', '.join(f'{name} = n.{name}' for name, _ in _CHANGING if name != 'id')}"
    f" FROM unnest({', '.join(f'${number}::{type_}[]' for number, (_, type_) in enumerate(_CHANGING, 1))})"
    f" AS n({', '.join(name for name, _ in _CHANGING)}) WHERE h.id = n.id"
)
MEMORY = (
    "armed, cycle, crossed_at, previous, open_handoff, version, ended, hot, noted_at, settling_since, settle_due,"
    " triggers, cooling_due, cooling_told"
)
NEW_MEMORY = ", ".join(f"{name} = excluded.{name}" for name in MEMORY.split(", "))


def handoff_of(row: Sequence[Any]) -> Handoff:
    """A row of SELECTED."""
    values: list[Any] = [finite(value) if isinstance(value, datetime) else value for value in row]
    return Handoff(*values)


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
            f"SELECT lead_id, rule, {MEMORY.replace('open_handoff', 'open_handoff::text')}"
            " FROM handoff.crossing WHERE lead_id = ANY($1::text[])",
            ordered,
        ):
            known, lows = unpack_triggers(row[13])
            values: list[Any] = [*row[2:13], known, lows, *row[14:]]
            rules[row[0]][row[1]] = RuleMemory(*values)
        return {
            id_: LeadMemory(version, merged_into, stored_state(state) if state else None, rules[id_])
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
        if not rows:
            return
        memories = [memory for _, _, memory in rows]
        await self._conn.execute(
            f"INSERT INTO handoff.crossing (lead_id, rule, {MEMORY})"
            " SELECT * FROM unnest($1::text[], $2::text[], $3::bool[], $4::int[], $5::timestamptz[], $6::int[],"
            " $7::uuid[], $8::bigint[], $9::text[], $10::bool[], $11::timestamptz[], $12::timestamptz[],"
            " $13::timestamptz[], $14::bytea[], $15::timestamptz[], $16::timestamptz[])"
            f" ON CONFLICT (lead_id, rule) DO UPDATE SET {NEW_MEMORY}",
            [lead_id for lead_id, _, _ in rows],
            [rule for _, rule, _ in rows],
            *(list(column) for column in zip(*(_columns(memory) for memory in memories), strict=True)),
        )

    async def lock_handoffs(self, ids: Collection[str]) -> list[Handoff]:
        """Those of the handoffs that exist, locked."""
        if not ids:
            return []
        rows = await self._conn.fetch(
            f"SELECT {SELECTED} FROM handoff.handoff WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE", sorted(ids)
        )
        return [handoff_of(row) for row in rows]

    async def due_handoffs(self, now: datetime, limit: int) -> list[Handoff]:
        """Handoffs without an answer whose time is over, locked; those in other hands are left for later."""
        rows = await self._conn.fetch(
            f"SELECT {SELECTED} FROM handoff.handoff WHERE close_at <= $1 AND state IN ('qualified', 'assigned')"
            " ORDER BY close_at LIMIT $2 FOR UPDATE SKIP LOCKED",
            now,
            limit,
        )
        return [handoff_of(row) for row in rows]

    async def overdue_handoffs(self, now: datetime, limit: int) -> list[Handoff]:
        """Handoffs whose next deadline has passed, locked; those in other hands are left for later."""
        return await self._due("due_at", now, limit)

    async def unassigned_handoffs(self, now: datetime, limit: int) -> list[Handoff]:
        """Handoffs whose queue has capacity again, the oldest first, locked."""
        return await self._due("assign_at", now, limit)

    async def _due(self, column: str, now: datetime, limit: int) -> list[Handoff]:
        rows = await self._conn.fetch(
            f"SELECT {SELECTED} FROM handoff.handoff WHERE {column} <= $1 ORDER BY {column}, crossed_at, id LIMIT $2"
            " FOR UPDATE SKIP LOCKED",
            now,
            limit,
        )
        return [handoff_of(row) for row in rows]

    async def postpone(self, queue: str, now: datetime, until: datetime) -> None:
        """The queue is full: look for owners of all that is due there when it has capacity again."""
        await self._conn.execute(
            "UPDATE handoff.handoff SET assign_at = $3 WHERE id IN (SELECT id FROM handoff.handoff"
            " WHERE assign_at <= $2 AND queue = $1 FOR UPDATE SKIP LOCKED)",
            queue,
            now,
            until,
        )

    async def owners_of(self, ids: Collection[str]) -> dict[str, set[str]]:
        """Everybody who has had these handoffs."""
        rows = await self._conn.fetch(
            "SELECT handoff_id::text, array_agg(DISTINCT owner) FROM handoff.history"
            " WHERE handoff_id = ANY($1::uuid[]) AND owner IS NOT NULL GROUP BY handoff_id",
            sorted(ids),
        )
        return {row[0]: set(row[1]) for row in rows}

    async def hold_leads(self, lead_ids: Collection[str]) -> None:
        """Lock leads without reading them: whoever publishes of a lead holds it, so that its records stay in order."""
        await self._conn.execute(
            "SELECT id FROM handoff.lead WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE", sorted(lead_ids)
        )

    async def last_states(self, lead_ids: Collection[str]) -> dict[str, LeadState | None]:
        """The last state of each lead, of one that was merged that of its survivor; None where nothing is kept."""
        rows = await self._conn.fetch(
            "WITH RECURSIVE line AS (SELECT id AS asked, id, merged_into, state FROM handoff.lead"
            " WHERE id = ANY($1::text[]) UNION ALL SELECT line.asked, l.id, l.merged_into, l.state FROM line"
            " JOIN handoff.lead l ON l.id = line.merged_into)"
            " SELECT asked, state FROM line WHERE merged_into IS NULL",
            sorted(lead_ids),
        )
        return {row[0]: stored_state(row[1]) if row[1] else None for row in rows}

    async def settling(self, now: datetime, limit: int) -> list[str]:
        """Leads whose wait for a verdict is over."""
        rows = await self._conn.fetch(
            "SELECT DISTINCT lead_id FROM handoff.crossing WHERE settle_due <= $1 LIMIT $2", now, limit
        )
        return [row[0] for row in rows]

    async def cooling(self, now: datetime, limit: int) -> list[str]:
        """Leads of which it is to be told now that they will cool."""
        rows = await self._conn.fetch(
            "SELECT DISTINCT lead_id FROM handoff.crossing WHERE cooling_due <= $1 LIMIT $2", now, limit
        )
        return [row[0] for row in rows]

    async def leads_of(self, handoff_ids: Collection[str], rules: Collection[str]) -> list[str]:
        """The leads of those handoffs that were raised by one of `rules`."""
        rows = await self._conn.fetch(
            "SELECT DISTINCT lead_id FROM handoff.handoff WHERE id = ANY($1::uuid[]) AND rule = ANY($2::text[])",
            sorted(handoff_ids),
            sorted(rules),
        )
        return [row[0] for row in rows]

    async def put_handoffs(self, ledger: Ledger) -> None:
        """Write what a transaction has done to handoffs: new ones, changed ones, their history."""
        if ledger.born:
            await self._conn.execute(
                f"INSERT INTO handoff.handoff ({COLUMNS}) SELECT * FROM unnest({ARRAYS})",
                *([getattr(handoff, name) for handoff in ledger.born.values()] for name in _NAMES),
            )
        if ledger.changed:
            await self._conn.execute(
                UPDATE, *([getattr(handoff, name) for handoff in ledger.changed.values()] for name, _ in _CHANGING)
            )
        if ledger.history:
            await self._add_history(ledger.history)

    async def _add_history(self, entries: Iterable[Entry]) -> None:
        ordered = list(entries)
        await self._conn.execute(
            "INSERT INTO handoff.history (handoff_id, number, state, at, by, reason, until, event, owner) SELECT * FROM"
            " unnest($1::uuid[], $2::int[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], $7::timestamptz[],"
            " $8::text[], $9::text[])",
            [entry.handoff_id for entry in ordered],
            [entry.revision for entry in ordered],
            [entry.step.state for entry in ordered],
            [entry.step.at for entry in ordered],
            [entry.step.by for entry in ordered],
            [entry.step.reason for entry in ordered],
            [entry.step.until for entry in ordered],
            [entry.event for entry in ordered],
            [entry.owner for entry in ordered],
        )


def _packed(lead: LeadMemory) -> bytes | None:
    return encode_state(lead.last, whole=lead.may_be_handed_over) if lead.last is not None else None


def _columns(memory: RuleMemory) -> tuple[Any, ...]:
    """A memory in the order of MEMORY."""
    return (
        memory.armed,
        memory.cycle,
        memory.crossed_at,
        memory.score,
        memory.handoff,
        memory.version,
        memory.ended,
        memory.hot,
        memory.noted_at,
        memory.settling_since,
        memory.settle_due,
        pack_triggers(memory.instants, memory.lows),
        memory.cooling_due,
        memory.cooling_told,
    )
