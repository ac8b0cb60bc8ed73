"""What is stored of one person: consent with its proof, and everything there is, as a document to hand over."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.scoring.answers import activity_out, lead_out
from services.scoring.core.consent import PURPOSES, history_of, in_force
from services.scoring.core.entries import POINTS, Entry
from services.scoring.core.evaluation import as_points
from services.scoring.core.openings import OPENING, Opening
from services.scoring.core.verdicts import DETECTOR, alone
from services.scoring.models import ModelsInForce
from services.scoring.reading import LeadReader, StoredActivity, StoredLead
from services.scoring.tables import activity, entry, lead_merge, link, verdict
from shared.activity import parse_stored
from shared.clock import to_rfc3339
from shared.postgres import finite


class SubjectReader:
    """Reads of everything about one lead; each call is one short transaction."""

    def __init__(self, engine: AsyncEngine, models: ModelsInForce) -> None:
        self._engine = engine
        self._reader = LeadReader(engine, models)

    async def consent(self, lead_id: str, at: datetime) -> dict[str, Any] | None:
        """Per purpose what is in force at `at`, and every word with its proof, the latest first."""
        found = await self._reader.lead(lead_id, at)
        if found is None:
            return None
        async with self._engine.connect() as conn:
            stored, opened = await _activities(conn, found.id), await _openings(conn, found.id)
        return {"lead_id": found.id, **_consent(stored, opened, at)}

    async def export(self, lead_id: str, at: datetime) -> dict[str, Any] | None:
        """Everything stored of a lead, in the order in which it happened."""
        found = await self._reader.lead(lead_id, at)
        if found is None:
            return None
        async with self._engine.connect() as conn:
            stored, key = await _activities(conn, found.id), UUID(found.id)
            verdicts = await _verdicts(conn, key, stored)
            entries = (await conn.execute(select(entry).where(entry.c.lead_id == key).order_by(entry.c.at))).all()
            about = or_(lead_merge.c.survivor_id == key, lead_merge.c.merged_id == key)
            merges = (await conn.execute(select(lead_merge).where(about).order_by(lead_merge.c.seq))).all()
            said = or_(link.c.survivor == key, link.c.other == key)
            words = (await conn.execute(select(link).where(said).order_by(link.c.seq))).all()
        return {
            "exported_at": to_rfc3339(at),
            "lead": lead_out(found, at, reasons=True),
            "scores": _scores(found, at),
            "activities": [{**activity_out(one), "verdict": verdicts.get((one.source, one.id))} for one in stored],
            "consent": _consent(stored, [_opening(row) for row in entries if row.kind == OPENING], at),
            "entries": [_entry(dict(row._mapping)) for row in entries],
            "merges": [_plain(dict(row._mapping), "seq") for row in merges],
            "words": [_plain(dict(row._mapping), "seq") for row in words],
        }


def _scores(found: StoredLead, at: datetime) -> dict[str, Any]:
    instant = found.state.instant(at)
    return {
        model.name: {"version": model.version, **found.state.evaluation(model, instant).to_json()}
        for model in found.models.live
    }


async def _activities(conn: AsyncConnection, lead_id: str) -> list[StoredActivity]:
    columns = (activity.c.occurred_at, activity.c.id, activity.c.source, activity.c.recorded_at, activity.c.body)
    query = select(*columns).where(activity.c.lead_id == UUID(lead_id)).order_by(*columns[:3])
    return [StoredActivity(*row) for row in (await conn.execute(query)).all()]


async def _openings(conn: AsyncConnection, lead_id: str) -> list[Opening]:
    query = select(entry).where(entry.c.lead_id == UUID(lead_id), entry.c.kind == OPENING)
    return [_opening(row) for row in (await conn.execute(query)).all()]


def _opening(row: Any) -> Opening:
    return Opening(Entry(row.kind, row.id, str(row.anchor), row.at, row.body))


def _consent(stored: list[StoredActivity], opened: list[Opening], at: datetime) -> dict[str, Any]:
    recorded = {(one.source, one.id): to_rfc3339(one.recorded_at) for one in stored}
    for opening in opened:  # the proof of a word outlives the activity that brought it
        recorded |= opening.recorded
    told = [*(parse_stored(one.body) for one in stored), *(fact for one in opened for fact in one.facts)]
    words = history_of(told)
    now = in_force(words, at)
    history = [word.to_json() for word in reversed(words)]
    for word in history:
        word["recorded_at"] = recorded[word["activity"]["source"], word["activity"]["id"]]
    return {"purposes": {purpose: now.get(purpose) for purpose in PURPOSES}, "history": history}


async def _verdicts(
    conn: AsyncConnection, lead_id: UUID, stored: list[StoredActivity]
) -> dict[tuple[str, str], dict[str, Any]]:
    """Of every hit: the stored verdict under which it earns nothing, else what it tells alone."""
    found = {}
    for one in stored:
        if (judged := alone(parse_stored(one.body))) is not None:
            shown = {"verdict": judged.word, "reasons": list(judged.reasons), "detector": DETECTOR}
            found[one.source, one.id] = shown
    own = and_(activity.c.source == verdict.c.source, activity.c.id == verdict.c.id, activity.c.lead_id == lead_id)
    query = select(verdict).join(activity, own).order_by(verdict.c.recorded_at)
    for row in (await conn.execute(query)).all():
        if (row.source, row.id) in found:
            shown = {"verdict": row.verdict, "reasons": row.reasons, "detector": row.detector}
            found[row.source, row.id] = shown
    return found


def _entry(row: Mapping[str, Any]) -> dict[str, Any]:
    shown = _plain(row, "lead_id", "anchor")
    if shown["kind"] == POINTS:
        shown["body"] = {**shown["body"], "points": as_points(shown["body"]["points"])}
    return shown


def _plain(row: Mapping[str, Any], *without: str) -> dict[str, Any]:
    return {
        str(name): to_rfc3339(finite(value))
        if isinstance(value, datetime)
        else str(value)
        if isinstance(value, UUID)
        else value
        for name, value in row.items()
        if name not in without
    }
