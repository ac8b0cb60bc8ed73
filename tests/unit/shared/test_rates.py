"""How often one key or address may ask."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
from fastapi import Depends
from pydantic import ValidationError

from shared.errors import ProblemError
from shared.keys import create_key
from shared.settings import HttpSettings, RateSettings, Settings
from shared.telemetry import INGEST_DURATION
from shared.web import Answer, LeanRequest, LeanRoute, create_app, read_body, require
from shared.web.rates import MAX_COUNTED, Counters, Limit, subscriber

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
STATE = b"ratelimit"


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def refused(limit: Limit, who: str) -> Mapping[str, str]:
    with pytest.raises(ProblemError) as caught:
        limit.take(who)
    assert (caught.value.status, caught.value.code) == (429, "too_many_requests")
    return caught.value.headers


def test_as_many_as_the_limit_says_and_then_none_until_the_window_ends() -> None:
    clock = Hand()
    limit = Limit("address", "3/minute", clock)
    for _ in range(3):
        limit.take("a")
    clock.now += 20
    assert refused(limit, "a") == {
        "Retry-After": "40",
        "RateLimit-Policy": '"address";q=3;w=60',
        "RateLimit": '"address";r=0;t=40',
    }
    limit.take("b")
    clock.now += 40
    limit.take("a")


def test_what_is_left_is_told_once_less_than_half_is() -> None:
    limit = Limit("key", "10/second", Hand())
    told = [limit.take("a") for _ in range(10)]
    assert told[:5] == [None] * 5
    assert [dict(headers or ())[STATE] for headers in told[5:]] == [
        b'"key";r=%d;t=1' % left for left in (4, 3, 2, 1, 0)
    ]


@pytest.mark.parametrize("amount", [1, 999, 1_000, 5_000, 1_000_000])
def test_large_quotas_are_given_out_to_the_last_thousandth(amount: int) -> None:
    limit = Limit("key", f"{amount}/hour", Hand())
    given = 0
    while given <= amount:
        try:
            limit.take("a")
        except ProblemError:
            break
        given += 1
    assert amount * 0.999 <= given <= amount


def test_a_part_taken_in_one_window_is_worth_nothing_in_the_next() -> None:
    clock = Hand()
    limit = Limit("key", "2000/minute", clock)
    limit.take("a")
    clock.now += 60
    for _ in range(2_000):
        limit.take("a")
    refused(limit, "a")


def test_no_text_is_no_limit() -> None:
    limit = Limit("key", "")
    assert [limit.take("a") for _ in range(10_000)] == [None] * 10_000


def test_addresses_without_number_take_no_memory_without_end() -> None:
    clock = Hand()
    counters = Counters(clock)
    for number in range(MAX_COUNTED + 1_000):
        counters.incr(str(number), 3_600)
    assert counters.reset() <= MAX_COUNTED
    for number in range(1_000):
        counters.incr(str(number), 60)
    clock.now += 60
    for number in range(1_000):
        counters.incr(f"new-{number}", 60)
    assert counters.reset() <= 1_001


@pytest.mark.parametrize(
    ("address", "whose"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::9", "2001:db8:1:2::"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("", ""),
        ("unknown", "unknown"),
        ("x" * 5_000, "x" * 64),
    ],
)
def test_whose_an_address_is(address: str, whose: str) -> None:
    assert subscriber(address) == whose


@pytest.mark.parametrize(
    "text", ["0/minute", "3/fortnight", "3", "3 per minute", "-1/minute", "1.5/second", "3/minute;4/hour"]
)
def test_a_faulty_limit_stops_the_start(text: str) -> None:
    with pytest.raises(ValidationError):
        RateSettings(per_key=text)


@pytest.mark.parametrize("listed", ["*", "proxy.internal", "10.0.0.1,nonsense", "10.0.0.0/33"])
def test_trusted_proxies_are_addresses(listed: str) -> None:
    with pytest.raises(ValidationError, match="expected IP addresses"):
        HttpSettings(trusted_proxies=listed)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    rate = RateSettings(per_key="4/minute", per_address="3/minute", failures_per_address="2/minute")
    settings = Settings(data_dir=tmp_path, rate=rate)

    async def public(request: LeanRequest) -> Answer:
        request.admit_stranger()
        return 200, [], await read_body(request, 100)

    async def nothing() -> dict[str, str]:
        return {}

    async def ready() -> Mapping[str, str | None]:
        return {}

    operations = {"POST": {"responses": {"200": {"description": "ok"}}}}
    app = create_app(
        title="Test",
        version="0",
        settings=settings,
        lifespan=None,
        readiness=ready,
        lean=[LeanRoute("/v1/public", {"POST": public}, operations, INGEST_DURATION)],
        clock=lambda: NOW,
    )
    app.add_api_route("/v1/keyed", nothing, dependencies=[Depends(require("leads:read"))])
    key = create_key(settings.key_store_path, "reader", ["leads:read"], NOW)
    headers = {"Authorization": f"Bearer {key}"}
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test", headers=headers) as opened:
        yield opened


async def test_a_public_route_counts_for_the_address(client: httpx2.AsyncClient) -> None:
    answers = [await client.post("/v1/public") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert answers[2].headers["ratelimit"] == '"address";r=0;t=60'
    assert answers[3].headers["retry-after"] == "60"
    assert answers[3].json()["code"] == "too_many_requests"
    assert (await client.get("/v1/keyed")).status_code == 200
    assert (await client.get("/healthz")).status_code == 200


async def test_a_key_counts_for_itself(client: httpx2.AsyncClient) -> None:
    answers = [await client.get("/v1/keyed") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429]
    assert answers[3].headers["ratelimit-policy"] == '"key";q=4;w=60'
    assert (answers[4].headers["retry-after"], answers[4].headers["ratelimit"]) == ("60", '"key";r=0;t=60')


async def test_guessing_is_slowed_down_and_shuts_out_nobody_else(client: httpx2.AsyncClient) -> None:
    wrong = {"Authorization": "Bearer kz_0123456789ab_" + "x" * 43}
    answers = [await client.get("/v1/keyed", headers=wrong) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [401, 401, 429, 429]
    assert answers[2].headers["ratelimit-policy"] == '"failures";q=2;w=60'
    assert (await client.get("/v1/keyed")).status_code == 200
