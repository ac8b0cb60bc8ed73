"""What accounts know of their people, and what they make of it, worked out again: a part of `kizashi replay`."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import asyncpg

from services.scoring.account_repository import AccountRepository
from services.scoring.core.accounts import Contact, account_state, contact_of, describe
from services.scoring.core.lead import LeadState, Models
from services.scoring.core.timing import evaluations_at
from services.scoring.replayed import FIRST, Difference
from shared.clock import EPOCH

CHUNK = 200


async def compare_contacts(
    conn: asyncpg.Connection, models: Models, folded: Mapping[str, LeadState]
) -> list[Difference]:
    """Whether accounts know of these leads, folded anew, what they would be told now. Reads only."""
    repository = AccountRepository(conn)
    stored, telling = await repository.stored_contacts(folded), await repository.about_to_tell(folded)
    found: list[Difference] = []
    for lead_id, state in folded.items():
        if lead_id not in telling:
            _, packed = stored.get(lead_id, (None, b""))
            found += _contact_differs(lead_id, packed, state, models)
    return found


def _contact_differs(lead_id: str, packed: bytes, state: LeadState, models: Models) -> Iterator[Difference]:
    known = Contact.unpack(lead_id, packed) if packed else None
    at = state.instant(known.evaluated_at if known else EPOCH)
    fresh = contact_of(lead_id, state, models, evaluations_at(models, state, at), "", at)
    ours, theirs = _told(known), _told(fresh if fresh.key else None)
    yield from (
        Difference(lead_id, f"account: {what}", ours[what], theirs[what]) for what in ours if ours[what] != theirs[what]
    )


def _told(contact: Contact | None) -> dict[str, Any]:
    if contact is None:
        return dict.fromkeys(("key", "name", "domain", "scores", "active at"))
    key = contact.key.value if contact.key else None
    scores = dict(contact.scores)
    return {
        "key": key,
        "name": contact.name,
        "domain": contact.domain,
        "scores": scores,
        "active at": contact.active_at,
    }


async def compare_accounts(conn: asyncpg.Connection, models: Models, now: datetime) -> tuple[int, list[Difference]]:
    """Whether every account is what its contacts make it; how many were compared, and what differs."""
    repository, found = AccountRepository(conn), list[Difference]()
    after, compared = FIRST, 0
    while True:
        # One snapshot for contacts and accounts: both are written in one transaction.
        async with conn.transaction(isolation="repeatable_read", readonly=True):
            ids = await repository.after(after, CHUNK)
            contacts, rows = await repository.contacts_of(ids), await repository.accounts(ids)
        if not ids:
            return compared, found
        after = ids[-1]
        for account_id in ids:
            row, people = rows[account_id], contacts.get(account_id, [])
            if row.due_at is not None and row.due_at <= now:
                continue
            compared += 1
            fresh = account_state(describe(people), people, models, now)
            found += [
                Difference(account_id, f"account: {what}", row.state.get(what), fresh[what])
                for what in fresh
                if row.state.get(what) != fresh[what]
            ]
            if len({one.key for one in people}) > 1:
                found.append(Difference(account_id, "account: keys", [str(one.key) for one in people], "one"))
