"""From the HTTP request to the qualified lead in the hands of a subscriber, at parts of the highest rate."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import asyncpg
import httpx2
import orjson
from aiokafka import AIOKafkaConsumer

from deploy.bench.measuring import Line
from deploy.bench.rig import cli_key, resident_mib, stack_of
from deploy.bench.sample import activity, email_of
from deploy.local.stack import Stack
from shared.errors import KizashiError
from shared.topics import QUALIFIED_LEADS

TICK_S = 0.02
SEARCH_S, MEASURE_S = 10.0, 40.0
FIRST_RATE, STEP = 1_000.0, 1.25
LAG_S = 0.5
"""A rate is too high when this much of it is still unscored in the end: a twentieth of what was sent."""
HOT_EVERY = 40
"""One activity in so many makes its lead hot: hundreds at the lowest rate, so that no pause alone decides the tail."""
WITHIN_S = 60.0
MEMORY_OF = ("scoring", "handoff")
_numbers = itertools.count(10_000_000)


@dataclass(slots=True)
class Drive:
    """Posts activities at a rate and notes when those were sent that make a lead hot, and when it was handed over."""

    stack: Stack
    http: httpx2.AsyncClient
    sent: dict[str, float] = field(default_factory=dict)
    took_ms: list[float] = field(default_factory=list)
    held_mib: dict[str, float] = field(default_factory=dict)
    """The largest resident size of each service so far, with that of helpers that it had after a run."""

    async def run(self, rate: float, seconds: float) -> None:
        """Post `rate` activities a second, open loop: a slow answer holds nothing up."""
        loop, posted = asyncio.get_running_loop(), 0
        started = loop.time()
        async with asyncio.TaskGroup() as tasks:
            while (elapsed := loop.time() - started) < seconds:
                due = int(elapsed * rate) - posted
                if due > 0:
                    tasks.create_task(self._post([next(_numbers) for _ in range(due)]))
                    posted += due
                await asyncio.sleep(TICK_S)

    async def _post(self, numbers: list[int]) -> None:
        body = []
        for number in numbers:
            hot = number % HOT_EVERY == 0
            body.append(activity(number, number, "quote_requested") if hot else activity(number, number % 5_000))
            if hot:
                self.sent[email_of(number)] = time.perf_counter()
        answer = await self.http.post("/v1/activities", content=orjson.dumps(body))
        if answer.status_code != 202:
            raise KizashiError(f"ingest answered {answer.status_code}: {answer.text[:200]}")

    async def watch(self) -> None:
        """Note the time of every qualified lead, until cancelled."""
        consumer = AIOKafkaConsumer(
            QUALIFIED_LEADS.name,
            bootstrap_servers=self.stack.addresses.bootstrap_servers,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            fetch_max_wait_ms=20,
        )
        await consumer.start()
        try:
            async for record in consumer:
                email = orjson.loads(record.value)["lead"]["identifiers"]["email"]
                sent_at = self.sent.pop(email, None)
                if sent_at is not None:  # one of the others may have become hot by all that it did
                    self.took_ms.append((time.perf_counter() - sent_at) * 1e3)
        finally:
            await consumer.stop()

    @property
    def lag(self) -> int:
        """Hot leads that were posted and are not handed over yet, as activities."""
        return len(self.sent) * HOT_EVERY

    async def settle(self) -> None:
        """Wait until all are handed over, and note what memory that took. Raises TimeoutError."""
        async with asyncio.timeout(WITHIN_S):
            while self.sent:  # noqa: ASYNC110 - emptied one by one by `watch`
                await asyncio.sleep(0.05)
        for name in MEMORY_OF:
            held = resident_mib(self.stack.process(name).pid)
            self.held_mib[name] = max(held, self.held_mib.get(name, 0.0))


async def measure() -> AsyncIterator[Line]:
    """end_to_end_rate, …_p99_20, …_p99_80, memory_scoring, memory_handoff, stored_postgres, stored_kafka."""
    with stack_of(["ingest", "scoring", "handoff"], started_before=True) as stack:
        async with _driving(stack) as drive:
            await drive.run(FIRST_RATE, SEARCH_S)
            await drive.settle()
            highest = await _highest_rate(drive)
            yield Line("end_to_end_rate", highest, "activities/s")
            for percent in (20, 80):
                yield await _tail(drive, highest, percent)
        for name in MEMORY_OF:
            yield Line(f"memory_{name}", drive.held_mib[name], "MiB")
        for line in await _stored(stack):
            yield line


async def _stored(stack: Stack) -> list[Line]:
    """What an activity takes on disk, with all that follows from it."""
    conn = await asyncpg.connect(stack.addresses.database_url)
    try:
        count = await conn.fetchval("SELECT count(*) FROM scoring.activity")
        tables = await conn.fetchval("SELECT pg_database_size(current_database())")
    finally:
        await conn.close()
    logs = sum(path.stat().st_size for path in stack.data.kafka.rglob("*.log"))
    return [
        Line("stored_postgres", tables / count, "bytes"),
        Line("stored_kafka", logs / count, "bytes"),
    ]


async def _highest_rate(drive: Drive) -> float:
    """The highest rate, in activities a second, at which no lag is left after some seconds, twice: the first time may
    have been in a good moment of the machine.
    """
    rate = FIRST_RATE
    while await _carried(drive, rate * STEP):
        rate *= STEP
    while rate > FIRST_RATE and not await _carried(drive, rate):
        rate /= STEP
    return rate


async def _carried(drive: Drive, rate: float) -> bool:
    await drive.run(rate, SEARCH_S)
    behind = drive.lag
    await drive.settle()
    return behind <= rate * LAG_S


async def _tail(drive: Drive, highest: float, percent: int) -> Line:
    drive.took_ms.clear()
    await drive.run(highest * percent / 100, MEASURE_S)
    await drive.settle()
    ordered = sorted(drive.took_ms)
    return Line(
        f"end_to_end_p99_{percent}", ordered[int(len(ordered) * 0.99)], f"ms at {highest * percent / 100:,.0f}/s"
    )


@asynccontextmanager
async def _driving(stack: Stack) -> AsyncIterator[Drive]:
    headers = {"Authorization": f"Bearer {cli_key(stack)}", "Content-Type": "application/json"}
    async with httpx2.AsyncClient(
        base_url=stack.addresses.services["ingest"], headers=headers, trust_env=False, timeout=30
    ) as http:
        drive = Drive(stack, http)
        watching = asyncio.create_task(drive.watch())
        try:
            yield drive
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
