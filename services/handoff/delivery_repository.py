"""All SQL of the consumer and the senders of deliveries, on plain asyncpg.

Locks: destinations first, sorted, and only against being deleted (KEY SHARE); then deliveries, sorted.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.handoff.core.delivery import Event, State, Wish, delivery_id
from services.handoff.core.retry import DISABLE_AFTER, STILL_FAILING
from services.handoff.destinations.base import Parcel
from shared.events import DELIVERY_TEST


@dataclass(frozen=True, slots=True)
class Stored:
    """A destination as it stands in its row. `secrets` are sealed."""

    id: UUID
    name: str
    kind: str
    spec: Mapping[str, Any]
    secrets: bytes
    state: str
    revision: int
    created_at: datetime
    failing_since: datetime | None


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery in the hands of one sender, until its lease ends."""

    destination_id: UUID
    parcel: Parcel
    claim: UUID
    until: datetime
    attempts: int
    tries: int
    extraction: str | None


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One attempt, as it is kept."""

    id: UUID
    delivery_id: UUID
    destination_id: UUID
    number: int
    at: datetime
    took_ms: int
    outcome: str
    problem: str | None
    request: Mapping[str, Any]
    response: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt makes of its delivery; `attempt` is None where none was made and it is only put off."""

    claimed: Claimed
    attempt: AttemptRow | None
    state: State
    due_at: datetime
    gone: bool = False


