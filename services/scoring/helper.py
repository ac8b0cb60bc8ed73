"""Processes that fold leads beside this one, which reads and writes: so a refold and a backlog use every core, and live
scoring does not wait for a refold.

They are started for much work only and ended soon after. What runs in them is `helping.py`, which also says how one
talks to them; work goes in pieces that the pipe holds whole, so that the next one is there when the helper is done with
one. When this process dies, whatever the way, the pipe ends and the helper with it.
"""

import asyncio
import os
import pickle
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from services.scoring import helping
from services.scoring.core.lead import Models
from services.scoring.helping import LENGTH, PIPE, Folding
from services.scoring.packing import Packed
from shared.errors import TransientError

HELPERS = 2
"""With one, a core stands still whenever what it needs next is being read, or what it folded is being written."""
KEEP_S = 10.0
"""A helper without work is kept so long: whoever publishes a model often publishes the next one soon."""
SETTINGS = "KIZASHI_"
"""Of the service, its secrets among them: they stay with it."""
PIECE = 25
"""Leads of one question; with ten activities each it takes 0.2 MiB, and what is made of it stays near the processor."""
_BUFFER = 8 * PIPE


class HelperLostError(TransientError):
    """The helper ended while it had work in hand: that is to be done again."""


class Helper:
    """At most one process, started when it is first wanted."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._starting: asyncio.Task[None] | None = None
        self._sending, self._receiving = asyncio.Lock(), asyncio.Lock()
        self._models: Models | None = None
        self._packed = b""
        self._used = 0.0
        self.in_hand = 0
        """How much it was asked for and has not answered yet."""

    @property
    def pid(self) -> int | None:
        """Of the process, None while there is none."""
        return self._process.pid if self._process is not None else None

    @property
    def up(self) -> bool:
        """Whether it can be given work at once."""
        starting = self._starting
        return starting is not None and starting.done() and starting.exception() is None

    def ready(self) -> bool:
        """Whether it is up. If not it is being started from now on."""
        if self._starting is None or (self._starting.done() and not self.up):
            self._starting = asyncio.create_task(self._start())
        return self.up

    async def do(self, folding: Folding, models: Models, pieces: Sequence[Packed]) -> list[Packed]:
        """`folding(models, piece)` for each piece. Raises HelperLostError, and what the folding raises."""
        self.in_hand += 1
        try:
            if not self.ready() and self._starting is not None:
                await self._starting
            if self._models is not models:
                self._models, self._packed = models, pickle.dumps(models)
            packed = self._packed
            return list(await asyncio.gather(*(self._ask((folding, packed, piece)) for piece in pieces)))
        except BaseException:
            await self.end()  # an answer that nobody waits for any more must not be taken for the next one
            raise
        finally:
            self.in_hand -= 1

    async def rest(self) -> None:
        """End the process if it has had no work for a while; to be called now and then."""
        if self.up and not self.in_hand and time.monotonic() - self._used > KEEP_S:
            await self.end()

    async def end(self) -> None:
        """End the process, if there is one."""
        process, starting, self._process, self._starting = self._process, self._starting, None, None
        if starting is not None:
            starting.cancel()
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _start(self) -> None:
        try:
            process = self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                helping.__name__,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=_BUFFER,
                env={name: text for name, text in os.environ.items() if not name.startswith(SETTINGS)},
            )
            await self._receive(process)
        except OSError as error:
            raise HelperLostError(f"no process that folds could be started: {error}") from error

    async def _ask(self, question: object) -> Any:
        process = self._process
        if process is None or process.stdin is None:
            raise HelperLostError("the process that folds was ended")
        asked = pickle.dumps(question)
        try:
            # The next question is on its way while the helper works on this one; locks are given in order of asking.
            async with self._sending:
                process.stdin.writelines((LENGTH.pack(len(asked)), asked))
                await process.stdin.drain()
        except OSError as error:
            raise HelperLostError("the process that folds has died") from error
        async with self._receiving:
            return await self._receive(process)

    async def _receive(self, process: asyncio.subprocess.Process) -> Any:
        if process.stdout is None:
            raise HelperLostError("the process that folds was ended")
        try:
            (length,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
            answer = pickle.loads(await process.stdout.readexactly(length))  # noqa: S301 - written by ourselves
        except asyncio.IncompleteReadError as error:
            raise HelperLostError("the process that folds has died") from error
        if isinstance(answer, Exception):
            raise answer
        self._used = time.monotonic()
        return answer


class Helpers:
    """All helpers of one process."""

    def __init__(self) -> None:
        self.each = tuple([Helper() for _ in range(HELPERS)])

    def ready(self) -> bool:
        """Whether any is up. Those that are not are being started from now on."""
        return bool(self._up())

    def idle(self) -> Helper | None:
        """One that is up and has nothing to do. If none is up, one is being started from now on."""
        if all(helper.pid is None for helper in self.each):
            self.each[0].ready()
        return next((helper for helper in self.each if helper.up and not helper.in_hand), None)

    async def do(self, folding: Folding, models: Models, pieces: Sequence[Packed]) -> list[Packed]:
        """As `Helper.do`, by that which has least in hand; one is waited for if none is up."""
        helper = min(self._up() or self.each, key=lambda helper: helper.in_hand)
        return await helper.do(folding, models, pieces)

    async def keep(self) -> None:
        """End those that have had no work for a while, and on cancellation all. Runs until cancelled."""
        try:
            while True:
                await asyncio.sleep(KEEP_S / 10)
                for helper in self.each:
                    await helper.rest()
        finally:
            await self.end()

    async def end(self) -> None:
        """End their processes."""
        for helper in self.each:
            await helper.end()

    def _up(self) -> list[Helper]:
        return [helper for helper in self.each if helper.ready()]
