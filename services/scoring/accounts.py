"""Keeping accounts: beside the consumer, set by set, from what leads have told them in their own transactions."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial

import asyncpg

from services.scoring.account_repository import BREATH, AccountRepository, AccountRow, Told
from services.scoring.core.account_events import account_changed, account_gone
from services.scoring.core.accounts import (
    Contact,
    account_state,
    cause_of,
    contact_of,
    describe,
    next_inactive,
)
from services.scoring.core.lead import LeadState, Models, is_current
from services.scoring.core.timing import evaluations_at
from services.scoring.models import ModelsInForce
from services.scoring.settings import ScoringSettings
from services.scoring.tables import SCHEMA
from shared import outbox
from shared.clock import Clock
from shared.events import OutboxRow
from shared.identity import Identifier
from shared.waiting import until_it_works

CHUNK = 2_000
DUE_CHUNK = 500
AT_ONCE = 250
"""Accounts that are in memory together, with all their contacts and what is published of them."""
PAUSE_S = 0.5
SHARE, LONGEST_REST_S = 0.3, 2.0
"""The most of this process's time that goes into accounts: activities come first."""
FIRST_SEEN = "repair"
"""The cause for leads that were there before their accounts were kept: nothing is raised for them."""

AccountIdFor = Callable[[Identifier], str]


async def keep_accounts(
    pool: asyncpg.Pool, settings: ScoringSettings, models: ModelsInForce, account_id_for: AccountIdFor, clock: Clock
) -> None:
    """Bring accounts up to date and publish them. Runs until cancelled."""
    turn = partial(keep_once, pool, settings, models, account_id_for, clock)
    while True:
        began = time.monotonic()
        done = await until_it_works(turn, _ignore)
        rest = min((time.monotonic() - began) * (1 / SHARE - 1), LONGEST_REST_S)
        await asyncio.sleep(rest if done >= CHUNK else max(PAUSE_S, rest))


def _ignore(_: str | None) -> None:
    """The consumer tells what is wrong with the servers."""


async def keep_once(
    pool: asyncpg.Pool, settings: ScoringSettings, models: ModelsInForce, account_id_for: AccountIdFor, clock: Clock
) -> int:
    """One set of what leads told and of accounts that time concerns; returns how much there was."""
    async with pool.acquire() as conn, conn.transaction():
        repository = AccountRepository(conn)
        if not await repository.alone():
            return 0
        now = clock()
        told = await repository.take_told(CHUNK)
        due = await repository.due(now, DUE_CHUNK)
        if not told and not due:
            return 0
        contacts = await _contacts(repository, models.current, told, now)
        belongs = {lead_id: account_id_for(one.key) for lead_id, (_, one) in contacts.items() if one and one.key}
        placed = {
            lead_id: (seq, belongs.get(lead_id), contact.pack() if contact else b"")
            for lead_id, (seq, contact) in contacts.items()
        }
        touched = {*due, *(await repository.place(placed) if placed else ())}
        news: dict[str, list[Contact]] = defaultdict(list)
        for lead_id, account_id in belongs.items():
            if (contact := contacts[lead_id][1]) is not None:
                news[account_id].append(contact)
        ordered = sorted(touched)
        for start in range(0, len(ordered), AT_ONCE):
            published = await _renew(repository, models.current, ordered[start : start + AT_ONCE], news, now)
            await outbox.append(conn, SCHEMA, published, settings.kafka.partitions)
    return len(told) + len(due)


async def _contacts(
    repository: AccountRepository, models: Models, told: Sequence[Told], now: datetime
) -> dict[str, tuple[int, Contact | None]]:
    """The last that each lead told; None where it belongs to no account."""
    last = {one.lead_id: one for one in told}
    unknown = [one.lead_id for one in last.values() if one.contact is None]
    states = await repository.states_of(unknown) if unknown else {}
    found: dict[str, tuple[int, Contact | None]] = {}
    for lead_id, one in last.items():
        contact = Contact.unpack(lead_id, one.contact) if one.contact else None
        if one.contact is None and lead_id in states:
            contact = _asked(lead_id, LeadState.unpack(states[lead_id]), models, now)
        found[lead_id] = (one.seq, contact if contact and contact.key else None)
    return found


def _asked(lead_id: str, state: LeadState, models: Models, now: datetime) -> Contact | None:
    """A stored lead's own word; one that is about to be folded by other models tells it then."""
    if not is_current(models := models.serving(state), state):
        return None
    at = state.instant(now)
    return contact_of(lead_id, state, models, evaluations_at(models, state, at), FIRST_SEEN, at)


async def _renew(
    repository: AccountRepository,
    models: Models,
    touched: Sequence[str],
    news: Mapping[str, Sequence[Contact]],
    now: datetime,
) -> list[OutboxRow]:
    """Work out the touched accounts anew; those that are not what was published are published."""
    contacts, stored = await repository.contacts_of(touched), await repository.accounts(touched)
    rows = [stored.get(account_id) or AccountRow(account_id) for account_id in touched]
    published: list[OutboxRow] = []
    worked_out = 0
    for row in rows:
        people = contacts.get(row.id, ())
        published += _bring_up_to_date(row, people, news.get(row.id, ()), models, now)
        worked_out += len(people)
        if worked_out >= BREATH:
            worked_out = 0
            await asyncio.sleep(0)  # the consumer of this process goes first
    await repository.put(rows)
    return published


def _bring_up_to_date(
    row: AccountRow, people: Sequence[Contact], news: Sequence[Contact], models: Models, now: datetime
) -> list[OutboxRow]:
    account = describe(people)
    state = account_state(account, people, models, now) if people else {}
    windows = [model.compiled.model.accounts.active_within for model in models.live]
    row.contacts, row.due_at = len(people), next_inactive(people, windows, now)
    row.search = account.search_text
    row.score = state["models"][models.primary.name]["score"] if people else None
    if state == row.state:
        return []
    row.state, row.version = state, row.version + 1
    if not people:
        return [account_gone(row.id)]
    at = max([one.evaluated_at for one in news], default=now)
    return [account_changed(row.id, row.version, state, cause_of(news), at)]
