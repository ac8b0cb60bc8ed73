"""What the API reads of accounts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.scoring.core.accounts import Contact, contact_of
from services.scoring.core.timing import evaluations_at
from services.scoring.reading import LIKE_ESCAPE, LeadReader, StoredLead
from services.scoring.tables import account, account_lead
from shared.companies import fold_company
from shared.identity import fold_text


@dataclass(frozen=True, slots=True)
class StoredAccount:
    """An account as kept: `state` as published last."""

    id: str
    version: int
    contacts: int
    state: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AccountNow:
    """An account with its people, each evaluated at the instant asked for."""

    stored: StoredAccount
    people: Sequence[tuple[StoredLead, Contact]]


@dataclass(frozen=True, slots=True)
class AccountFilter:
    """Which accounts are asked for; `after` is the id of the last one of the page before."""

    text: str | None = None
    lead_id: str | None = None
    min_score: float | None = None
    after: UUID | None = None
    limit: int = 100


class AccountReader:
    """Reads of accounts; each call is one short transaction."""

    def __init__(self, engine: AsyncEngine, leads: LeadReader) -> None:
        self._engine = engine
        self._leads = leads

    async def account(self, account_id: str, at: datetime) -> AccountNow | None:
        """One account with its present contacts as of `at`; None where there is nobody in it."""
        if (key := _uuid(account_id)) is None:
            return None
        async with self._engine.connect() as conn:
            row = (await conn.execute(_accounts().where(account.c.id == key))).one_or_none()
            if row is None:
                return None
            people = await self._people(conn, key, at)
        return AccountNow(_stored(row), people)

    async def accounts(self, wanted: AccountFilter) -> list[StoredAccount]:
        """A page of accounts by id, one more than its limit if there are more."""
        query = _accounts().order_by(account.c.id).limit(wanted.limit + 1)
        if wanted.text is not None:
            # As written, or as names are compared: ㈱サンプル finds 株式会社サンプル.
            texts = {wanted.text.casefold(), fold_text(wanted.text), fold_company(wanted.text)} - {""}
            matches = [account.c.search.like(f"%{text.translate(LIKE_ESCAPE)}%") for text in sorted(texts)]
            query = query.where(or_(*matches))
        if wanted.lead_id is not None:
            of_lead = select(account_lead.c.account_id).where(account_lead.c.lead_id == _uuid(wanted.lead_id))
            query = query.where(account.c.id.in_(of_lead))
        if wanted.min_score is not None:
            query = query.where(account.c.score >= wanted.min_score)
        if wanted.after is not None:
            query = query.where(account.c.id > wanted.after)
        async with self._engine.connect() as conn:
            return [_stored(row) for row in (await conn.execute(query)).all()]

    async def _people(self, conn: AsyncConnection, key: UUID, at: datetime) -> list[tuple[StoredLead, Contact]]:
        members = select(account_lead.c.lead_id).where(account_lead.c.account_id == key)
        return [(stored, _contact(stored, at)) for stored in await self._leads.among(conn, members, at)]


def _contact(stored: StoredLead, at: datetime) -> Contact:
    instant = stored.state.instant(at)
    evaluations = evaluations_at(stored.models, stored.state, instant)
    return contact_of(stored.id, stored.state, stored.models, evaluations, "", instant)


def _accounts() -> Any:
    columns = (account.c.id, account.c.version, account.c.contacts, account.c.state)
    return select(*columns).where(account.c.contacts > 0)


def _stored(row: Any) -> StoredAccount:
    return StoredAccount(str(row.id), row.version, row.contacts, row.state)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
