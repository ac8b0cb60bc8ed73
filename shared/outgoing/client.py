"""The HTTP client for addresses that others choose: it connects to what was checked, and reads so much and so long."""

import asyncio
import socket
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpcore2

from shared.errors import KizashiError, TransientError
from shared.outgoing.rules import AddressRefused, Rules, Target
from shared.outgoing.words import why_unanswered

MAX_CONNECTIONS = 20
KEPT_OPEN_S = 15.0
TRIED_ADDRESSES = 3

Resolve = Callable[[str, int], Awaitable[list[str]]]


class Unanswered(TransientError):
    """No whole answer came in time: no connection, a hang, a connection closed halfway. May be tried again."""


class TooLong(KizashiError):
    """The answer is longer than it may be; what was read of it is thrown away."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `headers` are sent as they are, beside Host and Content-Length."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, whatever its status; redirects are answers too. Names of headers are in lower case. `cut`: the body
    was longer than is read.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool = False


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, by the system's resolver. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class _CheckedNetwork(httpcore2.AsyncNetworkBackend):
    """Connects to a name by its addresses, once all of them were found harmless: nothing asks the resolver again in
    between, so no second answer can differ from the checked one.
    """

    def __init__(self, rules: Rules, resolver: Resolve) -> None:
        self._rules = rules
        self._resolve = resolver
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the base class asks for it
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """See the base class. Raises AddressRefused."""
        error: Exception = httpcore2.ConnectError("the name has no address")
        for address in (await self._addresses(host, port))[:TRIED_ADDRESSES]:
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as failed:
                error = failed
        raise error

    async def _addresses(self, host: str, port: int) -> Sequence[str]:
        bare = host.strip("[]").lower()
        written = f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"
        target = Target(True, bare, port, listed=written in self._rules.allowed)
        if target.literal is not None:
            return self._rules.check(target, [bare])
        try:
            return self._rules.check(target, await self._resolve(bare, port))
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error


class Outgoing:
    """Checked connections. Follows no redirect, reads no proxy from the environment, inflates nothing.

    `timeout_s` is for one call as a whole, from the resolver to the last byte; `max_bytes` for an answer's body. Where
    the status alone matters (`cut_off`), a longer body is cut instead of refused, and a compressed one is left so.
    """

    def __init__(
        self,
        rules: Rules,
        *,
        timeout_s: float = 15.0,
        max_bytes: int = 1_048_576,
        cut_off: bool = False,
        resolver: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._rules = rules
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._cut_off = cut_off
        self._tls = tls or httpcore2.default_ssl_context()
        self._network = _CheckedNetwork(rules, resolver)
        self._free = asyncio.Semaphore(MAX_CONNECTIONS)
        self._lines: set[httpcore2.AsyncConnectionPool] = set()
        self._idle: deque[tuple[float, httpcore2.AsyncConnectionPool]] = deque()

    async def send(self, call: Call) -> Answer:
        """Make one call. Raises AddressRefused, Unanswered, TooLong."""
        self._rules.target(call.url)
        try:
            async with asyncio.timeout(self._timeout_s), self._free, self._line() as line:
                return await self._send(line, call)
        except TimeoutError:
            raise Unanswered(f"no whole answer within {self._timeout_s:g} s") from None
        except (
            httpcore2.NetworkError,
            httpcore2.TimeoutException,
            httpcore2.ProtocolError,
            httpcore2.ConnectionNotAvailable,
        ) as error:
            raise Unanswered(why_unanswered(error)) from error

    async def aclose(self) -> None:
        """Close what is open."""
        self._idle.clear()
        while self._lines:
            await self._lines.pop().aclose()

    @asynccontextmanager
    async def _line(self) -> AsyncIterator[httpcore2.AsyncConnectionPool]:
        """One connection at a time, the one used last first. Those unused for long are closed by whoever comes next.

        Each is a pool of its own: a common one looks through all its connections at every request, which at sixteen
        of them costs as much as the request.
        """
        while self._idle and self._idle[0][0] < time.monotonic() - KEPT_OPEN_S:
            _, old = self._idle.popleft()
            self._lines.discard(old)
            await old.aclose()
        line = self._idle.pop()[1] if self._idle else self._opened()
        try:
            yield line
        finally:
            if line in self._lines:
                self._idle.append((time.monotonic(), line))

    def _opened(self) -> httpcore2.AsyncConnectionPool:
        line = httpcore2.AsyncConnectionPool(
            ssl_context=self._tls,
            max_connections=1,
            keepalive_expiry=KEPT_OPEN_S,
            network_backend=self._network,
        )
        self._lines.add(line)
        return line

    async def _send(self, line: httpcore2.AsyncConnectionPool, call: Call) -> Answer:
        headers = {"User-Agent": "Kizashi", "Accept-Encoding": "identity", **call.headers}
        named: list[tuple[bytes | str, bytes | str]] = list(headers.items())
        async with line.stream(call.method, call.url, headers=named, content=call.body) as response:
            told = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            if told.get("content-encoding", "identity").lower() != "identity" and not self._cut_off:
                raise Unanswered("the answer is compressed, which was not asked for")
            body = bytearray()
            async for chunk in response.aiter_stream():
                body += chunk
                if len(body) > self._max_bytes:
                    if self._cut_off:
                        return Answer(response.status, told, bytes(body[: self._max_bytes]), cut=True)
                    raise TooLong(f"the answer is longer than {self._max_bytes:,} bytes")
            return Answer(response.status, told, bytes(body))


__all__ = ["AddressRefused", "Answer", "Call", "Outgoing", "Resolve", "TooLong", "Unanswered", "resolve"]
