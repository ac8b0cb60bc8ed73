"""What the API reads: handoffs and their history."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from services.handoff.tables import handoff, history
from shared.clock import to_rfc3339
from shared.postgres import finite

FIELDS = (
    "id lead_id rule cycle state queue owner mode crossed_at handed_over_at respond_by decide_by breaches routing"
    " extraction rules_version"
).split()
STEP_FIELDS = "state at by reason until event owner".split()


@dataclass(frozen=True, slots=True)
class HandoffFilter:
    """Which handoffs are asked for; `after` is the place (crossed_at, id) of the last one of the page before."""

    state: str | None = None
    queue: str | None = None
    lead_id: str | None = None
    after: tuple[datetime, UUID] | None = None
    limit: int = 100


class HandoffReader:
    """Reads of the handoff service; each call is one short transaction."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def one(self, handoff_id: UUID) -> dict[str, Any] | None:
        """A handoff with its history; None if there is none of that id."""
        steps = select(history).where(history.c.handoff_id == handoff_id).order_by(history.c.number)
        async with self._engine.connect() as conn:
            row = (await conn.execute(select(handoff).where(handoff.c.id == handoff_id))).one_or_none()
            if row is None:
                return None
            taken = (await conn.execute(steps)).all()
        return {**_shown(row), "history": [_step(step) for step in taken]}

    async def page(self, wanted: HandoffFilter) -> Sequence[dict[str, Any]]:
        """Handoffs without history, the latest crossing first, one more than the limit if there are more."""
        query = select(handoff)
        filters = {handoff.c.state: wanted.state, handoff.c.queue: wanted.queue, handoff.c.lead_id: wanted.lead_id}
        for column, value in filters.items():
            if value is not None:
                query = query.where(column == value)
        place = (handoff.c.crossed_at, handoff.c.id)
        if wanted.after is not None:
            query = query.where(tuple_(*place) < tuple_(*wanted.after))
        query = query.order_by(*(column.desc() for column in place)).limit(wanted.limit + 1)
        async with self._engine.connect() as conn:
            return [_shown(row) for row in (await conn.execute(query)).all()]


def _shown(row: Row[Any]) -> dict[str, Any]:
    return {field: plain(getattr(row, field)) for field in FIELDS}


def _step(row: Row[Any]) -> dict[str, Any]:
    return {field: plain(getattr(row, field)) for field in STEP_FIELDS}


def plain(value: Any) -> Any:
    """A column's value as JSON shows it."""
    if isinstance(value, datetime):
        return to_rfc3339(finite(value))
    return str(value) if isinstance(value, UUID) else value
