"""Asking one tool's API: at its pace, again where that helps, and never for ever."""

import asyncio
import random
import time
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from aiolimiter import AsyncLimiter

from services.ingest.sources.fetching import FetchOptions, Question
from shared.clock import Clock
from shared.codec import JsonFault, decode
from shared.errors import KizashiError
from shared.outgoing import AddressRefused, Answer, Call, Outgoing, TooLong, Unanswered

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
LONGEST_ASKED_PAUSE_S = 300.0
"""A tool may ask for a longer pause (Retry-After); it is given this one."""
_GONE = frozenset({404, 410})


class Gone(KizashiError):
    """The tool does not know the object any more: there is nothing to complete with."""


class NoAnswer(KizashiError):
    """There is no answer, or none that can be read; the text says why, without anything of the question."""


class Caller:
    """The calls of one source."""

    def __init__(self, options: FetchOptions, outgoing: Outgoing, clock: Clock, give_up_s: float) -> None:
        rate = options.calls_per_minute / 60
        # A burst of one second's worth, or a single call where the pace is slower.
        burst = max(1.0, rate)
        self._pace = AsyncLimiter(burst, burst / rate)
        self._outgoing = outgoing
        self._clock = clock
        self._give_up_s = give_up_s
        self._away = False

    async def ask(self, question: Question) -> Any:
        """The decoded JSON of the answer.

        Asks again after refusals that pass by themselves (429, 5xx, no answer), until it has taken `give_up_s`. After
        that, while the tool stays away, each question is tried once. Raises Gone, NoAnswer.
        """
        until = time.monotonic() + (0.0 if self._away else self._give_up_s)
        pause = FIRST_PAUSE_S
        while True:
            problem, wanted_s = await self._try(question)
            if isinstance(problem, Answer):
                self._away = False
                return _decoded(problem)
            wait_s = max(pause * random.uniform(0.5, 1.0), wanted_s)  # noqa: S311 - no secret hangs on it
            if time.monotonic() + wait_s > until:
                self._away = True
                raise NoAnswer(problem)
            await asyncio.sleep(wait_s)
            pause = min(pause * 2, LONGEST_PAUSE_S)

    async def _try(self, question: Question) -> tuple[Answer | str, float]:
        """A final answer, or what was wrong and the pause the tool asked for."""
        try:
            async with self._pace:
                answer = await self._outgoing.send(Call("GET", question.url, dict(question.headers)))
        except Unanswered as error:
            return f"unanswered: {error}", 0.0
        except (AddressRefused, TooLong) as error:
            raise NoAnswer(f"refused: {error}") from error
        if answer.status == 429 or answer.status >= 500:
            return f"the tool answered {answer.status}", retry_after(answer, self._clock())
        return answer, 0.0


def retry_after(answer: Answer, now: datetime) -> float:
    """The seconds of pause an answer asks for, 0 where it asks for none or in a way that cannot be read."""
    asked = answer.headers.get("retry-after", "").strip()
    try:
        seconds = float(asked) if asked.isdecimal() else (parsedate_to_datetime(asked) - now).total_seconds()
    except (ValueError, TypeError):
        return 0.0
    return min(max(seconds, 0.0), LONGEST_ASKED_PAUSE_S)


def _decoded(answer: Answer) -> Any:
    if answer.status in _GONE:
        raise Gone(f"the tool answered {answer.status}")
    if answer.status != 200:
        raise NoAnswer(f"the tool answered {answer.status}")
    try:
        return decode(answer.body)
    except JsonFault as error:
        raise NoAnswer(f"the answer is no JSON: {error}") from error
