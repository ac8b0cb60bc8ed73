"""Steady load: wave after wave of people who have not been there before, each wave made anew from its number.

One request is sent after the other, so that the order in which they were sent is known. A few records that no one can
read are written to the topic directly: they have to end as dead letters.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from deploy.chaos.people import own
from deploy.demo.feed import Line, Sent, feed
from deploy.demo.sample import generate
from shared.kafka.client import client_options
from shared.kafka.identity import abandon
from shared.settings import KafkaSettings
from shared.topics import LEAD_ACTIVITIES

LEADS, COMPANIES = 300, 30
"""People of one wave: about 3,100 activities, of which one in fifty is sent twice, some days late, some out of order;
browsers become known and merge, a few are shared."""
BLOCK = 200
BROKEN_PER_WAVE = 3
PATIENCE_S = 120.0


def wave(seed: int, number: int) -> Iterator[dict[str, Any]]:
    """The activities of one wave, in the order in which they are sent."""
    own_seed = seed * 10_000 + number
    return (own(activity, own_seed) for activity in generate(seed=own_seed, leads=LEADS, companies=COMPANIES))


@dataclass(slots=True)
class Load:
    """Sends waves until told to stop, and then to the end of the wave; every activity until it is taken.

    `broken` counts the unreadable records that Kafka confirmed, `doubtful` those of which nobody knows.
    """

    url: str
    key: str
    kafka: KafkaSettings
    seed: int
    per_second: float
    at_least: int
    on_progress: Callable[[int], None]
    waves: int = 0
    sent: Sent = field(default_factory=Sent)
    broken: Counter[bytes] = field(default_factory=Counter)
    doubtful: set[bytes] = field(default_factory=set)
    error: Exception | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Send until `stop` is set and `at_least` activities are safe; a failure is kept in `error`."""
        try:
            while not self.stop.is_set() or self.sent.activities < self.at_least:
                asyncio.run(self._write_broken(self.waves))
                self._send(self.waves)
                self.waves += 1
        except Exception as error:
            self.error = error

    async def _write_broken(self, number: int) -> None:
        values = [b'{"wave":%d,"broken":%d' % (number, at) for at in range(BROKEN_PER_WAVE)]
        producer = AIOKafkaProducer(**client_options(self.kafka), acks="all", enable_idempotence=True)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await producer.start()
                for value in values:
                    self.doubtful.add(value)
                    await producer.send_and_wait(LEAD_ACTIVITIES.name, value, key=value)
                    self.doubtful.discard(value)
                    self.broken[value] += 1
        except (KafkaError, OSError, TimeoutError):
            pass  # those not confirmed stay doubtful, the others of this wave unsent
        finally:
            await abandon(producer)

    def _send(self, number: int) -> None:
        lines = [Line(at, orjson.dumps(activity)) for at, activity in enumerate(wave(self.seed, number), 1)]
        for start in range(0, len(lines), BLOCK):
            began = time.monotonic()
            block = lines[start : start + BLOCK]
            done = asyncio.run(feed(self.url, self.key, block, connections=1, patience_s=PATIENCE_S))
            self.sent.activities += done.activities
            self.sent.requests += done.requests
            self.sent.retries += done.retries
            self.sent.spooled += done.spooled
            self.on_progress(self.sent.activities)
            time.sleep(max(0.0, len(block) / self.per_second - (time.monotonic() - began)))
