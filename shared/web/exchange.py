"""One request and its answer on a connection, in the place of uvicorn's RequestResponseCycle.

An answer whose length is known leaves in one write, head and body: uvicorn's own two cost a system call and a packet
more. What is written, and what is refused, is the same.
"""

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Message
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

if TYPE_CHECKING:
    from shared.web.connections import GuardedProtocol

_IN_NAME = bytes(set(range(0x21, 0x100)) - {0x7F, *b'()<>@,;:[]={}\\"'})
_IN_VALUE = bytes({0x09, *range(0x20, 0x100)} - {0x7F})
_WITHOUT_BODY = frozenset({204, 304})


class Exchange:
    """What ASGI calls `receive` and, itself, `send`, with the state that the protocol looks at."""

    __slots__ = (
        "_chunked",
        "_event",
        "_head",
        "_left",
        "_news",
        "_protocol",
        "_says_continue",
        "_scope",
        "body",
        "disconnected",
        "keep_alive",
        "more_body",
        "response_complete",
        "response_started",
    )

    def __init__(self, protocol: "GuardedProtocol", scope: dict[str, Any], *, keep_alive: bool) -> None:
        self._protocol = protocol
        self._scope = scope
        self._says_continue: bool = protocol.expect_100_continue
        self._event: asyncio.Event | None = None
        self._news = False
        self._head = b""
        self._chunked = False
        self._left = 0
        self.keep_alive = keep_alive
        self.disconnected = False
        self.body = bytearray()
        self.more_body = True
        self.response_started = False
        self.response_complete = False

    @property
    def message_event(self) -> "Exchange":
        """What uvicorn's protocol sets when something came."""
        return self

    def set(self) -> None:
        """Something came: a part of the body, its end, or the end of the connection."""
        self._news = True
        if self._event is not None:
            self._event.set()

    async def run_asgi(self, app: ASGIApp) -> None:
        """Call the application; an answer that it owes is a 500, and half of one ends the connection."""
        log = self._protocol.logger
        try:
            await app(self._scope, self.receive, self)
        except BaseException as error:
            log.error("Exception in ASGI application\n", exc_info=error)
            await self._give_up()
        else:
            if not self.response_complete and not self.disconnected:
                log.error("ASGI callable returned without completing response.")
                await self._give_up()
        finally:
            self._protocol.tasks.discard(asyncio.current_task())

    async def _give_up(self) -> None:
        if self.response_started:
            self._protocol.transport.close()
            return
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"21"), (b"connection", b"close")]
        await self.answer(500, headers, b"Internal Server Error")

    async def receive(self) -> Message:
        """See ASGI."""
        protocol = self._protocol
        if self._says_continue and not protocol.transport.is_closing():
            protocol.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._says_continue = False
        if not self.disconnected and not self.response_complete:
            protocol.flow.resume_reading()
            if not self._news:
                await self._came()
            self._news = False
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        body, self.body = bytes(self.body), bytearray()
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    async def _came(self) -> None:
        event = self._event
        if event is None:
            event = self._event = asyncio.Event()
        await event.wait()
        event.clear()

    async def answer(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
        """Send a whole answer, as its two messages would. Raises RuntimeError as they do."""
        if not await self._writable():
            return
        if self.response_started:
            raise RuntimeError("An answer was begun already.")
        self._start(status, headers)
        self._continue(body, more=False)

    async def __call__(self, message: Message) -> None:
        """What ASGI calls `send`. Raises RuntimeError for what is no answer: wrong order, wrong length, control
        characters.
        """
        if not await self._writable():
            return
        kind = message["type"]
        if not self.response_started:
            if kind != "http.response.start":
                raise RuntimeError(f"Expected ASGI message 'http.response.start', but got '{kind}'.")
            self._start(message["status"], message.get("headers", ()))
        elif self.response_complete or kind != "http.response.body":
            raise RuntimeError(f"Unexpected ASGI message '{kind}'.")
        else:
            self._continue(message.get("body", b""), more=message.get("more_body", False))

    async def _writable(self) -> bool:
        """Wait until the client takes more; False where it is gone."""
        flow = self._protocol.flow
        if flow.write_paused and not self.disconnected:
            await flow.drain()
        return not self.disconnected

    def _start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.response_started = True
        self._says_continue = False
        lines = [*self._protocol.server_state.default_headers, *headers]
        if b"".join([name for name, _ in lines]).translate(None, _IN_NAME):
            raise RuntimeError("Invalid HTTP header name.")
        if b"".join([value for _, value in lines]).translate(None, _IN_VALUE):
            raise RuntimeError("Invalid HTTP header value.")
        sized = says_close = False
        for name, value in lines:
            if name == b"content-length" and not self._chunked:
                self._left, sized = int(value), True
            elif name == b"transfer-encoding" and value.lower() == b"chunked" and not sized:
                self._chunked = True
            elif name == b"connection" and b"close" in [token.strip() for token in value.lower().split(b",")]:
                self.keep_alive, says_close = False, True
        if not self.keep_alive and not says_close:
            lines.append((b"connection", b"close"))
        if not sized and not self._chunked and self._scope["method"] != "HEAD" and status not in _WITHOUT_BODY:
            self._chunked = True
            lines.append((b"transfer-encoding", b"chunked"))
        self._head = b"%s%s\r\n" % (STATUS_LINE[status], b"".join([b"%s: %s\r\n" % line for line in lines]))
        if self._chunked:
            # Its first part may be long in coming.
            self._protocol.transport.write(self._head)
            self._head = b""

    def _continue(self, body: bytes, *, more: bool) -> None:
        if self._scope["method"] == "HEAD":
            body, self._left = b"", 0
        elif self._chunked:
            body = b"%s%s" % (b"%x\r\n%s\r\n" % (len(body), body) if body else b"", b"" if more else b"0\r\n\r\n")
        else:
            self._left -= len(body)
            if self._left < 0:
                raise RuntimeError("Response content longer than Content-Length")
        head, self._head = self._head, b""
        self._protocol.transport.write(head + body if head else body)
        if more:
            return
        if self._left:
            raise RuntimeError("Response content shorter than Content-Length")
        self.response_complete = True
        self.set()
        if not self.keep_alive:
            self._protocol.transport.close()
        self._protocol.on_response_complete()
