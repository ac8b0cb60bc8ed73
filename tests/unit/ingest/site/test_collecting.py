"""`POST /v1/collect` and the tag itself."""

import gzip
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from tests.unit.ingest.conftest import NOW, ListedRecords
from tests.unit.ingest.site.desk import SITE, kept

KEY = "wk_12345678"
PAGE: dict[str, Any] = {"type": "page_viewed", "id": "p-1", "properties": {"url": f"{SITE}/pricing?utm_campaign=a"}}
BODY: dict[str, Any] = {"write_key": KEY, "anonymous_id": "b-1", "activities": [PAGE]}
FROM = {"Origin": SITE}


async def test_a_beacon_is_text_and_its_activities_are_kept(page: httpx2.AsyncClient, durable: ListedRecords) -> None:
    body = httpx2.Request("POST", "http://x", json=BODY).content
    answer = await page.post("/v1/collect", content=body, headers={**FROM, "Content-Type": "text/plain;charset=UTF-8"})
    assert (answer.status_code, answer.json()["ids"]) == (202, ["p-1"])
    assert answer.headers["access-control-allow-origin"] == SITE
    activity = kept(durable)[0]
    assert (activity.source, activity.type) == ("website", "page_viewed")
    assert [tuple(one) for one in activity.identifiers] == [("anonymous", "b-1")]
    assert activity.properties["campaign"] == "a"
    assert activity.signals is not None
    assert activity.signals["method"] == "POST"


async def test_one_activity_may_stand_without_a_list(page: httpx2.AsyncClient, durable: ListedRecords) -> None:
    one = {"write_key": "wk_newer_99", "anonymous_id": "b", "type": "page_viewed", "properties": {"url": SITE}}
    assert (await page.post("/v1/collect", json=one, headers=FROM)).json()["accepted"] == 1
    assert (await page.post(f"/v1/collect?write_key={KEY}", json={**PAGE, "anonymous_id": "b"})).status_code == 202
    assert len(kept(durable)) == 2


async def test_identification_joins_the_browser(page: httpx2.AsyncClient, durable: ListedRecords) -> None:
    said = {"type": "profile_updated", "lead": {"email": "Taro@example.co.jp"}, "attributes": {"company": "X"}}
    await page.post("/v1/collect", json={**BODY, "activities": [said]}, headers=FROM)
    assert [tuple(one) for one in kept(durable)[0].identifiers] == [
        ("email", "taro@example.co.jp"),
        ("anonymous", "b-1"),
    ]


async def test_the_age_of_an_activity_needs_no_right_clock(page: httpx2.AsyncClient, durable: ListedRecords) -> None:
    await page.post("/v1/collect", json={**BODY, "activities": [{**PAGE, "age_ms": 90_000}]}, headers=FROM)
    assert kept(durable)[0].occurred_at == NOW - timedelta(seconds=90)


async def test_good_activities_are_taken_and_others_reported(page: httpx2.AsyncClient, durable: ListedRecords) -> None:
    bad = [{"type": "Page Viewed"}, {**PAGE, "age_ms": -1}, "x", {**PAGE, "source": "crm"}, {"properties": {}}]
    answer = (await page.post("/v1/collect", json={**BODY, "activities": [*bad, PAGE]}, headers=FROM)).json()
    assert answer["accepted"] == 1
    assert [one["item"] for one in answer["refused"]] == [0, 1, 2, 3, 4]
    assert "unknown field" in answer["refused"][3]["reason"]
    assert len(durable.records) == 1


async def test_faults_are_named_by_their_place(page: httpx2.AsyncClient) -> None:
    bad = [{"type": "Page Viewed"}, {**PAGE, "age_ms": -1}, {**PAGE, "a/b": 1}]
    answer = await page.post("/v1/collect", json={**BODY, "activities": bad}, headers=FROM)
    places = [one["pointer"] for one in answer.json()["errors"]]
    assert places == ["/activities/0/type", "/activities/1/age_ms", "/activities/2/a~1b"]


async def test_a_mistyped_address_costs_no_activity(page: httpx2.AsyncClient, durable: ListedRecords) -> None:
    said = {"type": "profile_updated", "lead": {"email": "taro at example"}}
    assert (await page.post("/v1/collect", json={**BODY, "activities": [said]}, headers=FROM)).status_code == 202
    (activity,) = kept(durable)
    assert [tuple(one) for one in activity.identifiers] == [("anonymous", "b-1")]
    assert activity.properties["email"] == "taro at example"


async def test_a_compressed_beacon_is_refused_as_that(page: httpx2.AsyncClient) -> None:
    answer = await page.post("/v1/collect", content=gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("change", "headers", "status", "code"),
    [
        ({"write_key": "wk_wrong_key"}, FROM, 401, "unauthorized"),
        ({}, {"Origin": "https://evil.example"}, 403, "origin_not_allowed"),
        ({"write_key": "wk_narrow_1"}, FROM, 403, "origin_not_allowed"),
        ({"write_key": 7}, FROM, 422, "invalid_fields"),
        ({"anonymous_id": 7}, FROM, 422, "invalid_fields"),
        ({"activities": {}}, FROM, 422, "invalid_fields"),
        ({"other": 1}, FROM, 422, "invalid_fields"),
        ({"activities": [{"type": "X"}]}, FROM, 422, "invalid_fields"),
        ({"activities": [PAGE] * 101}, FROM, 413, "too_many_items"),
        ({"activities": [{**PAGE, "properties": {"a": "x" * 70_000}}]}, FROM, 422, "invalid_fields"),
    ],
)
async def test_refusals(
    page: httpx2.AsyncClient,
    durable: ListedRecords,
    change: dict[str, Any],
    headers: dict[str, str],
    status: int,
    code: str,
) -> None:
    answer = await page.post("/v1/collect", json={**BODY, **change}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert durable.records == []


async def test_a_site_may_be_held_to_some_types(page: httpx2.AsyncClient) -> None:
    allowed = {"Origin": "https://other.example"}
    body = {**BODY, "write_key": "wk_narrow_1"}
    assert (await page.post("/v1/collect", json=body, headers=allowed)).status_code == 202
    ordered = {**body, "activities": [{"type": "order_placed"}]}
    assert (await page.post("/v1/collect", json=ordered, headers=allowed)).status_code == 422


async def test_json_asks_first(page: httpx2.AsyncClient) -> None:
    assert (await page.options("/v1/collect", headers=FROM)).headers["access-control-allow-origin"] == SITE
    assert (await page.options("/v1/collect", headers={"Origin": "https://evil.example"})).status_code == 403


async def test_the_tag_is_small_and_cached(page: httpx2.AsyncClient) -> None:
    packed = await page.get("/v1/tag.js", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) <= 3_072
    plain = await page.get("/v1/tag.js", headers={"Accept-Encoding": "identity"})
    assert plain.text == packed.text
    assert len(gzip.compress(plain.content, 6)) <= 3_072, "also as a proxy would compress it"
    assert plain.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "max-age=3600" in plain.headers["cache-control"]
    again = await page.get("/v1/tag.js", headers={"If-None-Match": plain.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "set-cookie" not in plain.headers
