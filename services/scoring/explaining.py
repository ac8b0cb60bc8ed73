"""Explanations of stored leads: load what was stored, choose what counts at the instant asked for, explain it."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
import orjson
from sqlalchemy.ext.asyncio import AsyncEngine

from services.scoring.core.difference import Difference, difference
from services.scoring.core.entries import Entry, manual_of, recyclings_of
from services.scoring.core.explain import Explanation, explain
from services.scoring.core.knowledge import OCCURRED, Knowledge, Recorded, happened_by, known_by
from services.scoring.core.linking import LeadIdFor
from services.scoring.core.links import Link
from services.scoring.core.openings import OPENING, REMOVED, Openings, facts_of, openings_of
from services.scoring.core.profile import identifiers_of
from services.scoring.erasures import Erasures
from services.scoring.model_history import InForce, ModelHistory
from services.scoring.models import ModelsInForce
from services.scoring.reading import history_removed
from shared.activity import Activity, parse_history
from shared.errors import ProblemError
from shared.postgres import finite

# As bytes: what is read as JSON all at once needs no texts first.
_ACTIVITIES = "SELECT convert_to(body::text, 'UTF8'), recorded_at FROM scoring.activity WHERE lead_id = $1"
_ENTRIES = "SELECT kind, id, anchor::text, at, body::text, recorded_at FROM scoring.entry WHERE lead_id = $1"
_LINKS = (
    "SELECT seq, kind, survivor::text, other::text, recorded_at FROM scoring.link"
    " WHERE survivor = ANY($1) OR other = ANY($1)"
)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: one lead under one model at `at` (and, for a difference, at `since` before it)."""

    lead_id: str
    at: datetime
    model: str
    knowledge: Knowledge = OCCURRED
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Explained:
    """An answer; `lead_id` is the survivor's where the asked one was merged, `stored` what all of it is made from;
    `activities` are as many as count, those among them that were removed and are `opened` instead.
    """

    lead_id: str
    question: Question
    in_force: InForce
    explanation: Explanation
    activities: int
    stored: Sequence[Recorded]
    before: InForce | None = None
    difference: Difference | None = None
    opened: Openings | None = None


@dataclass(frozen=True, slots=True)
class _Stored:
    """What is stored: activities, entries and links, each with when it was."""

    activities: list[Recorded]
    entries: list[tuple[Entry, datetime]]
    links: Sequence[tuple[Link, datetime]]


@dataclass(frozen=True, slots=True)
class _Counted:
    """What counts at an instant."""

    activities: Sequence[Activity]
    entries: Sequence[Entry]
    opened: Openings | None


