"""Ingest: one activity a request, batches, and what it takes in memory meanwhile."""

from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from statistics import median

import orjson

from deploy.bench import java_perf
from deploy.bench.cases import pages, webhook
from deploy.bench.load import LoadResult, MakeRequest, post, run_load
from deploy.bench.measuring import ROUNDS, Line, compare
from deploy.bench.rig import cli_key, resident_mib, serving, stack_of
from deploy.bench.sample import activities
from deploy.local.stack import Stack
from services.ingest.intake import record_of
from shared.activity import parse_posted
from shared.clock import system_clock
from shared.errors import KizashiError
from shared.kafka.admin import ensure_topics
from shared.settings import KafkaSettings
from shared.topics import Topic

SECONDS = 4.0
WARM_UP_ROUNDS = 6
"""Kafka compiles what it does often: a request costs it half as much after half a minute under load as at first."""
BATCH = 500
SENDERS = 8
BODIES = 4_000
SCRATCH = Topic("bench-scratch", ("bench",), 1)


@dataclass(slots=True)
class Target:
    """An address under load, and the requests it gets."""

    url: str
    requests: Sequence[bytes]

    def make(self, number: int) -> bytes:
        """The number-th request."""
        return self.requests[number % len(self.requests)]

    async def load(self, connections: int) -> LoadResult:
        """Load it for some seconds. Raises KizashiError for any answer but 202."""
        make: MakeRequest = self.make
        result = await run_load(self.url, make, connections=connections, seconds=SECONDS)
        if set(result.statuses) != {202}:
            raise KizashiError(f"{self.url} answered {dict(result.statuses)}")
        return result

    async def rate(self, connections: int) -> float:
        """Answers per second."""
        return (await self.load(connections)).per_second


async def measure() -> AsyncIterator[Line]:
    """ingest_single, _single_64, _single_64_p99, _form, _collect, _batch, webhook_sendgrid, memory_ingest."""
    with stack_of(["ingest"]) as stack:
        kafka = KafkaSettings(bootstrap_servers=stack.addresses.bootstrap_servers)
        await ensure_topics(kafka, [SCRATCH])
        arguments = (stack.addresses.bootstrap_servers, SCRATCH.name)
        with (
            serving("deploy.bench.limits.bare_asgi") as bare,
            serving("deploy.bench.naive.ingest", *arguments) as naive,
        ):
            subject, limit, plain = (_single(url, stack) for url in (stack.addresses.services["ingest"], bare, naive))
            for _ in range(WARM_UP_ROUNDS):
                await subject.rate(256)
            yield await compare(
                "ingest_single",
                "requests/s",
                lambda: subject.rate(256),
                limit=lambda: limit.rate(256),
                naive=lambda: plain.rate(256),
            )
            for line in await _with_64(subject, limit, plain):
                yield line
        for name in ("form", "collect"):
            yield await _of_pages(name, stack, subject)
        held = [_held(stack)]
        for measured in (_batches, _webhook):
            yield await measured(stack)
            held.append(_held(stack))
        yield Line("memory_ingest", max(held), "MiB")


def _held(stack: Stack) -> float:
    return resident_mib(stack.process("ingest").pid)


async def _with_64(subject: Target, limit: Target, naive: Target) -> list[Line]:
    tail: deque[float] = deque(maxlen=ROUNDS)
    naive_tail: deque[float] = deque(maxlen=ROUNDS)

    async def rate(target: Target, tail: deque[float]) -> float:
        result = await target.load(64)
        tail.append(result.percentile(0.99))
        return result.per_second

    rates = await compare(
        "ingest_single_64",
        "requests/s",
        lambda: rate(subject, tail),
        limit=lambda: limit.rate(64),
        naive=lambda: rate(naive, naive_tail),
    )
    return [rates, Line("ingest_single_64_p99", median(tail), "ms", naive=median(naive_tail))]


async def _of_pages(name: str, stack: Stack, single: Target) -> Line:
    """What a browser sends, beside the same count of single activities."""
    url = f"{stack.addresses.services['ingest']}{pages.PATHS[name]}"
    sent = Target(
        url, [post(url, body, pages.HEADERS, media_type) for body, media_type in pages.requests(name, BODIES)]
    )
    return await compare(f"ingest_{name}", "requests/s", lambda: sent.rate(256), limit=lambda: single.rate(256))


def _batched(stack: Stack) -> Target:
    sample = [orjson.dumps(one) for one in activities(20 * BATCH, 2_000)]
    bodies = [b"[" + b",".join(sample[start : start + BATCH]) + b"]" for start in range(0, len(sample), BATCH)]
    return _target(stack.addresses.services["ingest"], stack, bodies)


def _record_bytes() -> int:
    """How long the record of such an activity is: key, value and headers."""
    (posted,) = activities(1, 1)
    activity = parse_posted(posted, id_if_absent="", source_if_absent="", received_at=system_clock(), region="JP")
    record = record_of(activity, bytes(32), ())
    return len(record.key) + len(record.value) + sum(len(name) + len(value) for name, value in record.headers)


async def _batches(stack: Stack) -> Line:
    target, size = _batched(stack), _record_bytes()

    async def in_batches() -> float:
        return await target.rate(SENDERS) * BATCH

    async def producer_performance() -> float:
        return java_perf.records_per_second(stack.addresses.bootstrap_servers, SCRATCH.name, size)

    return await compare("ingest_batch", "activities/s", in_batches, limit=producer_performance)


async def _webhook(stack: Stack) -> Line:
    url = f"{stack.addresses.services['ingest']}/v1/webhooks/{webhook.SOURCE}"
    signed = Target(url, [post(url, body, headers) for body, headers in webhook.requests()])
    plain = _batched(stack)

    async def events() -> float:
        return await signed.rate(SENDERS) * webhook.EVENTS

    async def activities_as_they_are() -> float:
        return await plain.rate(SENDERS) * BATCH

    return await compare("webhook_sendgrid", "activities/s", events, limit=activities_as_they_are)


def _single(url: str, stack: Stack) -> Target:
    return _target(url, stack, [orjson.dumps(one) for one in activities(BODIES, 2_000)])


def _target(url: str, stack: Stack, bodies: Sequence[bytes]) -> Target:
    url = f"{url}/v1/activities"
    return Target(url, [post(url, body, [f"Authorization: Bearer {cli_key(stack)}"]) for body in bodies])
