"""The leads of a run that were collected for one destination, read in short sessions while their message is made."""

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from shared.events import QUALIFIED

PAGE = 500


class CollectedRun:
    """See Run."""

    def __init__(self, pool: asyncpg.Pool, destination_id: UUID, extraction: str) -> None:
        self._pool = pool
        self._of = (destination_id, extraction, QUALIFIED)

    async def count(self) -> int:
        """See Run."""
        found: int = await self._pool.fetchval(
            "SELECT count(*) FROM handoff.delivery WHERE destination_id = $1 AND extraction = $2 AND event_type = $3",
            *self._of,
        )
        return found

    async def first(self, limit: int) -> Sequence[dict[str, Any]]:
        """See Run."""
        return [data for _, data in await self._page(None, limit)]

    async def all(self) -> AsyncIterator[dict[str, Any]]:
        """See Run."""
        after = None
        while page := await self._page(after, PAGE):
            for _, data in page:
                yield data
            after = page[-1][0]

    async def _page(self, after: UUID | None, limit: int) -> list[tuple[UUID, dict[str, Any]]]:
        rows = await self._pool.fetch(
            "SELECT id, value FROM handoff.delivery WHERE destination_id = $1 AND extraction = $2 AND event_type = $3"
            " AND ($4::uuid IS NULL OR id > $4) ORDER BY id LIMIT $5",
            *self._of,
            after,
            limit,
        )
        return [(row[0], orjson.loads(row[1])) for row in rows]
