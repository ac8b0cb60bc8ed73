"""Explanations of stored leads: load what was stored, choose what counts at the instant asked for, explain it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson
from sqlalchemy import Text, cast, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.scoring.core.difference import Difference, difference
from services.scoring.core.entries import Entry, manual_of, recyclings_of
from services.scoring.core.explain import Explanation, explain
from services.scoring.core.knowledge import OCCURRED, Knowledge, Recorded, happened_by, known_by
from services.scoring.model_history import InForce, ModelHistory
from services.scoring.models import ModelsInForce
from services.scoring.tables import activity, entry, lead
from shared.activity import Activity, parse_stored
from shared.errors import ProblemError
from shared.identity import Identifier

Key = tuple[str, str]


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
    """An answer; `lead_id` is the survivor's where the asked one was merged."""

    lead_id: str
    question: Question
    in_force: InForce
    explanation: Explanation
    activities: int
    recorded: Mapping[Key, datetime]
    before: InForce | None = None
    difference: Difference | None = None


class Explainer:
    """Reads and explains; each call is one short transaction."""

    def __init__(self, engine: AsyncEngine, models: ModelsInForce, lead_id_for: Callable[[Identifier], str]) -> None:
        self._engine = engine
        self._models = models
        self._history = ModelHistory(models)
        self._lead_id_for = lead_id_for

    async def explain(self, question: Question) -> Explained | None:
        """None where there never was such a lead. Raises ProblemError 404 for an unknown model."""
        async with self._engine.connect() as conn:
            if (lead_id := await _survivor(conn, question.lead_id)) is None:
                return None
            in_force = await self._in_force(conn, question.model, question.at)
            before = await self._in_force(conn, question.model, question.since) if question.since else None
            stored, entries = await _stored(conn, lead_id), await _entries(conn, lead_id)
        counted = self._counted(question, stored, question.at)
        explanation = _explain(in_force, counted, entries, question, question.at)
        found = None
        if before and question.since:
            earlier = self._counted(question, stored, question.since)
            found = difference(_explain(before, earlier, entries, question, question.since), explanation)
        recorded = {(one.activity.source, one.activity.id): one.recorded_at for one in stored}
        return Explained(lead_id, question, in_force, explanation, len(counted), recorded, before, found)

    async def _in_force(self, conn: AsyncConnection, name: str, at: datetime) -> InForce:
        found = await self._history.in_force(conn, name, at)
        if found is None:
            raise ProblemError(404, "model_not_found", "There is no scoring model with this name.")
        return found

    def _counted(self, question: Question, stored: Sequence[Recorded], at: datetime) -> list[Activity]:
        if question.knowledge == OCCURRED:
            return happened_by(stored, at)
        return known_by(stored, at, question.lead_id, self._lead_id_for)


async def _survivor(conn: AsyncConnection, lead_id: str) -> str | None:
    try:
        key = UUID(lead_id)
    except ValueError:
        return None
    row = (await conn.execute(select(lead.c.merged_into).where(lead.c.id == key))).one_or_none()
    return None if row is None else str(row[0] or key)


def _explain(
    in_force: InForce,
    counted: Sequence[Activity],
    entries: Sequence[tuple[Entry, datetime]],
    question: Question,
    at: datetime,
) -> Explanation:
    model = in_force.model.compiled
    known = [entry for entry, recorded_at in entries if question.knowledge == OCCURRED or recorded_at <= at]
    recyclings = recyclings_of(known, model.model.recycle)
    return explain(model, counted, at, manual=manual_of(known), recyclings=recyclings)


async def _entries(conn: AsyncConnection, lead_id: str) -> list[tuple[Entry, datetime]]:
    columns = (entry.c.kind, entry.c.id, entry.c.anchor, entry.c.at, entry.c.body, entry.c.recorded_at)
    rows = (await conn.execute(select(*columns).where(entry.c.lead_id == UUID(lead_id)))).all()
    return [(Entry(kind, id_, str(anchor), at, body), recorded) for kind, id_, anchor, at, body, recorded in rows]


async def _stored(conn: AsyncConnection, lead_id: str) -> list[Recorded]:
    query = select(cast(activity.c.body, Text), activity.c.recorded_at).where(activity.c.lead_id == UUID(lead_id))
    rows = (await conn.execute(query)).all()
    return [Recorded(parse_stored(orjson.loads(body)), recorded_at) for body, recorded_at in rows]
