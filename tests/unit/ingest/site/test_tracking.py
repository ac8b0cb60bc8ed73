"""Segment's protocol: keys, single calls, batches, clocks."""

import gzip
from datetime import timedelta
from typing import Any

import httpx2
import orjson
import pytest

from tests.unit.ingest.conftest import NOW, ListedRecords
from tests.unit.ingest.site.desk import SITE, kept

KEY = ("wk_12345678", "")
TRACK: dict[str, Any] = {"messageId": "m-1", "userId": "u-7", "event": "Signed Up", "properties": {"plan": "free"}}


async def test_track_with_the_key_as_user(page: httpx2.AsyncClient, durable: ListedRecords) -> None:
    answer = await page.post("/v1/track", json=TRACK, auth=KEY)
    assert answer.status_code == 200
    assert (answer.json()["success"], answer.json()["ids"]) == (True, ["m-1"])
    activity = kept(durable)[0]
    assert (activity.source, activity.type, activity.properties["plan"]) == ("website", "trial_started", "free")
    assert [tuple(one) for one in activity.identifiers] == [("external", "members:u-7")]


async def test_identify_and_page(page: httpx2.AsyncClient, durable: ListedRecords) -> None:
    traits = {"email": "taro@example.co.jp", "company": "サンプル"}
    known = {"messageId": "m-2", "anonymousId": "b-1", "traits": traits, "writeKey": KEY[0]}
    assert (await page.post("/v1/identify", json=known)).status_code == 200
    seen = {"messageId": "m-3", "anonymousId": "b-1", "properties": {"url": f"{SITE}/pricing"}}
    assert (await page.post("/v1/page", json=seen, auth=KEY)).status_code == 200
    identified, viewed = kept(durable)
    assert (identified.type, identified.email, identified.attributes["company"]) == (
        "profile_updated",
        "taro@example.co.jp",
        "サンプル",
    )
    assert (viewed.type, viewed.properties["url"]) == ("page_viewed", f"{SITE}/pricing")


async def test_calls_with_neither_id_nor_time_count_each(page: httpx2.AsyncClient, durable: ListedRecords) -> None:
    call = {"userId": "u-7", "event": "Order Completed"}
    for _ in range(2):
        assert (await page.post("/v1/track", json=call, auth=KEY)).status_code == 200
    assert (await page.post("/v1/batch", json={"batch": [{"type": "page", "userId": "u"}] * 3}, auth=KEY)).is_success
    assert len({activity.id for activity in kept(durable)}) == 5
    timed = {**call, "timestamp": "2026-11-20T10:15:00Z"}
    for sent in ("2026-11-20T10:15:01Z", "2026-11-20T10:16:00Z"):
        assert (await page.post("/v1/track", json={**timed, "sentAt": sent}, auth=KEY)).status_code == 200
    assert len({activity.id for activity in kept(durable)}) == 6


async def test_a_batch_gives_the_good_and_reports_the_bad(page: httpx2.AsyncClient, durable: ListedRecords) -> None:
    batch = [{"type": "track", **TRACK}, "x", {"type": "page"}, {"type": "identify", "userId": "u", "messageId": "m-4"}]
    answer = (await page.post("/v1/batch", json={"batch": batch, "context": {"ip": "203.0.113.9"}}, auth=KEY)).json()
    assert answer["ids"] == ["m-1", "m-4"]
    assert [one["item"] for one in answer["refused"]] == [1, 2]
    assert len(durable.records) == 2
    many = [{"type": "track", **TRACK, "messageId": f"n-{number}"} for number in range(300)]
    assert (await page.post("/v1/batch", json={"batch": many}, auth=KEY)).json()["accepted"] == 300
    assert (await page.post("/v1/batch", json={"batch": []}, auth=KEY)).json()["accepted"] == 0


async def test_compressed_calls_are_taken_up_to_the_limit(page: httpx2.AsyncClient, durable: ListedRecords) -> None:
    async def send(body: bytes) -> tuple[int, str]:
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        answer = await page.post("/v1/batch", content=body, headers=headers, auth=KEY)
        return answer.status_code, answer.json().get("code", "")

    good = gzip.compress(orjson.dumps({"batch": [{"type": "track", **TRACK}]}))
    assert await send(good) == (200, "")
    assert len(durable.records) == 1
    bomb = gzip.compress(b" " * 50_000_000)
    assert len(bomb) < 60_000
    assert await send(bomb) == (413, "too_large")
    for broken in (good[:-1], good + b"x", good + good, b"", b"{}", good[:4] + b"\xff" * 20):
        assert await send(broken) == (400, "invalid_encoding")
    assert len(durable.records) == 1


async def test_the_clients_clock_does_not_count(page: httpx2.AsyncClient, durable: ListedRecords) -> None:
    wrong = {**TRACK, "timestamp": "2019-01-01T00:00:00Z", "sentAt": "2019-01-01T00:00:30Z"}
    await page.post("/v1/track", json=wrong, auth=KEY)
    assert kept(durable)[0].occurred_at == NOW - timedelta(seconds=30)


@pytest.mark.parametrize(
    ("path", "request_of", "status"),
    [
        ("/v1/track", {"json": TRACK}, 401),
        ("/v1/track", {"json": TRACK, "auth": ("wk_wrong_key", "")}, 401),
        ("/v1/track", {"json": TRACK, "headers": {"Authorization": "Basic !"}}, 401),
        ("/v1/track", {"json": [TRACK], "auth": KEY}, 422),
        ("/v1/track", {"content": b"{", "auth": KEY}, 400),
        ("/v1/track", {"json": {"event": "x"}, "auth": KEY}, 422),
        ("/v1/batch", {"json": {}, "auth": KEY}, 422),
        ("/v1/batch", {"json": {"batch": [{}] * 2_501}, "auth": KEY}, 413),
        ("/v1/track", {"json": TRACK, "auth": KEY, "headers": {"Origin": "https://evil.example"}}, 403),
        ("/v1/track", {"content": b"x", "auth": KEY, "headers": {"Content-Type": "text/xml"}}, 415),
    ],
)
async def test_refusals(
    page: httpx2.AsyncClient, durable: ListedRecords, path: str, request_of: dict[str, Any], status: int
) -> None:
    answer = await page.request("POST", path, **request_of)
    assert answer.status_code == status
    assert durable.records == []


async def test_a_browser_library_may_send_its_key(page: httpx2.AsyncClient) -> None:
    answer = await page.options("/v1/batch", headers={"Origin": SITE})
    assert "authorization" in answer.headers["access-control-allow-headers"]
    sent = await page.post("/v1/track", json=TRACK, auth=KEY, headers={"Origin": SITE})
    assert sent.headers["access-control-allow-origin"] == SITE
