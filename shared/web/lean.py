"""Routes without the framework's per-request work, for the few that are called thousands of times a second."""

import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import Histogram
from starlette.types import Receive

from shared.errors import ProblemError
from shared.web.inflight import InFlight
from shared.web.problems import Answer, RawHeaders
from shared.web.rates import Rates, subscriber


@dataclass(frozen=True, slots=True)
class Door:
    """Where the requests of a process are counted: bytes in flight, and requests in a span of time."""

    room: InFlight
    rates: Rates


class ClientGone(Exception):
    """The client left before its request was read; nobody waits for an answer."""


@dataclass(slots=True)
class LeanRequest:
    """A request as a lean handler sees it. `headers` has lower-case names; of a repeated header the first counts."""

    method: str
    path: str
    query: bytes
    headers: dict[bytes, bytes]
    receive: Receive = field(repr=False)
    request_id: str
    started: float
    """`time.perf_counter()` at its arrival."""
    lines: Sequence[tuple[bytes, bytes]] = ()
    """Every header as received, repeated ones too; names in lower case."""
    address: str = ""
    """The client's IP address, as far as trusted proxies tell; never to be kept as it is. Empty where there is none."""
    door: Door | None = field(default=None, repr=False)
    """Where it is counted."""
    held: int = 0
    """How many bytes of its body are counted as in flight now; given back once it is answered."""
    keyed: bool = False
    """Whether a valid key or signature was seen."""
    rate: RawHeaders | None = None
    """What the answer says of the rate limit it is counted under."""

    def header(self, name: bytes) -> str:
        """A header's text, empty where it is missing."""
        return self.headers.get(name, b"").decode("latin-1")

    def admit(self, who: str) -> None:
        """Count it for the key or source it proved to come from. Raises ProblemError 429 `too_many_requests`."""
        self.keyed = True
        if self.door is not None:
            self.rate = self.door.rates.keys.take(who)

    def admit_stranger(self) -> None:
        """Count it for the address it comes from, where no secret key is asked for. Raises ProblemError 429."""
        if self.door is not None:
            self.rate = self.door.rates.addresses.take(subscriber(self.address))

    def hold(self, count: int) -> None:
        """Count bytes as in flight until it is answered. Raises ProblemError 503 `overloaded`."""
        if self.door is not None:
            self.door.room.take(count, keyed=self.keyed)
            self.held += count


@dataclass(frozen=True, slots=True)
class StreamedAnswer:
    """An answer of `size` bytes that is not held in memory. `parts` is closed also when the client leaves."""

    status: int
    headers: RawHeaders
    size: int
    parts: AsyncGenerator[bytes, None]


LeanHandler = Callable[[LeanRequest], Awaitable[Answer | StreamedAnswer]]
"""Answers one request. May raise ProblemError; anything else becomes a 500."""


@dataclass(frozen=True, slots=True)
class LeanRoute:
    """A path with its handlers by method, what OpenAPI says of each (an operation object by method), and the metric of
    its durations, which are not counted among those of all routes. The last step of the path, or the last two, may be
    parameters, as in `/v1/webhooks/{source}`; the handler finds their values in the request's path.
    """

    path: str
    handlers: Mapping[str, LeanHandler]
    operations: Mapping[str, Mapping[str, Any]]
    duration: Histogram


async def read_body(request: LeanRequest, limit: int) -> bytes:
    """The whole body, never more than `limit` bytes of it in memory.

    Raises ProblemError 413 `too_large`, before reading where the length is announced; 503 `overloaded` while all
    requests together hold too much; ClientGone.
    """
    announced = request.headers.get(b"content-length")
    if announced is not None and announced.isdigit() and int(announced) > limit:
        raise too_large(limit)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise too_large(limit)
        if part:
            request.hold(len(part))
        if not message.get("more_body", False):
            return b"".join((*parts, part)) if parts else part
        parts.append(part)


def inflated(request: LeanRequest, body: bytes, limit: int) -> bytes:
    """What a gzip body holds, never more than `limit` bytes of it in memory.

    Raises ProblemError 413 `too_large`, 400 `invalid_encoding`, 503 `overloaded`.
    """
    inflater = zlib.decompressobj(wbits=31)
    try:
        text: bytes = inflater.decompress(body, limit + 1)
    except zlib.error:
        text = b""
    if len(text) > limit:
        raise too_large(limit)
    if not inflater.eof or inflater.unused_data:
        raise ProblemError(400, "invalid_encoding", "The body is not one whole gzip stream.")
    request.hold(len(text))
    return text


def too_large(limit: int) -> ProblemError:
    """A body beyond its limit in bytes."""
    return ProblemError(413, "too_large", f"The body is larger than {limit:,} bytes.")
