"""What the API reads: leads as of an instant, and their activities."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import ColumnElement, Select, and_, func, not_, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.scoring.core.entries import Entry
from services.scoring.core.lead import LeadState, Models, is_current, refold
from services.scoring.core.openings import openings_of
from services.scoring.model_history import ModelHistory
from services.scoring.models import ModelsInForce
from services.scoring.tables import activity, entry, identifier, lead
from shared.activity import Activity, parse_stored
from shared.clock import to_rfc3339
from shared.errors import ProblemError
from shared.identity import EMAIL, MAILBOX, fold_text
from shared.postgres import finite

LIKE_ESCAPE = str.maketrans({"%": r"\%", "_": r"\_", "\\": r"\\"})


@dataclass(frozen=True, slots=True)
class StoredLead:
    """A lead as read: its id, version and folded state, and the models that it is scored by."""

    id: str
    version: int
    state: LeadState
    models: Models


@dataclass(frozen=True, slots=True)
class StoredActivity:
    """An activity as stored; `body` as ingest published it."""

    occurred_at: datetime
    id: str
    source: str
    recorded_at: datetime
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LeadFilter:
    """Which leads are asked for; `after` is the id of the last lead of the page before."""

    email: str | None = None
    text: str | None = None
    min_score: float | None = None
    after: UUID | None = None
    limit: int = 100


class LeadReader:
    """Reads of the scoring service; each call is one short transaction.

    Raises ProblemError 410 for an instant whose activities were removed.
    """

    def __init__(self, engine: AsyncEngine, models: ModelsInForce) -> None:
        self._engine = engine
        self._models = models
        self._history = ModelHistory(models)

    async def lead(self, lead_id: str, at: datetime, *, as_it_was: bool = False) -> StoredLead | None:
        """One lead as of `at`, through the redirect of a merged id; None if there never was one. `as_it_was` asks for
        the models that were in force then.
        """
        if (key := _uuid(lead_id)) is None:
            return None
        async with self._engine.connect() as conn:
            target = (await conn.execute(select(lead.c.merged_into).where(lead.c.id == key))).one_or_none()
            if target is None:
                return None
            query = _with_state().where(lead.c.id == (target[0] or key))
            found = await self._stored(conn, query, at, as_it_was=as_it_was)
        return found[0] if found else None

    async def leads(self, wanted: LeadFilter, at: datetime, *, as_it_was: bool = False) -> list[StoredLead]:
        """A page of leads by id, one more than its limit if there are more; as `lead`."""
        query = _with_state().where(lead.c.merged_into.is_(None)).order_by(lead.c.id).limit(wanted.limit + 1)
        if wanted.email is not None:
            query = query.where(lead.c.id.in_(_owned_by(wanted.email)))
        if wanted.text is not None:
            query = query.where(_named_like(wanted.text))
        if wanted.min_score is not None:
            query = query.where(lead.c.score >= wanted.min_score)
        if wanted.after is not None:
            query = query.where(lead.c.id > wanted.after)
        async with self._engine.connect() as conn:
            return await self._stored(conn, query, at, as_it_was=as_it_was)

    async def among(self, conn: AsyncConnection, ids: Select[tuple[UUID]], at: datetime) -> list[StoredLead]:
        """The leads of these ids as of `at`, on the caller's connection."""
        return await self._stored(conn, _with_state().where(lead.c.id.in_(ids)).order_by(lead.c.id), at)

    async def activities(self, lead_id: str, limit: int, after: Sequence[Any] | None) -> list[StoredActivity]:
        """A page of a lead's activities, newest first, one more than `limit` if there are more.

        `after` is the place (occurred_at, id, source) of the last one of the page before.
        """
        columns = (activity.c.occurred_at, activity.c.id, activity.c.source, activity.c.recorded_at, activity.c.body)
        query = select(*columns).where(activity.c.lead_id == UUID(lead_id))
        if after is not None:
            query = query.where(tuple_(*columns[:3]) < tuple_(*after))
        query = query.order_by(*(column.desc() for column in columns[:3])).limit(limit + 1)
        async with self._engine.connect() as conn:
            return [StoredActivity(*row) for row in await conn.execute(query)]

    async def _stored(
        self, conn: AsyncConnection, query: Select[Any], at: datetime, *, as_it_was: bool = False
    ) -> list[StoredLead]:
        rows = (await conn.execute(query)).all()
        then = await self._models_at(conn, at) if as_it_was and at < self._models.published_at else None
        states = {str(row.id): LeadState.unpack(row.state) for row in rows}
        models = {lead_id: then or self._models.serving(state) for lead_id, state in states.items()}
        late = [lead_id for lead_id, state in states.items() if not _answers(models[lead_id], state, at)]
        if late:
            history, entries = await _activities_of(conn, late), await _entries_of(conn, late)
            for lead_id in late:
                if (opened := openings_of(entries[lead_id])) is not None and at < opened.until:
                    raise history_removed(opened.until)
                identifiers = states[lead_id].profile.identifiers
                states[lead_id] = refold(models[lead_id], history[lead_id], identifiers, at, entries[lead_id])
        versions = {str(row.id): row.version for row in rows}
        return [StoredLead(one, version, states[one], models[one]) for one, version in versions.items()]

    async def _models_at(self, conn: AsyncConnection, at: datetime) -> Models:
        driver: asyncpg.Connection = (await conn.get_raw_connection()).driver_connection
        return await self._history.models_at(driver, at)


