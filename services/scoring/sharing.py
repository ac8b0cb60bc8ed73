"""The leads of a large batch, shared out between this process and a helper: each takes the next piece when it is done
with one.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from functools import partial

from services.scoring.advancing import Advanced, Arrival, advance_all, advance_packed, pack_arrivals, unpack_advanced
from services.scoring.core.lead import Models
from services.scoring.core.verdicts import Key
from services.scoring.helper import PIECE, Helper, HelperLostError
from shared.slices import Slices

AHEAD = 6
"""Pieces that a helper is given before it has answered: it must not wait while this process is at one of its own."""
TURNS = 3
"""Of the event loop between two of our own pieces: so many it takes to read an answer and send the next question."""
GIVE_UP_S = 10.0
"""A piece takes milliseconds; a helper that needs more than this for it and those before has been stopped."""


class Sharing:
    """`arrivals` on their way; `bodies` are their activities as stored. Without a helper all is done here, and so is
    what was asked of a helper that ends or does not answer.
    """

    def __init__(
        self,
        models: Models,
        arrivals: Sequence[Arrival],
        bodies: Mapping[Key, str],
        now: datetime,
        helper: Helper | None = None,
    ) -> None:
        self._models = models
        self._pieces = deque(arrivals[start : start + PIECE] for start in range(0, len(arrivals), PIECE))
        self._bodies = bodies
        self._now = now
        self._helper = helper
        self._asked: deque[asyncio.Task[Sequence[Advanced]]] = deque()

    async def advanced(self) -> AsyncGenerator[Sequence[Advanced], None]:
        """As `advance_all`, piece by piece in no particular order. Others have their turn in between."""
        slices = Slices()
        try:
            while self._pieces or self._asked:
                self._ask()
                await self._let_others(slices)
                while self._asked and (self._asked[0].done() or not self._pieces):
                    yield await self._asked.popleft()
                if self._pieces:
                    yield advance_all(self._models, self._pieces.popleft(), self._now)
        finally:
            for task in self._asked:
                task.cancel()

    async def _let_others(self, slices: Slices) -> None:
        await slices.give_way()
        if self._asked:
            for _ in range(TURNS):
                await asyncio.sleep(0)

    def _ask(self) -> None:
        while self._helper is not None and self._helper.up and self._pieces and len(self._asked) < AHEAD:
            self._asked.append(asyncio.create_task(self._by_helper(self._helper, self._pieces.popleft())))

    async def _by_helper(self, helper: Helper, piece: Sequence[Arrival]) -> Sequence[Advanced]:
        folding, packed = partial(advance_packed, now=self._now), pack_arrivals(piece, self._bodies)
        try:
            async with asyncio.timeout(GIVE_UP_S):
                (answer,) = await helper.do(folding, self._models, [packed])
        except (HelperLostError, TimeoutError):
            return advance_all(self._models, piece, self._now)
        return unpack_advanced(answer)
