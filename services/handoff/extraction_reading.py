"""What the API reads of runs and lists."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from services.handoff.reading import plain
from services.handoff.tables import extraction, extraction_row
from shared import codec
from shared.spreadsheet import Cell

FIELDS = "id rule key kind queue state at count lapsed created_at completed_at".split()
ROWS = 2_000


class ExtractionReader:
    """Reads of runs and lists; each call, and each part of the rows, is one short transaction."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def one(self, extraction_id: UUID) -> dict[str, Any] | None:
        """A run or list; None if there is none of that id."""
        async with self._engine.connect() as conn:
            row = (await conn.execute(select(extraction).where(extraction.c.id == extraction_id))).one_or_none()
        return None if row is None else _shown(row)

    async def page(self, rule: str | None, after: tuple[datetime, UUID] | None, limit: int) -> Sequence[dict[str, Any]]:
        """Runs and lists, the latest first, one more than the limit if there are more."""
        query, place = select(extraction), (extraction.c.at, extraction.c.id)
        if rule is not None:
            query = query.where(extraction.c.rule == rule)
        if after is not None:
            query = query.where(tuple_(*place) < tuple_(*after))
        query = query.order_by(*(column.desc() for column in place)).limit(limit + 1)
        async with self._engine.connect() as conn:
            return [_shown(row) for row in (await conn.execute(query)).all()]

    async def rows(self, extraction_id: UUID) -> AsyncIterator[list[list[Cell]]]:
        """All rows in their order, part by part."""
        last = 0
        while True:
            query = (
                select(extraction_row.c.number, extraction_row.c.cells)
                .where(extraction_row.c.extraction_id == extraction_id, extraction_row.c.number > last)
                .order_by(extraction_row.c.number)
                .limit(ROWS)
            )
            async with self._engine.connect() as conn:
                found = (await conn.execute(query)).all()
            if not found:
                return
            yield [codec.decode(row.cells) for row in found]
            last = found[-1].number


def _shown(row: Row[Any]) -> dict[str, Any]:
    return {field: plain(getattr(row, field)) for field in FIELDS}
