"""A small HTTP/1.1 load client: N keep-alive connections, each with its next request as soon as it has its answer.

Made to cost little beside the server it measures (both often share two cores): raw protocols, no parsing beyond the
status line and the end of the answer.

    python -m deploy.bench.load URL --bodies FILE --header "Authorization: Bearer …"
"""

import argparse
import asyncio
import sys
import time
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import orjson
import uvloop

MakeRequest = Callable[[int], bytes]
"""The bytes of the n-th request of a run, head and body."""


@dataclass(slots=True)
class LoadResult:
    """What a run saw: answers by status, seconds it took, and every latency in seconds."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0
    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    lost_connections: int = 0

    @property
    def per_second(self) -> float:
        """Answers per second."""
        return sum(self.statuses.values()) / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """The latency in milliseconds that `share` (0 to 1) of the answers did not exceed."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1e3 if ordered else 0.0

    def summary(self) -> dict[str, object]:
        """Plain data for printing."""
        return {
            "requests_per_second": round(self.per_second),
            "p50_ms": round(self.percentile(0.5), 2),
            "p99_ms": round(self.percentile(0.99), 2),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "lost_connections": self.lost_connections,
        }


@dataclass(slots=True)
class _Run:
    make: MakeRequest
    pipeline: int
    result: LoadResult
    running: bool = True
    sent: int = 0
    open: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run) -> None:
        self._run = run
        self._sent_at: list[float] = []
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods but not the base class.
        self._transport = cast(asyncio.Transport, transport)
        self._run.open += 1
        for _ in range(self._run.pipeline):
            self._send()

    def connection_lost(self, _: Exception | None) -> None:
        self._run.result.lost_connections += bool(self._run.running)
        self._run.open -= 1
        if not self._run.open:
            self._run.ended.set()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (answer := _split_answer(self._buffer)) is not None:
            status, self._buffer = answer
            self._run.result.statuses[status] += 1
            self._run.result.latencies.append(time.perf_counter() - self._sent_at.pop(0))
            if self._run.running:
                self._send()
            elif not self._sent_at:
                self._transport.close()

    def _send(self) -> None:
        run = self._run
        run.sent += 1
        self._sent_at.append(time.perf_counter())
        self._transport.write(run.make(run.sent))


def _split_answer(buffer: bytes) -> tuple[int, bytes] | None:
    """The status of the first whole answer in `buffer`, and what follows it; answers carry a Content-Length."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    at = buffer.find(b"content-length: ", 0, end)
    length = int(buffer[at + 16 : buffer.find(b"\r\n", at)]) if at >= 0 else 0
    total = end + 4 + length
    return (int(buffer[9:12]), buffer[total:]) if len(buffer) >= total else None


async def run_load(url: str, make: MakeRequest, *, connections: int, seconds: float, pipeline: int = 1) -> LoadResult:
    """Send what `make` gives to `url`'s host for `seconds`; `pipeline` requests at a time per connection."""
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    result = LoadResult()
    run = _Run(make, pipeline, result)
    start = time.perf_counter()
    for _ in range(connections):
        await loop.create_connection(lambda: _Connection(run), parts.hostname or "", parts.port or 80)
    await asyncio.sleep(seconds)
    run.running = False
    result.seconds = time.perf_counter() - start
    answered = Counter(result.statuses)
    await asyncio.wait_for(run.ended.wait(), 30)
    result.statuses = answered
    return result


def post(url: str, body: bytes, headers: Sequence[str] = (), media_type: str = "application/json") -> bytes:
    """The bytes of one POST request."""
    parts = urlsplit(url)
    head = [
        f"POST {parts.path or '/'} HTTP/1.1",
        f"Host: {parts.netloc}",
        f"Content-Length: {len(body)}",
        f"Content-Type: {media_type}",
        *headers,
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def main() -> None:
    """The command line; prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--bodies", type=Path, required=True, help="one JSON body per line, taken in turn")
    parser.add_argument("--header", action="append", default=[])
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--pipeline", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    requests = [post(options.url, line, options.header) for line in options.bodies.read_bytes().splitlines()]
    result = uvloop.run(
        run_load(
            options.url,
            lambda n: requests[n % len(requests)],
            connections=options.connections,
            seconds=options.seconds,
            pipeline=options.pipeline,
        )
    )
    sys.stdout.buffer.write(orjson.dumps(result.summary()) + b"\n")


if __name__ == "__main__":
    main()
