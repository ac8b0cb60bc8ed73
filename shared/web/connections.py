"""What a connection may cost: how many there are, how long a request's head and body take to come, how long an answer
takes to be read. Beyond it the connection is cut; a request that is being worked on is left alone.

Nothing is scheduled per request. Each connection notes in which phase it is and since when, by a clock that stands
still between two rounds of the guard, who looks at all of them twice a second.
"""

import asyncio
from typing import Any, cast
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from shared.errors import ProblemError
from shared.settings import HttpSettings
from shared.telemetry import HTTP_CONNECTIONS, HTTP_CUT_OFF
from shared.web.exchange import Exchange
from shared.web.problems import problem

ROUND_S = 0.5
MAX_HEADERS = 100
MAX_PIPELINED = 16
"""Requests that may wait on one connection behind the one in hand; each holds a few KiB."""
LINGER_S = 5.0
LINGER_BYTES = 16 * 1_048_576
"""How long and how much of a body is read and thrown away after the answer, so that the answer arrives: a connection
closed over unread bytes is reset, and the client may never see why it was refused."""
ROOM_SHARE = 16
"""When the house is full, this part of the idle connections makes room at once: looking for them costs a round."""

NEW, HEAD, BODY, WORK, IDLE = range(5)
"""Phases: nothing received yet, request line and headers, body, the service's turn, between two requests."""

_OFFER = frozenset({b"connection", b"upgrade", b"http2-settings"})


