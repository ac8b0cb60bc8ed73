"""Steady load: wave after wave of people who have not been there before, each wave made anew from its number."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from deploy.chaos.people import own
from deploy.demo.feed import Line, Sent, feed
from deploy.demo.sample import generate

LEADS, COMPANIES = 300, 30
"""People of one wave: about 3,100 activities, of which one in fifty is sent twice, some days late, some out of order;
browsers become known and merge, a few are shared."""
BLOCK = 200
PATIENCE_S = 120.0


def wave(seed: int, number: int) -> Iterator[dict[str, Any]]:
    """The activities of one wave, in the order in which they are sent."""
    own_seed = seed * 10_000 + number
    return (own(activity, own_seed) for activity in generate(seed=own_seed, leads=LEADS, companies=COMPANIES))


@dataclass(slots=True)
class Load:
    """Sends waves until told to stop, and then to the end of the wave; every activity until it is taken."""

    url: str
    key: str
    seed: int
    per_second: float
    at_least: int
    on_progress: Callable[[int], None]
    waves: int = 0
    sent: Sent = field(default_factory=Sent)
    error: Exception | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Send until `stop` is set and `at_least` activities are safe; a failure is kept in `error`."""
        try:
            while not self.stop.is_set() or self.sent.activities < self.at_least:
                self._send(self.waves)
                self.waves += 1
        except Exception as error:
            self.error = error

    def _send(self, number: int) -> None:
        lines = [Line(at, orjson.dumps(activity)) for at, activity in enumerate(wave(self.seed, number), 1)]
        for start in range(0, len(lines), BLOCK):
            began = time.monotonic()
            block = lines[start : start + BLOCK]
            done = asyncio.run(feed(self.url, self.key, block, patience_s=PATIENCE_S))
            self.sent.activities += done.activities
            self.sent.requests += done.requests
            self.sent.retries += done.retries
            self.sent.spooled += done.spooled
            self.on_progress(self.sent.activities)
            time.sleep(max(0.0, len(block) / self.per_second - (time.monotonic() - began)))
