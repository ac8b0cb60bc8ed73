"""SQL of accounts. One worker at a time keeps them (`alone`), so that versions rise without gaps."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from services.scoring.core.accounts import Contact

BREATH = 200
"""Contacts that are read before anything else may go on: a large company has thousands."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a lead told its account, in the order of `seq`; `contact` None means that the lead has to be asked."""

    seq: int
    lead_id: str
    contact: bytes | None


@dataclass(slots=True)
class AccountRow:
    """An account as stored; `state` is what was published last, without version, cause and instant."""

    id: str
    version: int = 0
    contacts: int = 0
    score: float | None = None
    search: str = ""
    state: dict[str, Any] = field(default_factory=dict)
    due_at: datetime | None = None


class AccountRepository:
    """The statements of one transaction on `conn`."""

    def __init__(self, conn: asyncpg.Connection) -> None:
        self._conn = conn

    async def alone(self) -> bool:
        """Whether this transaction is the one that keeps accounts; it stays so until its end."""
        found: bool = await self._conn.fetchval("SELECT pg_try_advisory_xact_lock(hashtext('scoring.account'))")
        return found

    async def take_told(self, limit: int) -> list[Told]:
        """What leads told, oldest first; gone from the list when the transaction commits."""
        rows = await self._conn.fetch(
            "DELETE FROM scoring.account_todo WHERE seq = ANY(ARRAY(SELECT seq FROM scoring.account_todo ORDER BY seq"
            " LIMIT $1)) RETURNING seq, lead_id::text, contact",
            limit,
        )
        return sorted((Told(*row) for row in rows), key=lambda told: told.seq)

    async def forget(self, lead_ids: Collection[str]) -> None:
        """Let accounts forget leads that are being erased; to be called in the transaction that erases them."""
        await self._conn.execute("DELETE FROM scoring.account_todo WHERE lead_id = ANY($1::uuid[])", list(lead_ids))
        await self._conn.execute(
            "UPDATE scoring.account_lead SET contact = '' WHERE lead_id = ANY($1::uuid[])", list(lead_ids)
        )
        await self._conn.execute(
            "INSERT INTO scoring.account_todo (lead_id) SELECT * FROM unnest($1::uuid[])", list(lead_ids)
        )

    async def states_of(self, lead_ids: Collection[str]) -> dict[str, bytes]:
        """The packed states of leads; those that are no more are missing."""
        rows = await self._conn.fetch(
            "SELECT id::text, state FROM scoring.lead WHERE id = ANY($1::uuid[]) AND merged_into IS NULL"
            " AND state <> ''",
            list(lead_ids),
        )
        return {row[0]: row[1] for row in rows}

    async def place(self, told: Mapping[str, tuple[int, str | None, bytes]]) -> set[str]:
        """Bring contacts up to date: by lead the `seq`, the account it belongs to now, and the packed contact.

        What is older than what is stored changes nothing. Returns the accounts that may have lost or got a contact, or
        whose contact may have changed.
        """
        # Two statements: one join may be planned for a table that is still empty, and then take the square of its rows.
        before = await self._conn.fetch(
            "SELECT account_id::text FROM scoring.account_lead WHERE lead_id = ANY($1::uuid[])", list(told)
        )
        placed = await self._conn.fetch(
            "INSERT INTO scoring.account_lead AS l (lead_id, account_id, contact, seq)"
            " SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::bigint[]) ON CONFLICT (lead_id) DO UPDATE"
            " SET account_id = excluded.account_id, contact = excluded.contact, seq = excluded.seq"
            " WHERE l.seq < excluded.seq RETURNING l.account_id::text",
            list(told),
            [account_id for _, account_id, _ in told.values()],
            [contact for _, _, contact in told.values()],
            [seq for seq, _, _ in told.values()],
        )
        return {row[0] for row in (*before, *placed) if row[0] is not None}

    async def contacts_of(self, account_ids: Collection[str]) -> dict[str, list[Contact]]:
        """The contacts of accounts, by lead id."""
        rows = await self._conn.fetch(
            "SELECT account_id::text, lead_id::text, contact FROM scoring.account_lead"
            " WHERE account_id = ANY($1::uuid[]) AND contact <> '' ORDER BY lead_id",
            list(account_ids),
        )
        found: dict[str, list[Contact]] = defaultdict(list)
        for number, (account_id, lead_id, packed) in enumerate(rows, 1):
            found[account_id].append(Contact.unpack(lead_id, packed))
            if number % BREATH == 0:
                await asyncio.sleep(0)  # the consumer of this process goes first
        return found

    async def accounts(self, account_ids: Collection[str]) -> dict[str, AccountRow]:
        """Stored accounts; new ones are missing."""
        rows = await self._conn.fetch(
            "SELECT id::text, version, contacts, score, search, state, due_at FROM scoring.account"
            " WHERE id = ANY($1::uuid[])",
            list(account_ids),
        )
        return {
            id_: AccountRow(id_, version, contacts, score, search, orjson.loads(state), due_at)
            for id_, version, contacts, score, search, state, due_at in rows
        }

    async def stored_contacts(self, lead_ids: Collection[str]) -> dict[str, tuple[str | None, bytes]]:
        """By lead the account it stands under and its packed contact."""
        rows = await self._conn.fetch(
            "SELECT lead_id::text, account_id::text, contact FROM scoring.account_lead WHERE lead_id = ANY($1::uuid[])",
            list(lead_ids),
        )
        return {row[0]: (row[1], row[2]) for row in rows}

    async def about_to_tell(self, lead_ids: Collection[str]) -> set[str]:
        """Leads of these of which an account has yet to hear."""
        rows = await self._conn.fetch(
            "SELECT DISTINCT lead_id::text FROM scoring.account_todo WHERE lead_id = ANY($1::uuid[])", list(lead_ids)
        )
        return {row[0] for row in rows}

    async def after(self, account_id: str, limit: int) -> list[str]:
        """The next accounts that have contacts, none of which is about to tell something new."""
        rows = await self._conn.fetch(
            "SELECT id::text FROM scoring.account a WHERE id > $1::uuid AND contacts > 0 AND NOT EXISTS (SELECT FROM"
            " scoring.account_lead l JOIN scoring.account_todo USING (lead_id) WHERE l.account_id = a.id)"
            " ORDER BY a.id LIMIT $2",
            account_id,
            limit,
        )
        return [row[0] for row in rows]

    async def due(self, now: datetime, limit: int) -> list[str]:
        """Accounts of which a contact has stopped being active."""
        rows = await self._conn.fetch(
            "SELECT id::text FROM scoring.account WHERE due_at <= $1 ORDER BY due_at LIMIT $2", now, limit
        )
        return [row[0] for row in rows]

    async def put(self, rows: Iterable[AccountRow]) -> None:
        """Insert or replace accounts."""
        ordered = sorted(rows, key=lambda row: row.id)
        await self._conn.execute(
            "INSERT INTO scoring.account (id, version, contacts, score, search, state, due_at)"
            " SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::int[], $4::float8[], $5::text[], $6::jsonb[],"
            " $7::timestamptz[]) ON CONFLICT (id) DO UPDATE SET version = excluded.version,"
            " contacts = excluded.contacts, score = excluded.score, search = excluded.search, state = excluded.state,"
            " due_at = excluded.due_at",
            [row.id for row in ordered],
            [row.version for row in ordered],
            [row.contacts for row in ordered],
            [row.score for row in ordered],
            [row.search for row in ordered],
            [orjson.dumps(row.state).decode() for row in ordered],
            [row.due_at for row in ordered],
        )

    async def raise_versions(self, floors: Mapping[str, int]) -> None:
        """Let versions go on above those that were published, also of accounts that are not known yet."""
        await self._conn.execute(
            "INSERT INTO scoring.account AS a (id, version, contacts, search, state) SELECT id, version, 0, '', '{}'"
            " FROM unnest($1::uuid[], $2::bigint[]) AS f(id, version)"
            " ON CONFLICT (id) DO UPDATE SET version = excluded.version WHERE a.version < excluded.version",
            list(floors),
            list(floors.values()),
        )

    async def publish_again(self) -> None:
        """Forget what was published, so that every account is once more; leads tell theirs anew."""
        await self._conn.execute("UPDATE scoring.account SET state = '{}', due_at = now() WHERE contacts > 0")
