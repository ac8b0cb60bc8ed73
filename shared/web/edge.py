"""The outermost layer of every service: request ids, limits, metrics, logs, and no error without its problem."""

import os
import re
import time
from collections.abc import Mapping
from contextlib import aclosing
from itertools import count
from urllib.parse import parse_qsl

import structlog
from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.codec import check_json, nul_problem
from shared.errors import ProblemError, pointer
from shared.telemetry import HTTP_DURATION, HTTP_REQUESTS, LATE, REQUEST_ID
from shared.web.exchange import Exchange
from shared.web.lean import ClientGone, Door, LeanHandler, LeanRequest, LeanRoute, StreamedAnswer, read_body
from shared.web.problems import Answer, prefers_japanese, problem

QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
REQUEST = "kizashi.request"
"""Where the framework's scope has the request as the edge sees it."""
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_JSON = re.compile(rb"\s*application/(?:[a-z0-9.+-]+\+)?json\s*(?:;|$)", re.IGNORECASE)

# A random part for the process and a number for the request: unique, and no system call per request.
_PROCESS, _numbers = os.urandom(10).hex(), count(1)

log = structlog.get_logger()


def is_json(content_type: bytes) -> bool:
    """Whether a `Content-Type` names JSON or a format built on it."""
    return _JSON.match(content_type) is not None


