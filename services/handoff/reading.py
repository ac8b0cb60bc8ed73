"""What the API reads: handoffs and their history."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from services.handoff.tables import handoff, history
from shared.clock import to_rfc3339

FIELDS = "id lead_id rule cycle state queue owner mode crossed_at handed_over_at respond_by".split()


@dataclass(frozen=True, slots=True)
class HandoffFilter:
    """Which handoffs are asked for; `after` is the place (crossed_at, id) of the last of the page before."""

    state: str | None = None
    queue: str | None = None
    lead_id: str | None = None
    after: Sequence[Any] | None = None
    limit: int = 100


class HandoffReader:
    """Reads of the handoff service."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def one(self, handoff_id: str) -> dict[str, Any] | None:
        """A handoff with its history; None if there is none of that id."""
        try:
            key = UUID(handoff_id)
        except ValueError:
            return None
        steps = select(history).where(history.c.handoff_id == key).order_by(history.c.number)
        async with self._engine.connect() as conn:
            row = (await conn.execute(select(handoff).where(handoff.c.id == key))).one_or_none()
            if row is None:
                return None
            taken = (await conn.execute(steps)).all()
        return {**_shown(row), "history": [_step(step) for step in taken]}

    async def page(self, wanted: HandoffFilter) -> list[dict[str, Any]]:
        """Handoffs, the latest crossing first, one more than the limit if there are more."""
        query = select(handoff)
        for column, value in ((handoff.c.state, wanted.state), (handoff.c.queue, wanted.queue)):
            if value is not None:
                query = query.where(column == value)
        if wanted.lead_id is not None:
            query = query.where(handoff.c.lead_id == UUID(wanted.lead_id))
        if wanted.after is not None:
            query = query.where(tuple_(handoff.c.crossed_at, handoff.c.id) < tuple_(*wanted.after))
        query = query.order_by(handoff.c.crossed_at.desc(), handoff.c.id.desc()).limit(wanted.limit + 1)
        async with self._engine.connect() as conn:
            return [_shown(row) for row in await conn.execute(query)]


def _shown(row: Any) -> dict[str, Any]:
    return {field: _plain(getattr(row, field)) for field in FIELDS}


def _step(row: Any) -> dict[str, Any]:
    return {field: _plain(getattr(row, field)) for field in ("state", "at", "by", "reason", "until")}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return to_rfc3339(value)
    return str(value) if isinstance(value, UUID) else value