class DeliveryRepository:
    """The statements of one transaction on `conn`."""

    def __init__(self, conn: asyncpg.Connection) -> None:
        self._conn = conn

    async def wishes(self) -> list[Wish]:
        """What all destinations want, disabled ones too; none of them can be deleted until the transaction ends."""
        rows = await self._conn.fetch("SELECT id, spec, created_at FROM handoff.destination ORDER BY id FOR KEY SHARE")
        return [_wish(row["id"], orjson.loads(row["spec"]), row["created_at"]) for row in rows]

    async def add(self, made: Sequence[tuple[Wish, Event, State]], now: datetime) -> int:
        """Store deliveries; one that is there already stays as it is. Returns how many are new."""
        status: str = await self._conn.execute(
            "INSERT INTO handoff.delivery (id, destination_id, event_id, event_type, event_time, lead_id, extraction,"
            " value, state, due_at) SELECT *, $10::timestamptz FROM unnest($1::uuid[], $2::uuid[], $3::text[],"
            " $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[], $9::text[]) ON CONFLICT (id) DO NOTHING",
            [delivery_id(wish.destination_id, event.source, event.id) for wish, event, _ in made],
            [wish.destination_id for wish, _, _ in made],
            [event.id for _, event, _ in made],
            [event.type for _, event, _ in made],
            [event.time for _, event, _ in made],
            [event.lead_id for _, event, _ in made],
            [event.extraction for _, event, _ in made],
            [event.value for _, event, _ in made],
            [state for _, _, state in made],
            now,
        )
        return int(status.rpartition(" ")[2])

    async def destinations(self) -> list[Stored]:
        """The active ones."""
        rows = await self._conn.fetch(
            "SELECT id, name, kind, spec, secrets, state, revision, created_at, failing_since FROM handoff.destination"
            " WHERE state = 'active' ORDER BY id"
        )
        return [stored_of(row) for row in rows]

    async def claim(self, room: Mapping[UUID, int], now: datetime, until: datetime, claim: UUID) -> list[Claimed]:
        """Take due deliveries, of each destination as there is room; nobody else gets them before `until`."""
        rows = await self._conn.fetch(
            "UPDATE handoff.delivery d SET due_at = $4, claim = $5 FROM ("
            " SELECT due.id FROM unnest($1::uuid[], $2::int[]) AS lane(id, room) CROSS JOIN LATERAL ("
            "  SELECT c.id FROM handoff.delivery c WHERE c.destination_id = lane.id AND c.state = 'waiting'"
            "  AND c.due_at <= $3 ORDER BY c.due_at LIMIT lane.room FOR UPDATE SKIP LOCKED) due) taken"
            " WHERE d.id = taken.id RETURNING d.id, d.destination_id, d.event_id, d.event_type, d.event_time, d.value,"
            " d.created_at, d.attempts, d.tries, d.extraction",
            list(room),
            list(room.values()),
            now,
            until,
            claim,
        )
        return [_claimed(row, claim, until) for row in rows]

    async def release(self, destinations: Collection[UUID], claim: UUID, now: datetime) -> None:
        """Give back what a sender has in hand."""
        await self._conn.execute(
            "UPDATE handoff.delivery SET due_at = $3, claim = NULL"
            " WHERE destination_id = ANY($1::uuid[]) AND state = 'waiting' AND claim = $2",
            list(destinations),
            claim,
            now,
        )

    async def record(self, outcomes: Sequence[Outcome], now: datetime) -> list[tuple[Stored, str]]:
        """Keep attempts and what they make of their deliveries; returns the destinations disabled by it, and why."""
        destinations = sorted({outcome.claimed.destination_id for outcome in outcomes})
        await self._conn.fetch(
            "SELECT id FROM handoff.destination WHERE id = ANY($1::uuid[]) ORDER BY id FOR KEY SHARE", destinations
        )
        known = await self._conn.fetch(
            "SELECT id FROM handoff.delivery WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE",
            [outcome.claimed.parcel.delivery_id for outcome in outcomes],
        )
        there = {row[0] for row in known}
        kept = [outcome for outcome in outcomes if outcome.claimed.parcel.delivery_id in there]
        await self._put_attempts([outcome.attempt for outcome in kept if outcome.attempt is not None])
        await self._put_deliveries(kept, now)
        await self._finish_runs(kept, now)
        return await self._judge([outcome for outcome in kept if outcome.attempt is not None], now)

    async def _put_attempts(self, attempts: Sequence[AttemptRow]) -> None:
        await self._conn.execute(
            "INSERT INTO handoff.attempt (id, delivery_id, destination_id, number, at, took_ms, outcome, problem,"
            " request, response) SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::int[],"
            " $5::timestamptz[], $6::int[], $7::text[], $8::text[], $9::jsonb[], $10::jsonb[])",
            [one.id for one in attempts],
            [one.delivery_id for one in attempts],
            [one.destination_id for one in attempts],
            [one.number for one in attempts],
            [one.at for one in attempts],
            [one.took_ms for one in attempts],
            [one.outcome for one in attempts],
            [one.problem for one in attempts],
            [orjson.dumps(one.request).decode() for one in attempts],
            [None if one.response is None else orjson.dumps(one.response).decode() for one in attempts],
        )

    async def _put_deliveries(self, outcomes: Sequence[Outcome], now: datetime) -> None:
        """A failure counts for the sender that still has the claim; what was delivered is delivered in any case."""
        await self._conn.execute(
            "UPDATE handoff.delivery d SET attempts = d.attempts + n.made, state = CASE WHEN mine THEN n.state"
            " WHEN n.state = 'delivered' THEN n.state ELSE d.state END, tries = d.tries + n.made,"
            " due_at = CASE WHEN mine THEN n.due_at ELSE d.due_at END,"
            " claim = CASE WHEN mine THEN NULL ELSE d.claim END,"
            " finished_at = CASE WHEN n.state IN ('delivered', 'failed', 'skipped') THEN $6::timestamptz END"
            " FROM (SELECT w.*, c.claim IS NOT DISTINCT FROM w.claim AS mine FROM unnest($1::uuid[], $2::uuid[],"
            " $3::text[], $4::timestamptz[], $5::int[]) AS w(id, claim, state, due_at, made)"
            " JOIN handoff.delivery c ON c.id = w.id) n"
            " WHERE d.id = n.id AND d.state = 'waiting'",
            [one.claimed.parcel.delivery_id for one in outcomes],
            [one.claimed.claim for one in outcomes],
            [one.state for one in outcomes],
            [one.due_at for one in outcomes],
            [int(one.attempt is not None) for one in outcomes],
            now,
        )

    async def _finish_runs(self, outcomes: Sequence[Outcome], now: datetime) -> None:
        """The leads of a run are delivered with the message that told of them."""
        for one in outcomes:
            if one.state in ("delivered", "skipped") and one.claimed.parcel.run is not None:
                await self._conn.execute(
                    "UPDATE handoff.delivery SET state = $4, finished_at = $3"
                    " WHERE destination_id = $1 AND extraction = $2 AND state = 'collected'",
                    one.claimed.destination_id,
                    one.claimed.extraction,
                    now,
                    one.state,
                )

    async def _judge(self, outcomes: Sequence[Outcome], now: datetime) -> list[tuple[Stored, str]]:
        """Note since when destinations fail; disable those that are gone, or have failed for too long. Tests that fail
        change nothing: whoever makes them sees what comes of them.
        """
        well = {one.claimed.destination_id for one in outcomes if one.state == "delivered"}
        failed = [one for one in outcomes if one.state in ("waiting", "failed") and not one.claimed.parcel.test]
        gone = {one.claimed.destination_id for one in failed if one.gone}
        ill = {one.claimed.destination_id for one in failed} - well
        if well - gone:
            await self._conn.execute(
                "UPDATE handoff.destination SET failing_since = NULL WHERE id = ANY($1::uuid[])"
                " AND failing_since IS NOT NULL",
                sorted(well - gone),
            )
        if not ill | gone:
            return []
        await self._conn.execute(
            "UPDATE handoff.destination SET failing_since = $2 WHERE id = ANY($1::uuid[]) AND failing_since IS NULL",
            sorted(ill | gone),
            now,
        )
        rows = await self._conn.fetch(
            "UPDATE handoff.destination t SET state = 'disabled', disabled_at = $3, updated_at = $3,"
            " revision = revision + 1,"
            " reason = CASE WHEN id = ANY($2::uuid[]) THEN 'gone' ELSE 'failing' END"
            " WHERE id = ANY($1::uuid[]) AND state = 'active' AND (id = ANY($2::uuid[]) OR failing_since <= $4 AND"
            "  EXISTS (SELECT 1 FROM handoff.attempt a JOIN handoff.delivery d ON d.id = a.delivery_id WHERE"
            "   a.destination_id = t.id AND a.at BETWEEN $4 AND $5 AND a.outcome = 'failed' AND d.event_type <> $6))"
            " RETURNING id, name, kind, spec, secrets, state, revision, created_at, failing_since, reason",
            sorted(ill | gone),
            sorted(gone),
            now,
            now - DISABLE_AFTER,
            now - STILL_FAILING,
            DELIVERY_TEST,
        )
        return [(stored_of(row), row["reason"]) for row in rows]

    async def clean(self, before: datetime, limit: int) -> int:
        """Remove deliveries made before an instant, with their attempts; returns how many. Only those to disabled
        destinations can still be waiting then.
        """
        status: str = await self._conn.execute(
            "DELETE FROM handoff.delivery WHERE id IN (SELECT id FROM handoff.delivery WHERE created_at < $1"
            " ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
            before,
            limit,
        )
        return int(status.rpartition(" ")[2])


def stored_of(row: Mapping[str, Any]) -> Stored:
    """A row of `destination`."""
    return Stored(
        id=row["id"],
        name=row["name"],
        kind=row["kind"],
        spec=orjson.loads(row["spec"]),
        secrets=row["secrets"],
        state=row["state"],
        revision=row["revision"],
        created_at=row["created_at"],
        failing_since=row["failing_since"],
    )


def _wish(id_: UUID, spec: Mapping[str, Any], created_at: datetime) -> Wish:
    rules, queues = spec.get("rules"), spec.get("queues")
    return Wish(
        id_,
        frozenset(spec["events"]),
        None if rules is None else frozenset(rules),
        None if queues is None else frozenset(queues),
        bool(spec.get("digest")),
        created_at,
    )


def _claimed(row: Mapping[str, Any], claim: UUID, until: datetime) -> Claimed:
    parcel = Parcel(
        delivery_id=row["id"],
        event_id=row["event_id"],
        type=row["event_type"],
        time=row["event_time"],
        value=row["value"],
        data=orjson.loads(row["value"]),
        created_at=row["created_at"],
    )
    return Claimed(row["destination_id"], parcel, claim, until, row["attempts"], row["tries"], row["extraction"])
