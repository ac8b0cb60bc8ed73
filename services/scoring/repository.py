"""All SQL of the consumer: set-wise statements on plain asyncpg, each one round trip for a whole batch.

Locks are taken in one order everywhere, activity keys, then leads, then identifiers, each sorted, so that two workers
that meet on one lead wait for each other and never in a circle.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

import asyncpg
import orjson

from services.scoring.core.linking import KnownOwners, Owner
from services.scoring.core.resolution import Order
from services.scoring.lead_row import SELECT_ROWS, LeadRow
from shared.activity import Activity, parse_stored
from shared.errors import TransientError
from shared.identity import Identifier
from shared.slices import Slices

AT_ONCE = 50
"""So many stored activities are read before somebody else may have a turn."""
Key = tuple[str, str]
"""What makes an activity unique: source and id."""


class LostRaceError(TransientError):
    """Another worker changed whom an identifier belongs to, between reading and locking: start the batch over."""


class ScoringRepository:
    """The statements of one transaction on `conn`."""

    def __init__(self, conn: asyncpg.Connection) -> None:
        self._conn = conn

    async def add_keys(self, fingerprints: Mapping[Key, bytes]) -> tuple[set[Key], int]:
        """Claim the keys of activities; returns those that are new, and how many known ones had another body."""
        ordered = sorted(fingerprints)
        columns = (
            [source for source, _ in ordered],
            [id_ for _, id_ in ordered],
            [fingerprints[key] for key in ordered],
        )
        rows = await self._conn.fetch(
            "INSERT INTO scoring.activity_key (source, id, fingerprint)"
            " SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[])"
            " ON CONFLICT DO NOTHING RETURNING source, id",
            *columns,
        )
        new = {(row[0], row[1]) for row in rows}
        conflicts = 0
        if len(new) < len(ordered):
            conflicts = await self._conn.fetchval(
                "SELECT count(*) FROM scoring.activity_key k"
                " JOIN unnest($1::text[], $2::text[], $3::bytea[]) AS came(source, id, fingerprint)"
                " USING (source, id) WHERE k.fingerprint <> came.fingerprint AND k.fingerprint <> ''",
                *columns,
            )
        return new, conflicts

    async def void_keys(self, keys: Collection[Key]) -> None:
        """Keep claimed keys of activities that are not stored: they stay taken, and nothing is told about them."""
        await self._conn.execute(
            "UPDATE scoring.activity_key k SET fingerprint = '' FROM unnest($1::text[], $2::text[]) AS v(source, id)"
            " WHERE k.source = v.source AND k.id = v.id",
            [source for source, _ in keys],
            [id_ for _, id_ in keys],
        )

    async def states_of(self, identifiers: Collection[Identifier]) -> dict[Identifier, bytes]:
        """The packed states of the leads that these identifiers belong to, not locked."""
        rows = await self._conn.fetch(
            "SELECT i.kind, i.value, l.state FROM unnest($1::text[], $2::text[]) AS want(kind, value)"
            " JOIN scoring.identifier i USING (kind, value) JOIN scoring.lead l ON l.id = i.lead_id"
            " WHERE l.state <> ''",
            [identifier.kind for identifier in identifiers],
            [identifier.value for identifier in identifiers],
        )
        return {Identifier(row[0], row[1]): row[2] for row in rows}

    async def owners(self, identifiers: Collection[Identifier]) -> KnownOwners:
        """Whom `identifiers` belong to, before any lock."""
        rows = await self._conn.fetch(
            "SELECT i.kind, i.value, i.lead_id::text, i.since_at, i.since_id, i.since_source, l.epoch, l.has_email,"
            " l.joined_at FROM unnest($1::text[], $2::text[]) AS want(kind, value)"
            " JOIN scoring.identifier i USING (kind, value) JOIN scoring.lead l ON l.id = i.lead_id",
            [identifier.kind for identifier in identifiers],
            [identifier.value for identifier in identifiers],
        )
        owners = {Identifier(row[0], row[1]): Owner(row[2], _order(row[3], row[4], row[5])) for row in rows}
        with_email = frozenset(row[2] for row in rows if row[7])
        joined = {row[2]: row[8] for row in rows if row[8] is not None}
        return KnownOwners(owners, {row[2]: row[6] for row in rows}, with_email, joined)

    async def lock_leads(self, ids: Collection[str]) -> dict[str, LeadRow]:
        """Lock and read leads; those that do not exist are missing."""
        rows = await self._conn.fetch(
            SELECT_ROWS + " WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE",
            sorted(ids),
        )
        return {row[0]: LeadRow(*row) for row in rows}

    async def lock_free(self, ids: Collection[str]) -> tuple[dict[str, LeadRow], set[str]]:
        """Lock and read those leads that nobody else has locked; the others are the second answer."""
        rows = await self._conn.fetch(
            SELECT_ROWS + " WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE SKIP LOCKED",
            sorted(ids),
        )
        free = {row[0]: LeadRow(*row) for row in rows}
        busy = await self._conn.fetch(
            "SELECT id::text FROM scoring.lead WHERE id = ANY($1::uuid[])", sorted(set(ids) - free.keys())
        )
        return free, {row[0] for row in busy}

    async def survivor_of(self, lead_id: str) -> str | None:
        """The lead that an id leads to, not locked; None where there is none with activities."""
        found: str | None = await self._conn.fetchval(
            "WITH RECURSIVE way AS (SELECT id, merged_into, state FROM scoring.lead WHERE id = $1::uuid UNION"
            " SELECT l.id, l.merged_into, l.state FROM scoring.lead l JOIN way ON l.id = way.merged_into)"
            " SELECT id::text FROM way WHERE merged_into IS NULL AND state <> ''",
            lead_id,
        )
        return found

    async def lock_lead(self, lead_id: str) -> LeadRow | None:
        """Lock and read one lead through the redirects of merged ids; None where there is none with activities."""
        while (row := (await self.lock_leads([lead_id])).get(lead_id)) is not None and row.merged_into is not None:
            lead_id = row.merged_into
        return row if row is not None and row.state else None

    async def put_owners(self, owners: Mapping[Identifier, Owner], known: Mapping[Identifier, Owner]) -> None:
        """Write new and changed owners. Raises LostRaceError when another worker was first with a new identifier."""
        new = sorted(identifier for identifier in owners if identifier not in known)
        rows = await self._conn.fetch(
            "INSERT INTO scoring.identifier (kind, value, lead_id, since_at, since_id, since_source)"
            " SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[])"
            " ON CONFLICT DO NOTHING RETURNING 1",
            *_owner_columns(new, owners),
        )
        if len(rows) < len(new):
            raise LostRaceError("an identifier was claimed by another worker")
        changed = sorted(
            identifier for identifier in owners if known.get(identifier, owners[identifier]) != owners[identifier]
        )
        if changed:
            await self._conn.execute(
                "UPDATE scoring.identifier i SET lead_id = new.lead_id, since_at = new.since_at,"
                " since_id = new.since_id, since_source = new.since_source FROM unnest($1::text[], $2::text[],"
                " $3::uuid[], $4::timestamptz[], $5::text[], $6::text[])"
                " AS new(kind, value, lead_id, since_at, since_id, since_source)"
                " WHERE i.kind = new.kind AND i.value = new.value",
                *_owner_columns(changed, owners),
            )

    async def add_activities(
        self, placed: Sequence[tuple[str, Activity]], bodies: Mapping[Key, str], recorded_at: datetime
    ) -> None:
        """Store new activities, each under the lead it belongs to, with its body as it came."""
        await self._conn.execute(
            "INSERT INTO scoring.activity (lead_id, occurred_at, source, id, type, body, recorded_at)"
            " SELECT *, $7 FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::json[])",
            [lead_id for lead_id, _ in placed],
            [item.occurred_at for _, item in placed],
            [item.source for _, item in placed],
            [item.id for _, item in placed],
            [item.type for _, item in placed],
            [bodies[item.source, item.id] for _, item in placed],
            recorded_at,
        )

    async def activities_of(self, lead_ids: Collection[str]) -> dict[str, list[Activity]]:
        """Every stored activity of the leads, in no particular order."""
        rows = await self._conn.fetch(
            "SELECT lead_id::text, body FROM scoring.activity WHERE lead_id = ANY($1::uuid[])", list(lead_ids)
        )
        found: dict[str, list[Activity]] = {lead_id: [] for lead_id in lead_ids}
        slices = Slices()
        for number, (lead_id, body) in enumerate(rows):
            if number % AT_ONCE == 0:
                await slices.give_way()
            found[lead_id].append(parse_stored(orjson.loads(body)))
        return found

    async def histories_of(self, lead_ids: Collection[str]) -> dict[str, bytes]:
        """Every stored activity of the leads that have any, each lead's as one list in JSON, in no particular order."""
        # Lead by lead: as one join it is planned as a scan of everything, where the statistics are not there yet.
        rows = await self._conn.fetch(
            "SELECT l.id::text, (SELECT convert_to('[' || string_agg(body::text, ',') || ']', 'UTF8')"
            " FROM scoring.activity a WHERE a.lead_id = l.id) FROM unnest($1::uuid[]) AS l(id)",
            list(lead_ids),
        )
        return {lead_id: history for lead_id, history in rows if history is not None}

    async def move_activities(self, moves: Mapping[Key, tuple[str, str]]) -> None:
        """Give stored activities another lead; `moves` maps a key to the lead it is stored under and the new one."""
        if not moves:
            return
        await self._conn.execute(
            "UPDATE scoring.activity a SET lead_id = m.target FROM unnest($1::text[], $2::text[], $3::uuid[],"
            " $4::uuid[]) AS m(source, id, origin, target)"
            " WHERE a.lead_id = m.origin AND a.source = m.source AND a.id = m.id",
            [source for source, _ in moves],
            [id_ for _, id_ in moves],
            [origin for origin, _ in moves.values()],
            [target for _, target in moves.values()],
        )

    async def put_leads(self, rows: Iterable[LeadRow]) -> None:
        """Insert or replace leads, and what the timer has to know of them. The leads must be locked."""
        ordered = sorted(rows, key=lambda row: row.id)
        await self._put_due({row.id: row.due_at for row in ordered if row.due_moved or not row.state})
        await self._conn.execute(
            "INSERT INTO scoring.lead AS l"
            " (id, merged_into, epoch, version, has_email, joined_at, score, search, state)"
            " SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::bigint[], $5::bool[], $6::timestamptz[],"
            " $7::float8[], $8::text[], $9::bytea[]) ON CONFLICT (id) DO UPDATE SET merged_into = excluded.merged_into,"
            " epoch = excluded.epoch, version = excluded.version, has_email = excluded.has_email,"
            " joined_at = excluded.joined_at, score = excluded.score, search = excluded.search, state = excluded.state",
            [row.id for row in ordered],
            [row.merged_into for row in ordered],
            [row.epoch for row in ordered],
            [row.version for row in ordered],
            [row.has_email for row in ordered],
            [row.joined_at for row in ordered],
            [row.score for row in ordered],
            [row.search for row in ordered],
            [row.state for row in ordered],
        )
        await self._tell_accounts([row for row in ordered if row.concerns_accounts])

    async def _tell_accounts(self, rows: Sequence[LeadRow]) -> None:
        """Note what accounts have to take over; ids rise per lead because its row is locked."""
        if rows:
            await self._conn.execute(
                "INSERT INTO scoring.account_todo (lead_id, contact) SELECT * FROM unnest($1::uuid[], $2::bytea[])",
                [row.id for row in rows],
                [row.contact or b"" for row in rows],
            )

    async def drop_due(self, lead_ids: Collection[str]) -> None:
        """Let the timer forget leads."""
        await self._put_due(dict.fromkeys(lead_ids))

    async def _put_due(self, due: Mapping[str, datetime | None]) -> None:
        never = [lead_id for lead_id, at in due.items() if at is None]
        dated = sorted((lead_id, at) for lead_id, at in due.items() if at is not None)
        if never:
            await self._conn.execute("DELETE FROM scoring.due WHERE lead_id = ANY($1::uuid[])", sorted(never))
        if dated:
            await self._conn.execute(
                "INSERT INTO scoring.due (lead_id, at) SELECT * FROM unnest($1::uuid[], $2::timestamptz[])"
                " ON CONFLICT (lead_id) DO UPDATE SET at = excluded.at WHERE due.at <> excluded.at",
                [lead_id for lead_id, _ in dated],
                [at for _, at in dated],
            )

    async def due_leads(self, now: datetime, limit: int) -> list[str]:
        """Leads that are due, the longest waiting first. Not locked: a lead's lock comes before that of its due row."""
        rows = await self._conn.fetch(
            "SELECT lead_id::text FROM scoring.due WHERE at <= $1 ORDER BY at LIMIT $2", now, limit
        )
        return [row[0] for row in rows]

    async def still_due(self, lead_ids: Collection[str], now: datetime) -> list[str]:
        """Those of the leads, which must be locked, that are due."""
        rows = await self._conn.fetch(
            "SELECT lead_id::text FROM scoring.due WHERE lead_id = ANY($1::uuid[]) AND at <= $2 ORDER BY lead_id",
            list(lead_ids),
            now,
        )
        return [row[0] for row in rows]

    async def redirect(self, targets: Mapping[str, str]) -> None:
        """Let merged leads resolve to where their identifier is now; leads that stand for themselves are left alone."""
        await self._conn.execute(
            "UPDATE scoring.lead l SET merged_into = m.target FROM unnest($1::uuid[], $2::uuid[]) AS m(id, target)"
            " WHERE l.id = m.id AND l.merged_into IS NOT NULL AND l.merged_into <> m.target",
            list(targets),
            list(targets.values()),
        )

    async def note_merges(self, merged: Mapping[str, str]) -> None:
        """Keep each merge on record."""
        await self._conn.execute(
            "INSERT INTO scoring.lead_merge (merged_id, survivor_id) SELECT * FROM unnest($1::uuid[], $2::uuid[])",
            list(merged),
            list(merged.values()),
        )


def _order(at: datetime | None, id_: str | None, source: str | None) -> Order | None:
    return None if at is None or id_ is None or source is None else (at, id_, source)


def _owner_columns(identifiers: Sequence[Identifier], owners: Mapping[Identifier, Owner]) -> tuple[list[object], ...]:
    since = [owners[identifier].since or (None, None, None) for identifier in identifiers]
    return (
        [identifier.kind for identifier in identifiers],
        [identifier.value for identifier in identifiers],
        [owners[identifier].lead_id for identifier in identifiers],
        [order[0] for order in since],
        [order[1] for order in since],
        [order[2] for order in since],
    )