def _answers(models: Models, state: LeadState, at: datetime) -> bool:
    """Whether the stored fold can be evaluated at `at` as it is."""
    if state.ahead_at is not None and state.ahead_at <= at:
        return False
    return is_current(models, state) and (state.profile.last is None or state.profile.last[0] <= at)


def history_removed(until: datetime) -> ProblemError:
    """The answer to a question about an instant whose activities were removed for their age."""
    detail = f"What this lead did before {to_rfc3339(until)} was removed for its age; ask for an instant from then on."
    return ProblemError(410, "history_removed", detail)


def _with_state() -> Select[Any]:
    """Leads but those of which only the version is known, as their activities are about to be read again."""
    return select(lead).where(lead.c.state != b"")


def _named_like(text: str) -> ColumnElement[bool]:
    """Leads whose name, company or address holds `text`, whatever the widths and cases on either side."""
    stored, sought = lead.c.search, f"%{fold_text(text).translate(LIKE_ESCAPE)}%"
    # Case-folded, but as wide as they came: most are normal already, which is found out in a fraction of the time.
    normal = func.lower(func.pg_catalog.normalize(stored, "NFKC"))
    return or_(stored.like(sought), and_(not_(func.is_normalized(stored, "NFKC")), normal.like(sought)))


def _owned_by(email: str) -> Select[tuple[UUID]]:
    """Ids of the leads that an address names: its own, and those behind a shared mailbox."""
    own = and_(identifier.c.kind == EMAIL, identifier.c.value == email)
    behind = and_(identifier.c.kind == MAILBOX, identifier.c.value.startswith(f"{email}\x1f", autoescape=True))
    return select(identifier.c.lead_id).where(or_(own, behind))


async def _activities_of(conn: AsyncConnection, lead_ids: Collection[str]) -> dict[str, list[Activity]]:
    found: dict[str, list[Activity]] = {lead_id: [] for lead_id in lead_ids}
    query = select(activity.c.lead_id, activity.c.body).where(activity.c.lead_id.in_([UUID(item) for item in lead_ids]))
    for lead_id, body in (await conn.execute(query)).all():
        found[str(lead_id)].append(parse_stored(body))
    return found


async def _entries_of(conn: AsyncConnection, lead_ids: Collection[str]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {lead_id: [] for lead_id in lead_ids}
    columns = (entry.c.lead_id, entry.c.kind, entry.c.id, entry.c.anchor, entry.c.at, entry.c.body)
    query = select(*columns).where(entry.c.lead_id.in_([UUID(item) for item in lead_ids]))
    for lead_id, kind, id_, anchor, at, body in (await conn.execute(query)).all():
        found[str(lead_id)].append(Entry(kind, id_, str(anchor), finite(at), body))
    return found


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
