"""The frame of every service, asked over ASGI without a socket."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import httpx2
import pytest
from fastapi import Depends, FastAPI, Request, Response
from prometheus_client import REGISTRY
from pydantic import BaseModel

from shared.clock import from_rfc3339
from shared.errors import FieldFault, ProblemError
from shared.keys import ApiKey, create_key
from shared.settings import Settings
from shared.telemetry import INGEST_DURATION
from shared.web import (
    DEGRADED,
    Answer,
    LeanRequest,
    LeanRoute,
    Page,
    PageQuery,
    create_app,
    decode_cursor,
    encode_cursor,
    number_in,
    paginate,
    read_body,
    require,
    text_in,
)

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
JSON = {"Content-Type": "application/json"}


class Points(BaseModel):
    points: int
    reason: str = ""


class Service:
    """An application with one route of each kind, and what its parts say of themselves."""

    def __init__(self, folder: Path) -> None:
        self.parts: dict[str, str | None] = {"kafka": None}
        settings = Settings(data_dir=folder)
        self.key = create_key(settings.key_store_path, "reader", ["leads:read"], NOW)
        lean = LeanRoute(
            "/v1/lean", {"POST": self.lean}, {"POST": {"responses": {"200": {"description": "ok"}}}}, INGEST_DURATION
        )
        self.app = create_app(
            title="Test",
            version="0",
            settings=settings,
            lifespan=None,
            readiness=self.ready,
            lean=[lean],
            clock=lambda: NOW,
            max_body=1_000,
        )
        add_routes(self.app)

    async def ready(self) -> Mapping[str, str | None]:
        return self.parts

    async def lean(self, request: LeanRequest) -> Answer:
        body = await read_body(request, 100)
        if body == b"boom":
            raise RuntimeError("taro@example.com")
        return 200, [(b"content-type", b"text/plain")], body


def add_routes(app: FastAPI) -> None:
    @app.post("/v1/points")
    async def give(points: Points, key: Annotated[ApiKey, Depends(require("leads:read"))]) -> dict[str, Any]:
        return {"points": points.points, "by": key.name}

    @app.get("/v1/items")
    async def items(request: Request, page: PageQuery) -> Response:
        start = page.after[0] if page.after else 0
        found = list(range(start + 1, min(start + page.limit, 5) + 1))
        return paginate(request, found, [found[-1]] if found[-1] < 5 else None)

    @app.get("/v1/refused")
    async def refused() -> None:
        raise ProblemError(409, "conflict", "no", [FieldFault("/a", "b")], {"Retry-After": "3"})

    @app.get("/v1/boom")
    async def boom() -> None:
        raise RuntimeError("taro@example.com")

    @app.delete("/v1/items/{number}", dependencies=[Depends(require("leads:write"))])
    async def remove(number: int) -> None:
        return None


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


@pytest.fixture
async def client(service: Service) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=service.app), base_url="http://test") as client:
        yield client


def authorized(service: Service) -> dict[str, str]:
    return {"Authorization": f"Bearer {service.key}"}


def check_problem(response: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert (response.status_code, body["status"], body["code"]) == (status, status, code)
    assert body["type"] == f"/problems/{code}"
    assert body["title"]
    assert body["detail"]
    return body


async def test_health_is_alive_and_ready(service: Service, client: httpx2.AsyncClient) -> None:
    assert (await client.get("/healthz")).json() == {"status": "alive"}
    assert (await client.get("/readyz")).json() == {"status": "ready", "parts": {"kafka": "ok"}}
    service.parts = {"kafka": None, DEGRADED: "spooling"}
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["degraded"]) == (200, "spooling")
    service.parts = {"kafka": "does not answer", "postgres": None, DEGRADED: "spooling"}
    body = check_problem(await client.get("/readyz"), 503, "not_ready")
    assert body["failing"] == ["kafka"]
    assert body["parts"] == {"kafka": "does not answer", "postgres": "ok"}
    assert [(await client.head(path)).status_code for path in ("/healthz", "/readyz")] == [200, 503]


async def test_every_error_is_a_problem(service: Service, client: httpx2.AsyncClient) -> None:
    check_problem(await client.get("/nowhere"), 404, "not_found")
    wrong_method = await client.put("/v1/points", headers=JSON, content=b"{}")
    check_problem(wrong_method, 405, "method_not_allowed")
    assert wrong_method.headers["allow"] == "POST"
    check_problem(await client.get("/v1/lean"), 405, "method_not_allowed")
    conflict = await client.get("/v1/refused")
    assert check_problem(conflict, 409, "conflict")["errors"] == [{"pointer": "/a", "detail": "b"}]
    assert conflict.headers["retry-after"] == "3"
    for path in ("/v1/boom", "/v1/lean"):
        answer = await client.request("GET" if path == "/v1/boom" else "POST", path, content=b"boom")
        check_problem(answer, 500, "internal_error")
        assert "taro" not in answer.text


async def test_keys_open_routes(service: Service, client: httpx2.AsyncClient) -> None:
    given = await client.post("/v1/points", headers=authorized(service), json={"points": 3})
    assert given.json() == {"points": 3, "by": "reader"}
    missing = await client.post("/v1/points", json={"points": 3})
    check_problem(missing, 401, "unauthorized")
    assert missing.headers["www-authenticate"] == "Bearer"
    check_problem(await client.delete("/v1/items/3", headers=authorized(service)), 403, "missing_scope")


async def test_fields_are_checked(service: Service, client: httpx2.AsyncClient) -> None:
    headers = authorized(service)
    body = check_problem(
        await client.post("/v1/points", headers=headers, json={"points": "taro"}), 422, "invalid_fields"
    )
    assert [error["pointer"] for error in body["errors"]] == ["/points"]
    assert "taro" not in str(body)
    nul = await client.post("/v1/points", headers=headers, json={"points": 1, "reason": "a\x00"})
    assert [one["pointer"] for one in check_problem(nul, 422, "invalid_fields")["errors"]] == ["/reason"]
    for address, place in (("/v1/items?q=a&x/y=b%00", "/query/x~1y"), ("/v1/items/%00", "/path")):
        body = check_problem(await client.get(address), 422, "invalid_fields")
        assert [one["pointer"] for one in body["errors"]] == [place]
    wrong_limit = check_problem(await client.get("/v1/items?limit=1001"), 422, "invalid_fields")
    assert wrong_limit["errors"][0]["pointer"] == "/query/limit"


@pytest.mark.parametrize("body", [b"{", b'{"points": NaN}', b'{"points": "\\ud800"}', b"\xff", b"[" * 40])
async def test_json_is_as_strict_as_everywhere(service: Service, client: httpx2.AsyncClient, body: bytes) -> None:
    answer = await client.post("/v1/points", headers=authorized(service) | JSON, content=body)
    check_problem(answer, 400, "invalid_json")


async def test_other_media_types_are_refused(service: Service, client: httpx2.AsyncClient) -> None:
    for headers in ({"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}):
        answer = await client.post("/v1/points", headers=authorized(service) | headers, content=b"points=3")
        check_problem(answer, 415, "unsupported_media_type")


async def chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 10):
        yield b"0123456789"


@pytest.mark.parametrize(("path", "limit"), [("/v1/points", 1_000), ("/v1/lean", 100)])
async def test_bodies_are_bounded(service: Service, client: httpx2.AsyncClient, path: str, limit: int) -> None:
    headers = authorized(service)
    announced = await client.post(path, headers=headers, content=b"x" * (limit + 1))
    check_problem(announced, 413, "too_large")
    unannounced = await client.post(path, headers=headers, content=chunks(limit + 10))
    check_problem(unannounced, 413, "too_large")
    fits = await client.post(path, headers=headers, content=chunks(limit))
    assert fits.status_code != 413


async def test_a_request_keeps_its_id(service: Service, client: httpx2.AsyncClient) -> None:
    for path in ("/healthz", "/nowhere", "/v1/lean"):
        answer = await client.get(path, headers={"X-Request-Id": "from-outside-1"})
        assert answer.headers["x-request-id"] == "from-outside-1"
    made = [
        (await client.get("/healthz", headers={"X-Request-Id": bad})).headers["x-request-id"] for bad in ("", "a b")
    ]
    assert len(set(made)) == 2
    assert all(len(name) == 32 for name in made)


async def test_titles_follow_the_reader(service: Service, client: httpx2.AsyncClient) -> None:
    japanese = await client.get("/nowhere", headers={"Accept-Language": "ja-JP, en;q=0.5"})
    assert japanese.json()["title"] == "見つかりません"
    assert japanese.headers["content-language"] == "ja"
    assert (await client.get("/nowhere")).json()["title"] == "Not found"


async def test_a_list_is_walked_by_its_links(service: Service, client: httpx2.AsyncClient) -> None:
    seen, address = [], "/v1/items?limit=2"
    while address:
        answer = await client.get(address)
        seen.append(answer.json()["items"])
        address = answer.links.get("next", {}).get("url", "")
    assert seen == [[1, 2], [3, 4], [5]]


async def test_a_parameter_that_a_list_does_not_know_is_refused(client: httpx2.AsyncClient) -> None:
    body = check_problem(await client.get("/v1/items?limit=2&ltd=x&utm=y"), 422, "invalid_parameter")
    assert [fault["pointer"] for fault in body["errors"]] == ["/query/ltd", "/query/utm"]
    assert body["errors"][0]["detail"] == "expected one of after, limit"


def test_a_cursor_survives_and_others_are_refused() -> None:
    assert decode_cursor(encode_cursor(["2026-11-20T01:15:00Z", "a/b"])) == ("2026-11-20T01:15:00Z", "a/b")
    for text in ("zzz", "e30", "ä", "a b"):
        with pytest.raises(ProblemError) as caught:
            decode_cursor(text)
        assert caught.value.code == "invalid_cursor"


def test_a_cursor_is_read_by_the_kinds_of_its_list() -> None:
    page = Page(1, decode_cursor(encode_cursor(["2026-11-20T01:15:00Z", "a", 3])))
    assert page.place(from_rfc3339, text_in, number_in) == (from_rfc3339("2026-11-20T01:15:00Z"), "a", 3)
    assert Page(1, None).place(text_in) is None


@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        ([], (text_in,)),
        (["a", "b"], (text_in,)),
        ([1], (text_in,)),
        (["1"], (number_in,)),
        ([True], (number_in,)),
        ([2**31], (number_in,)),
        ([-1], (number_in,)),
        ([5], (UUID,)),
        (["x"], (UUID,)),
        ([None], (from_rfc3339,)),
    ],
)
def test_a_cursor_of_another_list_is_refused(values: list[Any], kinds: tuple[Any, ...]) -> None:
    with pytest.raises(ProblemError) as caught:
        Page(1, tuple(values)).place(*kinds)
    assert (caught.value.status, caught.value.code) == (422, "invalid_cursor")


async def test_documentation_names_every_route(service: Service, client: httpx2.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    assert {"/healthz", "/readyz", "/metrics", "/v1/points", "/v1/lean"} <= document["paths"].keys()
    assert document["components"]["schemas"].keys() >= {"Problem", "Points"}
    for path in document["paths"].values():
        for operation in path.values():
            assert "default" in operation["responses"]
    assert (await client.get("/docs")).status_code == 200


async def test_codes_have_a_page(service: Service, client: httpx2.AsyncClient) -> None:
    assert "kizashi keys create" in (await client.get("/problems/unauthorized")).text
    check_problem(await client.get("/problems/no_such_code"), 404, "not_found")


async def test_requests_are_counted_by_route(service: Service, client: httpx2.AsyncClient) -> None:
    labels = {"method": "DELETE", "route": "/v1/items/{number}", "status": "403"}
    before = REGISTRY.get_sample_value("kizashi_http_requests_total", labels) or 0
    await client.delete("/v1/items/7?email=taro@example.com", headers=authorized(service))
    metrics = (await client.get("/metrics")).text
    assert "example.com" not in metrics
    assert REGISTRY.get_sample_value("kizashi_http_requests_total", labels) == before + 1
