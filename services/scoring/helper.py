"""Processes that fold chunks of leads, while this one reads and writes: so a refold uses every core, and live scoring
does not wait for it.

They are started for a large refold only and ended soon after. Each talks in pickles over its standard input and output,
each behind its length; a chunk goes in pieces that the pipe holds whole, so that the next one is there when the helper
is done with one. When this process dies, whatever the way, the pipe ends and the helper with it.
"""

import asyncio
import fcntl
import os
import pickle
import signal
import struct
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import Any, BinaryIO

from services.scoring.core.lead import Models
from services.scoring.switching import (
    StoredLead,
    SwitchedLead,
    pack_leads,
    pack_switched,
    switch,
    unpack_leads,
    unpack_switched,
)
from shared.activity import names_of
from shared.background import settle
from shared.errors import TransientError

HELPERS = 2
"""With one, a core stands still whenever what it needs next is being read, or what it folded is being written."""
STEPS_BACK = 10
"""How far (`nice(2)`) a helper lets others go first: this service and PostgreSQL, so that live scoring waits less."""
KEEP_S = 10.0
"""A helper without work is kept so long: whoever publishes a model often publishes the next one soon."""
SETTINGS = "KIZASHI_"
"""Of the service, its secrets among them: they stay with it."""
PIECE = 25
"""Leads of one question; with ten activities each it takes 0.2 MiB, and what is made of it stays near the processor."""
_LENGTH = struct.Struct(">Q")
_PIPE = 1_048_576
_BUFFER = 8 * _PIPE


class HelperLostError(TransientError):
    """The helper ended while it had a chunk in hand: the chunk is to be done again."""


class Helper:
    """At most one process, started when it is first wanted."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._starting: asyncio.Task[None] | None = None
        self._sending, self._receiving = asyncio.Lock(), asyncio.Lock()
        self._used = 0.0
        self.in_hand = 0
        """Chunks that it was given and has not answered yet."""

    @property
    def pid(self) -> int | None:
        """Of the process, None while there is none."""
        return self._process.pid if self._process is not None else None

    def ready(self) -> bool:
        """Whether it is up. If not it is being started from now on."""
        starting = self._starting
        if starting is None or (starting.done() and starting.exception() is not None):
            self._starting = starting = asyncio.create_task(self._start())
        return starting.done()

    async def switch(
        self, models: Models, leads: Sequence[StoredLead], now: datetime, *, hold: bool
    ) -> list[SwitchedLead]:
        """As `switching.switch`, for each of the leads. Raises HelperLostError."""
        self.in_hand += 1
        try:
            if not self.ready() and self._starting is not None:
                await self._starting
            packed = pickle.dumps(models)
            pieces = [pack_leads(leads[start : start + PIECE]) for start in range(0, len(leads) or 1, PIECE)]
            answers = await asyncio.gather(*(self._ask((packed, piece, now, hold)) for piece in pieces))
        except BaseException:
            await self.end()  # an answer that nobody waits for any more must not be taken for the next one
            raise
        finally:
            self.in_hand -= 1
        return [lead for answer in answers for lead in unpack_switched(answer)]

    async def rest(self) -> None:
        """To be called now and then while there is nothing to do."""
        if self._starting is not None and self._starting.done() and time.monotonic() - self._used > KEEP_S:
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
                __name__,
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
                process.stdin.writelines((_LENGTH.pack(len(asked)), asked))
                await process.stdin.drain()
        except OSError as error:
            raise HelperLostError("the process that folds has died") from error
        async with self._receiving:
            return await self._receive(process)

    async def _receive(self, process: asyncio.subprocess.Process) -> Any:
        if process.stdout is None:
            raise HelperLostError("the process that folds was ended")
        try:
            (length,) = _LENGTH.unpack(await process.stdout.readexactly(_LENGTH.size))
            answer = pickle.loads(await process.stdout.readexactly(length))  # noqa: S301 - written by ourselves
        except asyncio.IncompleteReadError as error:
            raise HelperLostError("the process that folds has died") from error
        if isinstance(answer, Exception):
            raise answer
        self._used = time.monotonic()
        return answer


class Helpers:
    """All helpers of one process; a chunk goes to the one that has fewest in hand."""

    def __init__(self) -> None:
        self.each = tuple([Helper() for _ in range(HELPERS)])

    def ready(self) -> bool:
        """Whether any is up. Those that are not are being started from now on."""
        return bool(self._up())

    async def switch(
        self, models: Models, leads: Sequence[StoredLead], now: datetime, *, hold: bool
    ) -> list[SwitchedLead]:
        """As `switching.switch`, by one of them, which is waited for if none is up. Raises HelperLostError."""
        helper = min(self._up() or self.each, key=lambda helper: helper.in_hand)
        return await helper.switch(models, leads, now, hold=hold)

    async def rest(self) -> None:
        """To be called now and then while there is nothing to do."""
        for helper in self.each:
            await helper.rest()

    async def end(self) -> None:
        """End their processes."""
        for helper in self.each:
            await helper.end()

    def _up(self) -> list[Helper]:
        return [helper for helper in self.each if helper.ready()]


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """The helper's side: answer until no more questions come."""
    _write(answers, None)  # up and running
    while head := questions.read(_LENGTH.size):
        (length,) = _LENGTH.unpack(head)
        _write(answers, _answer(questions.read(length)))


def _answer(question: bytes) -> object:
    """What is written back. Nothing else is left when the next question is read, which finds its room in the caches."""
    packed_models, leads, now, hold = pickle.loads(question)  # noqa: S301 - written by our parent
    try:
        return pack_switched(switch(_models(packed_models), unpack_leads(leads), now, hold=hold))
    except Exception as error:
        return error
    finally:
        names_of.cache_clear()  # every lead comes once


@lru_cache(maxsize=1)
def _models(packed: bytes) -> Models:
    """Compiled once: the same ones come with every chunk."""
    models: Models = pickle.loads(packed)  # noqa: S301 - written by our parent
    return models


def _write(answers: BinaryIO, answer: object) -> None:
    packed = pickle.dumps(answer)
    answers.write(_LENGTH.pack(len(packed)))
    answers.write(packed)
    answers.flush()


def main() -> None:
    """`python -m services.scoring.helper`, as the service starts it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the service decides when the helper ends
    answers, sys.stdout = sys.stdout.buffer, sys.stderr
    for pipe in (sys.stdin, answers):
        with suppress(OSError):  # others have used up what this user may have
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)
    os.nice(STEPS_BACK)
    settle()
    with suppress(BrokenPipeError):
        serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
