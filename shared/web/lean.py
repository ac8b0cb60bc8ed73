"""Routes without the framework's per-request work, for the few that are called thousands of times a second."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import Histogram
from starlette.types import Receive

from shared.errors import ProblemError
from shared.web.problems import Answer


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
    """The sender's IP address, as a trusted proxy tells it; never to be kept as it is."""

    def header(self, name: bytes) -> str:
        """A header's text, empty where it is missing."""
        return self.headers.get(name, b"").decode("latin-1")


LeanHandler = Callable[[LeanRequest], Awaitable[Answer]]
"""Answers one request. May raise ProblemError; anything else becomes a 500."""


@dataclass(frozen=True, slots=True)
class LeanRoute:
    """A path with its handlers by method, what OpenAPI says of each (an operation object by method), and the metric of
    its durations, which are not counted among those of all routes. The last step of the path may hold one parameter, as
    in `/v1/webhooks/{source}`; the handler finds its value in the request's path.
    """

    path: str
    handlers: Mapping[str, LeanHandler]
    operations: Mapping[str, Mapping[str, Any]]
    duration: Histogram


async def read_body(request: LeanRequest, limit: int) -> bytes:
    """The whole body, never more than `limit` bytes of it in memory.

    Raises ProblemError 413 `too_large`, before reading where the length is announced; ClientGone.
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
        if not message.get("more_body", False):
            return b"".join((*parts, part)) if parts else part
        parts.append(part)


def too_large(limit: int) -> ProblemError:
    """A body beyond its limit in bytes."""
    return ProblemError(413, "too_large", f"The body is larger than {limit:,} bytes.")