class Edge:
    """Wraps the framework; lean routes are answered here, without it."""

    def __init__(self, app: ASGIApp, lean: Mapping[str, LeanRoute], max_body: int, door: Door) -> None:
        self._app = app
        self._door = door
        self._lean = lean
        # A path that ends in one parameter or two takes everything that many steps below.
        self._below = {(path.partition("/{")[0], path.count("{")): route for path, route in lean.items() if "{" in path}
        self._max_body = max_body
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._durations: dict[str, Histogram] = {path: route.duration for path, route in lean.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = self._request(scope, receive)
        REQUEST_ID.set(request.request_id)
        route = self._route(request.path)
        try:
            if route is not None:
                await self._answer(request, route.path, await self._run(request, route), send)
            else:
                await self._delegate(request, scope, send)
        finally:
            if request.held:
                self._door.room.give_back(request.held)

    def _route(self, path: str) -> LeanRoute | None:
        above = path.rpartition("/")[0]
        return self._lean.get(path) or self._below.get((above, 1)) or self._below.get((above.rpartition("/")[0], 2))

    def _request(self, scope: Scope, receive: Receive) -> LeanRequest:
        started = time.perf_counter()
        # Of a repeated header the first counts, so that nothing appended on the way replaces it.
        headers = dict(reversed(scope["headers"]))
        given = headers.get(b"x-request-id")
        request_id = given.decode() if given and _REQUEST_ID.fullmatch(given) else f"{_PROCESS}{next(_numbers):012x}"
        return LeanRequest(
            scope["method"],
            scope["path"],
            scope["query_string"],
            headers,
            receive,
            request_id,
            started,
            scope["headers"],
            client[0] if (client := scope.get("client")) else "",
            self._door,
        )

    async def _run(self, request: LeanRequest, route: LeanRoute) -> Answer | StreamedAnswer | None:
        handler: LeanHandler | None = route.handlers.get(request.method)
        try:
            if handler is None:
                allow = {"Allow": ", ".join(sorted(route.handlers))}
                raise ProblemError(405, "method_not_allowed", "This address takes other methods.", headers=allow)
            return await handler(request)
        except ProblemError as error:
            return _problem(self._refusal(error, request), request)
        except ClientGone:
            return None
        except Exception:
            return _unexpected(request)

    def _refusal(self, error: ProblemError, request: LeanRequest) -> ProblemError:
        return self._door.rates.failed(request.address, error) if error.status == 401 else error

    async def _delegate(self, request: LeanRequest, scope: Scope, send: Send) -> None:
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                ours = [(b"x-request-id", request.request_id.encode()), *(request.rate or ())]
                message["headers"] = [*message.get("headers", ()), *ours]
            await send(message)

        scope[REQUEST] = request
        try:
            _refuse_nul(request)
            await self._app(scope, await self._checked(request), send_marked)
        except ClientGone:
            return
        except Exception as error:
            if status:
                raise
            answer = _problem(error, request) if isinstance(error, ProblemError) else _unexpected(request)
            await self._answer(request, _route(scope), answer, send)
            return
        self._note(request, _route(scope), status)

    async def _checked(self, request: LeanRequest) -> Receive:
        """The body within its limit and, if JSON, as strict as `codec.decode`: the framework's own parser takes more.

        Raises ProblemError 413, 400 `invalid_json`, 422 `invalid_fields` for U+0000; ClientGone.
        """
        headers = request.headers
        if request.method in ("GET", "HEAD") or not (b"content-length" in headers or b"transfer-encoding" in headers):
            return request.receive
        body = await read_body(request, self._max_body)
        if body and is_json(headers.get(b"content-type", b"")):
            check_json(body)
        return _Replay(body, request.receive)

    async def _answer(
        self, request: LeanRequest, route: str, answer: Answer | StreamedAnswer | None, send: Send
    ) -> None:
        if answer is None:
            return
        if isinstance(answer, StreamedAnswer):
            await self._stream(request, route, answer, send)
            return
        status, headers, body = answer
        headers.append((b"content-length", b"%d" % len(body)))
        headers.append((b"x-request-id", request.request_id.encode()))
        if request.rate is not None:
            headers.extend(request.rate)
        if request.method == "HEAD":
            body = b""
        if isinstance(send, Exchange):
            await send.answer(status, headers, body)
        else:
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})
        self._note(request, route, status)

    async def _stream(self, request: LeanRequest, route: str, answer: StreamedAnswer, send: Send) -> None:
        length, request_id = (b"content-length", b"%d" % answer.size), (b"x-request-id", request.request_id.encode())
        headers = [*answer.headers, length, request_id, *(request.rate or ())]
        async with aclosing(answer.parts) as parts:
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            async for part in parts:
                await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        self._note(request, route, answer.status)

    def _note(self, request: LeanRequest, route: str, status: int) -> None:
        taken = time.perf_counter() - request.started
        method = request.method if request.method in METHODS else "other"
        key = (method, route, status)
        counter = self._counters.get(key)
        if counter is None:
            counter = self._counters[key] = HTTP_REQUESTS.labels(method, route, str(status))
            if route not in self._durations:
                self._durations[route] = HTTP_DURATION.labels(route)
        LATE.count(counter)
        LATE.observe(self._durations[route], taken)
        if status >= 400 and request.path not in QUIET:
            write = log.warning if status >= 500 else log.info
            write("request_refused", method=method, route=route, status=status, taken_ms=round(taken * 1e3, 1))


class _Replay:
    """Hands out a body that was read already, then what the connection says."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


def _refuse_nul(request: LeanRequest) -> None:
    """Raises ProblemError 422 naming the place of U+0000, which no table holds and so nobody can look for."""
    if "\x00" in request.path:
        raise nul_problem("/path")
    if b"%00" in request.query:
        for name, value in parse_qsl(request.query.decode("latin-1"), keep_blank_values=True):
            if "\x00" in name or "\x00" in value:
                raise nul_problem(pointer(["query", name]))


def _route(scope: Scope) -> str:
    return str(getattr(scope.get("route"), "path", "unmatched"))


def _problem(error: ProblemError, request: LeanRequest) -> Answer:
    return problem(error, japanese=prefers_japanese(request.header(b"accept-language")))


def _unexpected(request: LeanRequest) -> Answer:
    log.exception("request_failed", method=request.method)
    error = ProblemError(500, "internal_error", f"Something went wrong; its log lines carry {request.request_id}.")
    return _problem(error, request)
