"""The routes of webhooks: where tools post, and what an administrator sees of it."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from services.ingest.webhooks import JSON, PREFIX, Station, Webhooks
from shared.clock import to_rfc3339
from shared.codec import encode
from shared.errors import ProblemError
from shared.telemetry import INGEST_DURATION
from shared.web import Answer, LeanRequest, LeanRoute, PageQuery, paginate, require, text_in

PATH = PREFIX + "{source}"
WITH_SECRET = PATH + "/{secret}"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH")
ABOUT = (
    "One address per configured source, for a tool to post to, in whatever form and with whatever signature that tool"
    " uses. Genuine items are taken, the others reported; a genuine request in which something cannot be understood is"
    " kept on `rejected-webhooks`. A tool that expects a certain answer gets that one. GET and HEAD are for the"
    " questions tools ask when an address is entered, and for tools that send by GET."
)
_NAME = {
    "name": "source",
    "in": "path",
    "required": True,
    "schema": {"type": "string"},
    "description": "From sources.yaml.",
}
_SECRET = {
    "name": "secret",
    "in": "path",
    "required": True,
    "schema": {"type": "string"},
    "description": "One of the source's secrets, for tools that sign nothing and can be given an address only.",
}
_REPORT = {
    "type": "object",
    "required": ["accepted", "ids", "durability", "ignored", "refused"],
    "properties": {
        "accepted": {"type": "integer"},
        "ids": {"type": "array", "items": {"type": "string"}},
        "durability": {"type": "string", "enum": ["kafka", "spool"]},
        "ignored": {"type": "integer", "description": "Test deliveries and kinds switched off in configuration."},
        "refused": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"item": {"type": "integer"}, "reason": {"type": "string"}},
            },
        },
    },
}


def webhook_routes(webhooks: Webhooks) -> list[LeanRoute]:
    """`GET/HEAD/POST/PUT/PATCH /v1/webhooks/{source}`, the same with the secret as a further step, and OPTIONS for
    senders that ask for leave first.
    """

    async def options(request: LeanRequest) -> Answer:
        return _leave(request, webhooks.station(request.path))

    handlers = {**dict.fromkeys(METHODS, webhooks.handle), "OPTIONS": options}
    operations = {method: _operation(method) for method in METHODS}
    with_secret = {method: _with_secret(operation) for method, operation in operations.items()}
    return [
        LeanRoute(PATH, handlers, operations, INGEST_DURATION),
        LeanRoute(WITH_SECRET, handlers, with_secret, INGEST_DURATION),
    ]


def _with_secret(operation: dict[str, Any]) -> dict[str, Any]:
    return {
        **operation,
        "operationId": operation["operationId"] + "_by_address",
        "summary": operation["summary"] + ", its secret in the path",
        "parameters": [_NAME, _SECRET],
    }


def _leave(request: LeanRequest, station: Station) -> Answer:
    """The handshake of CloudEvents' web-hook profile: leave is given to the listed origins, without a list to any,
    since what counts is the signature on each request.
    """
    headers = [(b"allow", ", ".join(METHODS).encode())]
    origin = request.headers.get(b"webhook-request-origin")
    listed = station.source.allowed_origins
    if origin and (not listed or origin.decode("latin-1") in listed):
        headers += [(b"webhook-allowed-origin", origin), (b"webhook-allowed-rate", b"*")]
    return 200, headers, b""


def _operation(method: str) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "tags": ["webhooks"],
        "operationId": f"{method.lower()}_webhook",
        "summary": "A tool's webhook" if method == "POST" else f"A tool's webhook by {method}",
        "description": ABOUT,
        "security": [],
        "parameters": [_NAME],
        "responses": {
            "200": {"description": "Taken, or a question answered, as the tool expects it"},
            "202": {
                "description": "Genuine: taken, reported, or both",
                "content": {"application/json": {"schema": _REPORT}},
            },
        },
    }
    if method not in ("GET", "HEAD"):
        operation["requestBody"] = {"required": False, "content": {"*/*": {"schema": {}}}}
    return operation


def sources_router(webhooks: Webhooks) -> APIRouter:
    """`GET /v1/sources`, and the latest requests of one for `kizashi webhook listen`."""
    router = APIRouter(tags=["sources"])

    @router.get(
        "/v1/sources", dependencies=[Depends(require("leads:read"))], summary="Webhook sources and their traffic"
    )
    async def list_sources(request: Request, page: PageQuery) -> Response:
        names = sorted(webhooks.stations)
        if (place := page.place(text_in)) is not None:
            names = [name for name in names if name > place[0]]
        shown = [described(webhooks.stations[name]) for name in names[: page.limit]]
        return paginate(request, shown, [names[page.limit - 1]] if len(names) > page.limit else None)

    @router.get(
        "/v1/sources/{source}/requests",
        dependencies=[Depends(require("admin"))],
        summary="The latest requests of a source, kept while someone asks for them",
    )
    async def list_requests(source: str, after: Annotated[int | None, Query(ge=0)] = None) -> Response:
        station = webhooks.stations.get(source)
        if station is None:
            raise ProblemError(404, "not_found", "There is no such source.")
        items = station.traffic.watch(after, time.monotonic())
        body = {"items": items, "latest": station.traffic.number}
        return Response(encode(body), media_type=JSON[1].decode())

    return router


def described(station: Station) -> dict[str, Any]:
    """One source as listed; counts are those of this process since its start."""
    source, traffic = station.source, station.traffic
    return {
        "name": source.name,
        "adapter": source.adapter.name,
        "best_effort": source.adapter.best_effort,
        "enabled": source.disabled is None,
        "disabled_reason": source.disabled,
        "path": PREFIX + source.name,
        "public_url": source.public_url,
        "last_received_at": to_rfc3339(traffic.last_received_at) if traffic.last_received_at else None,
        "accepted": traffic.accepted,
        "duplicates": traffic.duplicates,
        "ignored": traffic.ignored,
        "rejected": dict(traffic.rejected),
        "fetched": dict(traffic.fetched) if source.fetch else None,
    }