class Explainer:
    """Reads and explains; each call is one short transaction."""

    def __init__(self, engine: AsyncEngine, models: ModelsInForce, named: LeadIdFor) -> None:
        self._engine = engine
        self._models = models
        self._history = ModelHistory(models)
        self._erasures, self._reading = Erasures(named), asyncio.Lock()
        self._lead_id_for = self._erasures.lead_id_for

    async def explain(self, question: Question) -> Explained | None:
        """None where there never was such a lead.

        Raises ProblemError 404 for an unknown model, 410 for an instant whose activities were removed.
        """
        async with self._engine.connect() as connection:
            # Reads one row after another, a thousand of them: the driver alone takes half the time.
            conn: asyncpg.Connection = (await connection.get_raw_connection()).driver_connection
            # One snapshot: what is removed meanwhile is seen as activities or as an opening, and not as both.
            async with conn.transaction(isolation="repeatable_read", readonly=True):
                async with self._reading:
                    await self._erasures.read(conn)
                read = await self._read(conn, question)
        if read is None:
            return None
        lead_id, in_force, before, kept = read
        counted = self._known(question, kept, question.at)
        explanation = _explain(in_force, counted, question.at)
        found = None
        if before and question.since:
            earlier = self._known(question, kept, question.since)
            found = difference(_explain(before, earlier, question.since), explanation)
        count = len(counted.activities) + (counted.opened.removed if counted.opened else 0)
        return Explained(
            lead_id, question, in_force, explanation, count, kept.activities, before, found, counted.opened
        )

    async def _read(
        self, conn: asyncpg.Connection, question: Question
    ) -> tuple[str, InForce, InForce | None, _Stored] | None:
        if (lead_id := await _survivor(conn, question.lead_id)) is None:
            return None
        in_force = await self._in_force(conn, question.model, question.at)
        before = await self._in_force(conn, question.model, question.since) if question.since else None
        return lead_id, in_force, before, await self._stored(conn, lead_id, question)

    async def _in_force(self, conn: asyncpg.Connection, name: str, at: datetime) -> InForce:
        found = await self._history.in_force(conn, name, at)
        if found is None:
            raise ProblemError(404, "model_not_found", "There is no scoring model with this name.")
        return found

    async def _stored(self, conn: asyncpg.Connection, lead_id: str, question: Question) -> _Stored:
        """What is stored of the lead; for what was known, also of those it was one with, or may have been."""
        activities, entries = await _activities(conn, lead_id), await _entries(conn, lead_id)
        if question.knowledge == OCCURRED:
            return _Stored(activities, entries, ())
        seen, links = {lead_id}, dict[int, tuple[Link, datetime]]()
        while True:
            named = [*(one.activity for one in activities), *facts_of(entry for entry, _ in entries)]
            names = identifiers_of(named)
            links |= await _links(conn, {self._lead_id_for(name) for name in names})
            anchors = {anchor for link, _ in links.values() for anchor in (link.survivor, link.other)}
            others = {found for anchor in anchors if (found := await _survivor(conn, anchor))} - seen
            if not others:
                return _Stored(activities, entries, [links[seq] for seq in sorted(links)])
            for other in others:
                activities += await _activities(conn, other)
                entries += await _entries(conn, other)
            seen |= others

    def _known(self, question: Question, lead: _Stored, at: datetime) -> _Counted:
        if question.knowledge == OCCURRED:
            return _counted(happened_by(lead.activities, at), [entry for entry, _ in lead.entries], at)
        said = [link for link, recorded_at in lead.links if recorded_at <= at]
        # What was removed had been stored before its cut, and nothing is told of an instant before that.
        removed = [Recorded(fact, fact.occurred_at) for fact in facts_of(entry for entry, _ in lead.entries)]
        known = known_by([*lead.activities, *removed], at, question.lead_id, self._lead_id_for, said)
        entries = [
            entry
            for entry, recorded_at in lead.entries
            if (entry.kind == OPENING or recorded_at <= at) and entry.anchor in known.anchors
        ]
        return _counted([one for one in known.activities if one.type != REMOVED], entries, at)


def _counted(activities: Sequence[Activity], entries: Sequence[Entry], at: datetime) -> _Counted:
    opened = openings_of(entries)
    if opened is not None and at < opened.until:
        raise history_removed(opened.until)
    return _Counted(activities, entries, opened)


async def _survivor(conn: asyncpg.Connection, lead_id: str) -> str | None:
    try:
        key = UUID(lead_id)
    except ValueError:
        return None
    row = await conn.fetchrow("SELECT merged_into FROM scoring.lead WHERE id = $1", key)
    return None if row is None else str(row[0] or key)


def _explain(in_force: InForce, counted: _Counted, at: datetime) -> Explanation:
    model = in_force.model.compiled
    recyclings = recyclings_of(counted.entries, model.model.recycle)
    manual = manual_of(counted.entries)
    return explain(model, counted.activities, at, manual=manual, recyclings=recyclings, opened=counted.opened)


async def _links(conn: asyncpg.Connection, anchors: Collection[str]) -> dict[int, tuple[Link, datetime]]:
    """What people said about these anchors, by its place in order, with when it was stored."""
    rows = await conn.fetch(_LINKS, [UUID(anchor) for anchor in anchors])
    return {seq: (Link(kind, survivor, other), recorded) for seq, kind, survivor, other, recorded in rows}


async def _entries(conn: asyncpg.Connection, lead_id: str) -> list[tuple[Entry, datetime]]:
    rows = await conn.fetch(_ENTRIES, UUID(lead_id))
    return [
        (Entry(kind, id_, anchor, finite(at), orjson.loads(body)), recorded_at)
        for kind, id_, anchor, at, body, recorded_at in rows
    ]


async def _activities(conn: asyncpg.Connection, lead_id: str) -> list[Recorded]:
    rows = await conn.fetch(_ACTIVITIES, UUID(lead_id))
    bodies = orjson.loads(b"[" + b",".join([row[0] for row in rows]) + b"]")
    return [Recorded(activity, row[1]) for activity, row in zip(parse_history(bodies), rows, strict=True)]
