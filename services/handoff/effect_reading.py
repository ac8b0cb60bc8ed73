"""What the reports read: how handoffs of a stretch of time stand."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from services.handoff.core.effect import BAND, Dimension, Standing
from services.handoff.core.states import ACCEPTED, REJECTED
from services.handoff.tables import handoff, history

_CENTS = 100 * BAND


@dataclass(frozen=True, slots=True)
class Stretch:
    """Handoffs handed over from `start` (inclusive) to `end` (exclusive); None: without bound."""

    start: datetime | None
    end: datetime | None


class EffectReader:
    """Reads for reports; each call is one short transaction."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def standings(self, by: Sequence[Dimension], stretch: Stretch) -> list[Standing]:
        """How many stand where, by the dimensions asked for."""
        groups = [_column(name).label(name) for name in by]
        accepted = exists().where(history.c.handoff_id == handoff.c.id, history.c.state == ACCEPTED).label("accepted")
        reason = (
            select(history.c.reason)
            .where(history.c.handoff_id == handoff.c.id, history.c.state == REJECTED, handoff.c.state == REJECTED)
            .order_by(history.c.number.desc())
            .limit(1)
            .scalar_subquery()
            .label("reason")
        )
        one = select(*groups, handoff.c.state, accepted, reason).where(_within(stretch)).subquery()
        query = select(*one.c, func.count()).group_by(*one.c)
        async with self._engine.connect() as conn:
            rows = (await conn.execute(query)).all()
        return [Standing(tuple(row[: len(by)]), *row[len(by) :]) for row in rows]


def _column(name: Dimension) -> ColumnElement[Any]:
    if name == "band":
        # Towards minus infinity, as bands of negative scores are as wide as the others.
        return func.floor(handoff.c.score / float(_CENTS)).cast(handoff.c.score.type) * BAND
    column: ColumnElement[Any] = handoff.c[name]
    return column


def _within(stretch: Stretch) -> ColumnElement[bool]:
    begun = [handoff.c.handed_over_at >= stretch.start] if stretch.start is not None else []
    ended = [handoff.c.handed_over_at < stretch.end] if stretch.end is not None else []
    return and_(handoff.c.handed_over_at.is_not(None), *begun, *ended)
