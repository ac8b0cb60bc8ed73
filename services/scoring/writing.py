"""Writing what is ready of a batch while the rest of it is folded: the database works on the one, this process on the
other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Self

from services.scoring.lead_row import LeadRow
from services.scoring.repository import ScoringRepository
from shared.events import OutboxRow

TOGETHER = 400
"""So many leads are written at once: fewer cost a round of statements each, more leave the database waiting."""
Step = Callable[[], Awaitable[None]]
Publish = Callable[[Sequence[OutboxRow]], Awaitable[None]]


class Writing:
    """Statements on one connection that follow each other while whoever asks for them goes on.

    Used as a context, whose end waits until all is done and raises what the first step that failed has raised. Leaving
    it by an error or a cancellation gives up what is not done. Nobody else may use the connection before.
    """

    def __init__(self, repository: ScoringRepository, publish: Publish) -> None:
        self._repository = repository
        self._publish = publish
        self._steps: list[asyncio.Task[None]] = []

    def begin(self, step: Step) -> None:
        """Do `step` after all that was begun before, unless one of them fails."""
        before = self._steps[-1] if self._steps else None
        self._steps.append(asyncio.create_task(_after(before, step)))

    def write(self, rows: Sequence[LeadRow], published: Sequence[OutboxRow]) -> None:
        """Write leads and what is to be published of them."""
        self.begin(partial(self._write, rows, published))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if self._steps and kind is None:
                await self._steps[-1]
        finally:
            # A step that is cancelled before it has begun leaves the one before it at work.
            for step in self._steps:
                step.cancel()
            await asyncio.gather(*self._steps, return_exceptions=True)

    async def _write(self, rows: Sequence[LeadRow], published: Sequence[OutboxRow]) -> None:
        await self._repository.put_leads(rows)
        await self._publish(published)


async def _after(before: asyncio.Task[None] | None, step: Step) -> None:
    if before is not None:
        await before
    await step()