class Guard:
    """All connections of one process, and the rounds that cut off the slow ones."""

    def __init__(self, limits: HttpSettings, max_connections: int) -> None:
        self.limits = limits
        self.max_connections = max_connections
        self.now = 0.0
        self._all: set[GuardedProtocol] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        HTTP_CONNECTIONS.set_function(lambda: len(self._all))

    def protocol(self, **options: Any) -> "GuardedProtocol":
        """A protocol for a new connection, as uvicorn asks for one."""
        return GuardedProtocol(self, **options)

    def admit(self, connection: "GuardedProtocol") -> bool:
        """Whether there is room for one more; idle ones, the oldest first, make room for it."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._round()
        if len(self._all) >= self.max_connections and not self._make_room():
            return False
        self._all.add(connection)
        return True

    def forget(self, connection: "GuardedProtocol") -> None:
        """It is closed."""
        self._all.discard(connection)

    def _make_room(self) -> bool:
        idle = sorted((one for one in self._all if one.idle), key=lambda one: one.since)
        for connection in idle[: max(1, self.max_connections // ROOM_SHARE)]:
            connection.cut_off("made_room")
            self._all.discard(connection)
        return bool(idle)

    def _round(self) -> None:
        assert self._loop is not None
        self._loop.call_later(ROUND_S, self._round)
        self.now = self._loop.time()
        for connection in list(self._all):
            reason = connection.overdue()
            if reason is not None:
                connection.cut_off(reason)


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits of time and size."""

    def __init__(self, guard: Guard, **options: Any) -> None:
        super().__init__(**options)
        self.phase = NEW
        self.since = 0.0
        self._guard = guard
        self._limits = guard.limits
        self._chunk = b""
        self._head_bytes = 0
        self._body_bytes = self._seen_bytes = self._excess_bytes = 0
        self._body_since = 0.0
        self._unread, self._unread_since = 0, 0.0
        self._refused = False

    @property
    def idle(self) -> bool:
        """Whether nobody waits for an answer here."""
        return self.phase in (NEW, HEAD, IDLE) and not self._answering

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        super().connection_made(cast(asyncio.Transport, transport))
        admitted = self._guard.admit(self)
        self.since = self._guard.now
        if not admitted:
            detail = "Too many connections are open."
            self._refuse(ProblemError(503, "overloaded", detail, headers={"Retry-After": "1"}), "full")

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._guard.forget(self)
        super().connection_lost(exc)
        if self.cycle is not None and self.cycle.response_complete:
            self.cycle = None  # type: ignore[assignment] # they hold each other

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """A client that has said all it has to say may still wait for its answer."""
        if self.phase != WORK or not self._answering:
            return None
        self.cycle.keep_alive = False
        return True

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._refused:
            return
        self._chunk = data
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as stopped:
            self._pass_over_offer(data[stopped.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("")
        if self.phase == HEAD and not self._refused:
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.max_header_bytes:
                self._refuse(_too_many_headers(self._limits), "header_too_large")

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self.phase = HEAD
        self.since = self._guard.now
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        """Request line and headers are there; the application is called from here. As in the base class, with an
        exchange of our own.
        """
        if len(self.headers) > MAX_HEADERS or self._head_bytes + len(self._chunk) > self._limits.max_header_bytes:
            self._check_head()
        parser, scope = self.parser, cast(dict[str, Any], self.scope)
        version = parser.get_http_version()
        scope["method"] = parser.get_method().decode("ascii")
        scope["http_version"] = version
        if parser.should_upgrade():
            return
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        scope["path"] = unquote(path) if "%" in path else path
        scope["raw_path"] = url.path
        scope["query_string"] = url.query or b""
        before = self.cycle
        exchange = Exchange(self, scope, keep_alive=version != "1.0" and parser.should_keep_alive())
        self.cycle = exchange  # type: ignore[assignment]
        if before is None or before.response_complete:
            self._start_asgi_task(exchange, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, self.app))  # type: ignore[arg-type]
        self.phase = BODY
        self.since = self._body_since = self._guard.now
        self._body_bytes = self._seen_bytes = self._excess_bytes = 0
        if len(self.pipeline) > MAX_PIPELINED:
            raise httptools.HttpParserError("too many requests wait on one connection")

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        # As in the base class, but the exchange takes itself off the list: a callback is a turn of the event loop.
        self.tasks.add(self.loop.create_task(cycle.run_asgi(app)))

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._body_bytes += len(body)
        if self.cycle.response_complete:
            self._excess_bytes += len(body)
            if self._excess_bytes > LINGER_BYTES:
                self.cut_off("body_unwanted")
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The last byte of a request."""
        if self.phase != BODY:
            return
        super().on_message_complete()
        self.phase = WORK
        if self.cycle.response_complete:
            self.phase, self.since = IDLE, self._guard.now

    def on_response_complete(self) -> None:
        """The answer has been handed to the transport. As in the base class, but for the timer it sets each time."""
        if self._refused:
            self.transport.close()
            return
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self.since = self._guard.now
        if self.phase == WORK:
            self.phase = IDLE

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the base class passes it
        """Something came that is no HTTP."""
        if not self._refused:
            self._refuse(ProblemError(400, "bad_request", "This is not HTTP/1.1 as this service reads it."), "no_http")

    def _should_upgrade(self) -> bool:
        return True  # so that the base class starts nothing yet

    def _pass_over_offer(self, rest: bytes) -> None:
        """Read a request again without its offer to go on in another protocol, as Java's client makes with each first
        request: to the parser such a request ends with its head, and its body would be lost.
        """
        if self.scope["method"] == "CONNECT":
            self.send_400_response("")
            return
        lines = [b"%s %s HTTP/1.1\r\n" % (self.scope["method"].encode(), self.url)]
        lines += [b"%s: %s\r\n" % header for header in self.headers if header[0] not in _OFFER]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"".join((*lines, b"\r\n", rest)))

    def overdue(self) -> str | None:
        """Why this connection is to be cut off now, None if it is not. Asked once a round."""
        now = self._guard.now
        if self._stalled(now):
            return "answer_not_read"
        if self._refused or self.phase == WORK:
            return None
        if self.phase == BODY:
            return self._body_overdue(now)
        if self.phase == IDLE:
            return "idle" if now - self.since > self.timeout_keep_alive else None
        return "header_timeout" if now - self.since > self._limits.header_timeout_s else None

    def _body_overdue(self, now: float) -> str | None:
        if self.cycle.response_complete:
            return "body_unwanted" if now - self.since > LINGER_S else None
        if self.flow.read_paused:
            # What we do not read cannot come.
            self._body_since = now
        if now - self._body_since < self._limits.body_timeout_s:
            return None
        came, self._seen_bytes = self._body_bytes - self._seen_bytes, self._body_bytes
        self._body_since, waited = now, now - self._body_since
        return "body_timeout" if came < self._limits.min_body_rate * waited else None

    def _stalled(self, now: float) -> bool:
        """Whether an answer waits and the client has taken nothing of it for long."""
        unread = self.transport.get_write_buffer_size()
        if unread < self._unread or self._unread == 0:
            self._unread_since = now
        self._unread = unread
        return unread > 0 and now - self._unread_since > self._limits.write_timeout_s

    def cut_off(self, reason: str) -> None:
        """End this connection, with an answer where the client may still expect one."""
        if reason == "body_timeout":
            self._refuse(ProblemError(408, "request_timeout", "The body came too slowly."), reason)
        elif reason == "header_timeout" and self.phase == HEAD:
            self._refuse(ProblemError(408, "request_timeout", "The headers came too slowly."), reason)
        else:
            HTTP_CUT_OFF.labels(reason).inc()
            self._refused = True
            if self.transport.get_write_buffer_size():
                self.transport.abort()
            else:
                self.transport.close()

    def _refuse(self, error: ProblemError, reason: str) -> None:
        """Answer without the application, and close. Answers in hand go out first, and then there is no more: this
        one must not be taken for one of theirs.
        """
        HTTP_CUT_OFF.labels(reason).inc()
        self._refused = True
        if self._answering and (self.pipeline or self.phase != BODY):
            self.pipeline.clear()
            self.flow.pause_reading()
            return
        if self.phase != BODY or not self.cycle.response_started:
            status, headers, body = problem(error)
            headers += [(b"content-length", b"%d" % len(body)), (b"connection", b"close")]
            lines = b"".join(b"%s: %s\r\n" % header for header in headers)
            self.transport.write(b"".join((STATUS_LINE[status], lines, b"\r\n", body)))
        self.transport.close()

    def _check_head(self) -> None:
        """Exact where it might be too long; a head that came in one small piece is short enough."""
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if len(self.headers) > MAX_HEADERS or size > self._limits.max_header_bytes:
            self._refuse(_too_many_headers(self._limits), "header_too_large")
            raise httptools.HttpParserError("too many headers")


def _too_many_headers(limits: HttpSettings) -> ProblemError:
    detail = f"Request line and headers are at most {limits.max_header_bytes:,} bytes and {MAX_HEADERS} lines."
    return ProblemError(431, "headers_too_large", detail)
