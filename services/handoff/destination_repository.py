"""All SQL behind the routes of destinations and attempts, on plain asyncpg."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import asyncpg
import orjson

LOCKED = "SELECT * FROM handoff.destination WHERE id = $1 FOR NO KEY UPDATE"
ATTEMPT = (
    "a.id, a.delivery_id, a.destination_id, d.event_id, d.event_type, d.lead_id, d.state AS delivery_state, a.number,"
    " a.at, a.took_ms, a.outcome, a.problem, a.request, a.response"
)


@dataclass(frozen=True, slots=True)
class NewDestination:
    """What is written of a destination that was made or changed. `secrets` are sealed."""

    id: UUID
    name: str
    kind: str
    spec: Mapping[str, Any]
    secrets: bytes
    state: str


class DestinationRepository:
    """The statements of one transaction on `conn`. Rows are returned as mappings of their columns."""

    def __init__(self, conn: asyncpg.Connection) -> None:
        self._conn = conn

    async def one(self, id_: UUID, *, lock: bool = False) -> Mapping[str, Any] | None:
        """A destination; locked against changes where it will be changed."""
        row: Mapping[str, Any] | None = await self._conn.fetchrow(
            LOCKED if lock else "SELECT * FROM handoff.destination WHERE id = $1", id_
        )
        return row

    async def page(self, after: tuple[datetime, UUID] | None, limit: int) -> Sequence[Mapping[str, Any]]:
        """Destinations in the order of their making, one more than the limit if there are more."""
        at, id_ = after or (None, None)
        rows: Sequence[Mapping[str, Any]] = await self._conn.fetch(
            "SELECT * FROM handoff.destination WHERE $1::timestamptz IS NULL OR (created_at, id) > ($1, $2::uuid)"
            " ORDER BY created_at, id LIMIT $3",
            at,
            id_,
            limit + 1,
        )
        return rows

    async def insert(self, new: NewDestination, now: datetime) -> bool:
        """Store it; False where its name is taken."""
        status: str = await self._conn.execute(
            "INSERT INTO handoff.destination (id, name, kind, spec, secrets, state, revision, created_at, updated_at,"
            " disabled_at, reason) VALUES ($1, $2, $3, $4, $5, $6::text, 1, $7::timestamptz, $7,"
            " CASE WHEN $6 = 'disabled' THEN $7 END, CASE WHEN $6 = 'disabled' THEN 'asked' END)"
            " ON CONFLICT (name) DO NOTHING",
            new.id,
            new.name,
            new.kind,
            orjson.dumps(new.spec).decode(),
            new.secrets,
            new.state,
            now,
        )
        return status.endswith(" 1")

    async def update(self, changed: NewDestination, now: datetime) -> None:
        """Write a locked destination. One that is enabled again begins anew: what failed before is forgotten."""
        await self._conn.execute(
            "UPDATE handoff.destination SET name = $2, spec = $3, secrets = $4, state = $5::text,"
            " revision = revision + 1, updated_at = $6::timestamptz,"
            " disabled_at = CASE WHEN $5 = 'active' THEN NULL ELSE coalesce(disabled_at, $6) END,"
            " reason = CASE WHEN $5 = 'active' THEN NULL ELSE coalesce(reason, 'asked') END,"
            " failing_since = CASE WHEN $5 = 'active' AND state = 'active' THEN failing_since END WHERE id = $1",
            changed.id,
            changed.name,
            orjson.dumps(changed.spec).decode(),
            changed.secrets,
            changed.state,
            now,
        )

    async def delete(self, id_: UUID) -> bool:
        """Remove a destination with its deliveries and attempts; False where there is none."""
        status: str = await self._conn.execute("DELETE FROM handoff.destination WHERE id = $1", id_)
        return status.endswith(" 1")

    async def counts(self, ids: Sequence[UUID]) -> Mapping[UUID, int]:
        """How many deliveries wait for each of these destinations."""
        rows = await self._conn.fetch(
            "SELECT destination_id, count(*) FROM handoff.delivery WHERE destination_id = ANY($1::uuid[])"
            " AND state = 'waiting' GROUP BY destination_id",
            list(ids),
        )
        return {row[0]: row[1] for row in rows}

    async def attempts(
        self,
        destination_id: UUID,
        outcome: Literal["delivered", "failed", "skipped"] | None,
        after: tuple[datetime, UUID] | None,
        limit: int,
    ) -> Sequence[Mapping[str, Any]]:
        """The attempts at a destination, the latest first, one more than the limit if there are more."""
        at, id_ = after or (None, None)
        rows: Sequence[Mapping[str, Any]] = await self._conn.fetch(
            f"SELECT {ATTEMPT} FROM handoff.attempt a JOIN handoff.delivery d ON d.id = a.delivery_id"
            " WHERE a.destination_id = $1 AND ($2::text IS NULL OR a.outcome = $2)"
            " AND ($3::timestamptz IS NULL OR (a.at, a.id) < ($3, $4::uuid))"
            " ORDER BY a.at DESC, a.id DESC LIMIT $5",
            destination_id,
            outcome,
            at,
            id_,
            limit + 1,
        )
        return rows

    async def attempt(self, id_: UUID) -> Mapping[str, Any] | None:
        """One attempt."""
        row: Mapping[str, Any] | None = await self._conn.fetchrow(
            f"SELECT {ATTEMPT} FROM handoff.attempt a JOIN handoff.delivery d ON d.id = a.delivery_id WHERE a.id = $1",
            id_,
        )
        return row

    async def redeliver(self, delivery_id: UUID, now: datetime) -> None:
        """Let a delivery begin its schedule anew, now and under its own id."""
        await self._conn.execute(
            "UPDATE handoff.delivery SET state = 'waiting', tries = 0, due_at = $2, claim = NULL, finished_at = NULL"
            " WHERE id = $1",
            delivery_id,
            now,
        )

    async def insert_test(
        self,
        id_: UUID,
        destination_id: UUID,
        event: tuple[str, str, str],
        value: bytes,
        *,
        claim: UUID,
        until: datetime,
    ) -> None:
        """Store the delivery of a test event (id, type, time), claimed already."""
        await self._conn.execute(
            "INSERT INTO handoff.delivery (id, destination_id, event_id, event_type, event_time, lead_id, value, state,"
            " due_at, claim) VALUES ($1, $2, $3, $4, $5, '', $6, 'waiting', $7, $8)",
            id_,
            destination_id,
            *event,
            value,
            until,
            claim,
        )
