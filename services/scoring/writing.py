"""Writing what is ready of a batch while the rest of it is folded: the database works on the one, this process on the
other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from services.scoring.lead_row import LeadRow
from services.scoring.repository import ScoringRepository
from shared.events import OutboxRow

TOGETHER = 400
"""So many leads are written at once: fewer cost a round of statements each, more leave the database waiting."""
Step = Callable[[], Awaitable[None]]
Publish = Callable[[Sequence[OutboxRow]], Awaitable[None]]


class Writing:
    """Statements on one connection that follow each other while whoever asks for them goes on.

    Nobody else may use the connection until `end` has returned.
    """

    def __init__(self, repository: ScoringRepository, publish: Publish) -> None:
        self._repository = repository
        self._publish = publish
        self._last: asyncio.Task[None] | None = None

    def begin(self, step: Step) -> None:
        """Do `step` after all that was begun before, unless one of them fails."""
        self._last = asyncio.create_task(_after(self._last, step))

    def write(self, rows: Sequence[LeadRow], published: Sequence[OutboxRow]) -> None:
        """Write leads and what is to be published of them."""
        self.begin(partial(self._write, rows, published))

    async def end(self) -> None:
        """Wait until all is done. Raises what the first step that failed has raised."""
        if self._last is not None:
            await self._last

    async def _write(self, rows: Sequence[LeadRow], published: Sequence[OutboxRow]) -> None:
        await self._repository.put_leads(rows)
        await self._publish(published)


async def _after(before: asyncio.Task[None] | None, step: Step) -> None:
    if before is not None:
        await before
    await step()
