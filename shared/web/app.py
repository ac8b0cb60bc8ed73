"""The frame of every service's HTTP side."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.clock import Clock, system_clock
from shared.codec import encode
from shared.errors import ProblemError
from shared.keys import KeyStore
from shared.settings import Settings
from shared.telemetry import BUILD_INFO
from shared.web.edge import Edge, is_json
from shared.web.inflight import InFlight
from shared.web.lean import Door, LeanRoute
from shared.web.openapi import document, problem_page
from shared.web.problems import from_http_exception, from_validation_error, prefers_japanese, problem
from shared.web.rates import Rates

DEGRADED = "degraded"
MAX_BODY = 1_048_576
HEALTH_LIMIT_S = 5.0

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
Readiness = Callable[[], Awaitable[Mapping[str, str | None]]]
"""Part by part: None where all is well, else what is wrong. The part `degraded` says so without failing."""


class Application(FastAPI):
    """The framework's application inside of the edge: the framework's own layers are not the outermost."""

    def __init__(self, lean: Mapping[str, LeanRoute], max_body: int, door: Door, **options: Any) -> None:
        super().__init__(**options)
        self._edge = Edge(super().__call__, lean, max_body, door)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._edge(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        """Without the framework's own answer to unexpected errors: the edge has a better one."""
        stack = super().build_middleware_stack()
        assert isinstance(stack, ServerErrorMiddleware)
        return stack.app


def create_app(
    *,
    title: str,
    version: str,
    settings: Settings,
    lifespan: Lifespan | None,
    readiness: Readiness,
    lean: Sequence[LeanRoute] = (),
    max_body: int = MAX_BODY,
    clock: Clock = system_clock,
    description: str = "",
) -> FastAPI:
    """An application with health, metrics, documentation and errors as the contract has them.

    `app.state` has `settings`, `keys` and `clock`. `lean` routes are answered ahead of the framework. `max_body` is the
    limit of all other routes, in bytes.
    """
    door = Door(InFlight(settings.http.max_in_flight_bytes), Rates(settings.rate))
    routes = {route.path: route for route in lean}
    app = Application(
        routes,
        max_body,
        door,
        title=title,
        version=version,
        description=description,
        lifespan=lifespan,
        # Traces are off by default; the framework's logs would carry request bodies, which are personal.
        telemetry={"logs": False, "tracing": False, "metrics": False},
        redirect_slashes=False,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.settings = settings
    app.state.keys = KeyStore(settings.key_store_path)
    app.state.clock = clock
    BUILD_INFO.labels(version).set(1)
    _add_errors(app, door.rates)
    _add_health(app, readiness)
    app.openapi = lambda: document(app, lean)  # type: ignore[method-assign]
    return app


def _add_errors(app: FastAPI, rates: Rates) -> None:
    async def render(request: Request, error: Exception) -> Response:
        if isinstance(error, RequestValidationError):
            json_body = is_json(request.headers.get("content-type", "").encode())
            error = from_validation_error(error, json_body=json_body)
        elif isinstance(error, HTTPException):
            error = from_http_exception(error)
        assert isinstance(error, ProblemError)
        if error.status == 401:
            error = rates.failed(request.client.host if request.client else "", error)
        return respond(error, request)

    for kind in (ProblemError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, render)


def respond(error: ProblemError, request: Request, extra: dict[str, Any] | None = None) -> Response:
    """`error` as a response to `request`; `extra` are further members of the problem."""
    japanese = prefers_japanese(request.headers.get("accept-language", ""))
    status, headers, body = problem(error, japanese=japanese, extra=extra)
    response = Response(body, status)
    response.raw_headers.extend(headers)
    return response


def _add_health(app: FastAPI, readiness: Readiness) -> None:
    # Many monitors and load balancers ask by HEAD.
    @app.head("/healthz", include_in_schema=False)
    @app.get("/healthz", tags=["health"], summary="The process is alive")
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @app.head("/readyz", include_in_schema=False)
    @app.get("/readyz", tags=["health"], summary="Every part answers; 503 names the one that does not")
    async def readyz(request: Request) -> Response:
        found = dict(await readiness())
        parts = {part: fault or "ok" for part, fault in found.items() if part != DEGRADED}
        failing = [part for part, fault in found.items() if fault and part != DEGRADED]
        if failing:
            detail = "; ".join(f"{part}: {found[part]}" for part in failing)
            error = ProblemError(503, "not_ready", detail, headers={"Retry-After": "1"})
            return respond(error, request, {"failing": failing, "parts": parts})
        degraded = {DEGRADED: found[DEGRADED]} if found.get(DEGRADED) else {}
        body = {"status": DEGRADED if degraded else "ready", "parts": parts, **degraded}
        return Response(encode(body), media_type="application/json")

    @app.get("/metrics", tags=["health"], summary="Prometheus metrics")
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    app.add_api_route("/problems/{code}", problem_page, include_in_schema=False)
