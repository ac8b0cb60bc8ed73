"""`POST /v1/activities`: what is taken, what is refused, with which status and code."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import orjson
import pytest
from prometheus_client import REGISTRY

from services.ingest.settings import IngestSettings
from shared.activity import parse_recorded
from shared.events import cloud_event_headers, unpack_headers
from shared.identity import Identifier, lead_id_for
from shared.keys import create_key, revoke_key
from tests.unit.ingest.conftest import NOW, ListedRecords

PATH = "/v1/activities"
ONE: dict[str, Any] = {
    "id": "a-1",
    "source": "website",
    "type": "document_downloaded",
    "occurred_at": "2026-11-20T10:15:00+09:00",
    "lead": {"email": "Taro.Yamada@example.co.jp"},
    "properties": {"document": "price-list-2026"},
}
BARE: dict[str, Any] = {"type": "page_viewed", "lead": {"anonymous_id": "b-7"}}
EVENT: dict[str, Any] = {"specversion": "1.0", "id": "e-1", "source": "/web", "type": "lead.activity.v1", "data": BARE}
CE_HEADERS = {"ce-specversion": "1.0", "ce-id": "e-1", "ce-source": "/web", "ce-type": "lead.activity.v1"}


async def taken(client: httpx2.AsyncClient, body: Any, **headers: str) -> list[str]:
    answer = await client.post(PATH, content=orjson.dumps(body), headers=headers)
    assert answer.status_code == 202, answer.text
    answered = answer.json()
    assert answered.keys() == {"accepted", "ids", "durability"}
    assert answered["accepted"] == len(answered["ids"])
    assert answered["durability"] == "kafka"
    ids: list[str] = answered["ids"]
    return ids


async def refused(
    client: httpx2.AsyncClient, content: bytes | AsyncIterator[bytes], headers: dict[str, str] | None = None
) -> tuple[int, str, list[str]]:
    answer = await client.post(PATH, content=content, headers=headers or {})
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    return answer.status_code, body["code"], [fault["pointer"] for fault in body.get("errors", [])]


async def test_one_activity_becomes_one_record(client: httpx2.AsyncClient, durable: ListedRecords) -> None:
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    assert await taken(client, ONE, **{"X-Request-Id": "r-1", "traceparent": traceparent}) == ["a-1"]
    [record] = durable.records
    lead_id = lead_id_for(b"a secret", Identifier("email", "taro.yamada@example.co.jp"))
    assert (record.topic, record.key.decode()) == ("lead-activities", lead_id)
    value = orjson.loads(record.value)
    assert value["occurred_at"] == "2026-11-20T01:15:00.000000Z"
    assert value["received_at"] == "2026-11-24T03:00:00.000000Z"
    assert value["flags"] == []
    assert parse_recorded(value).id == "a-1"
    expected = cloud_event_headers(
        id_="a-1", source="website", type_="lead.activity.v1", time="2026-11-20T01:15:00.000000Z", key=lead_id
    )
    assert record.headers == [
        *unpack_headers(expected),
        ("x-request-id", b"r-1"),
        ("traceparent", traceparent.encode()),
    ]
    assert record.size >= len(record.value)


async def test_a_wrong_traceparent_is_dropped(client: httpx2.AsyncClient, durable: ListedRecords) -> None:
    await taken(client, ONE, traceparent="nonsense")
    assert [name for name, _ in durable.records[0].headers][-1] == "x-request-id"


async def test_an_array_keeps_its_order(client: httpx2.AsyncClient, durable: ListedRecords) -> None:
    many = [{**ONE, "id": f"a-{number}"} for number in range(1_000)]
    assert await taken(client, many) == [item["id"] for item in many]
    assert [orjson.loads(record.value)["id"] for record in durable.records] == [item["id"] for item in many]
    assert await taken(client, []) == []
    assert len(durable.records) == 1_000


async def test_the_same_id_twice_is_taken_twice(client: httpx2.AsyncClient, durable: ListedRecords) -> None:
    assert await taken(client, [ONE, ONE]) == ["a-1", "a-1"]
    assert len(durable.records) == 2


async def test_ids_are_made_where_none_is_given(client: httpx2.AsyncClient) -> None:
    first, second = await taken(client, [BARE, BARE])
    assert first != second
    assert first[14] == second[14] == "7"


async def test_a_retry_under_the_same_key_has_the_same_ids(client: httpx2.AsyncClient) -> None:
    retry = {"Idempotency-Key": '"k-1"'}
    ids = await taken(client, [BARE, ONE, BARE], **retry)
    assert ids == await taken(client, [BARE, ONE, BARE], **retry)
    assert ids[1] == "a-1"
    assert len(set(ids)) == 3
    assert ids != await taken(client, [BARE, ONE, BARE], **{"Idempotency-Key": '"k-2"'})


@pytest.mark.parametrize("retry_key", ["", " ", "k" * 256, "k\x7f"])
async def test_an_unfit_idempotency_key_is_refused(client: httpx2.AsyncClient, retry_key: str) -> None:
    answer = await refused(client, orjson.dumps(BARE), {"Idempotency-Key": retry_key})
    assert answer[:2] == (400, "invalid_header")


async def test_cloud_events_in_every_mode(client: httpx2.AsyncClient, durable: ListedRecords) -> None:
    structured = {"Content-Type": "application/cloudevents+json; charset=UTF-8"}
    batched = {"Content-Type": "Application/CloudEvents-Batch+JSON"}
    assert await taken(client, EVENT, **structured) == ["e-1"]
    assert await taken(client, [EVENT, {**EVENT, "id": "e-2"}], **batched) == ["e-1", "e-2"]
    assert await taken(client, [], **batched) == []
    binary = {**CE_HEADERS, "ce-id": "e%203", "ce-time": "2026-11-20T10:15:00Z"}
    assert await taken(client, BARE, **binary) == ["e 3"]
    value = orjson.loads(durable.records[-1].value)
    assert (value["source"], value["occurred_at"]) == ("/web", "2026-11-20T10:15:00.000000Z")


BAD_EVENTS: dict[str, tuple[Any, dict[str, str], list[str]]] = {
    "another type, structured": ({**EVENT, "type": "x"}, {"Content-Type": "application/cloudevents+json"}, ["/type"]),
    "another type, batched": (
        [EVENT, {**EVENT, "type": "x"}],
        {"Content-Type": "application/cloudevents-batch+json"},
        ["/1/type"],
    ),
    "another type, binary": (BARE, {**CE_HEADERS, "ce-type": "x"}, ["/headers/ce-type"]),
    "no batch": (EVENT, {"Content-Type": "application/cloudevents-batch+json"}, [""]),
    "an array, structured": ([EVENT], {"Content-Type": "application/cloudevents+json"}, [""]),
    "an array, binary": ([BARE], CE_HEADERS, [""]),
    "a faulty time": (BARE, {**CE_HEADERS, "ce-time": "now"}, ["/headers/ce-time"]),
    "faulty data": (
        {**EVENT, "data": {**BARE, "lead": {"emial": "x"}}},
        {"Content-Type": "application/cloudevents+json"},
        ["/data/lead/emial"],
    ),
}


@pytest.mark.parametrize(("body", "headers", "pointers"), BAD_EVENTS.values(), ids=BAD_EVENTS.keys())
async def test_faulty_cloud_events(
    client: httpx2.AsyncClient, durable: ListedRecords, body: Any, headers: dict[str, str], pointers: list[str]
) -> None:
    assert await refused(client, orjson.dumps(body), headers) == (422, "invalid_fields", pointers)
    assert durable.records == []


def changed(**fields: Any) -> bytes:
    return orjson.dumps({**ONE, **fields})


BAD: dict[str, tuple[bytes, int, str, list[str]]] = {
    "broken": (b'{"type": "page_viewed"', 400, "invalid_json", []),
    "empty": (b"", 400, "invalid_json", []),
    "invalid UTF-8": (b'{"type": "\xff"}', 400, "invalid_json", []),
    "lone surrogate": (changed(properties={"a": "X"}).replace(b"X", b"\\udc00"), 400, "invalid_json", []),
    "NaN": (changed(properties={"a": 0}).replace(b":0}", b":NaN}"), 400, "invalid_json", []),
    "1e999": (changed(properties={"a": 0}).replace(b":0}", b":1e999}"), 400, "invalid_json", []),
    "deep": (b'{"a":' * 33 + b"1" + b"}" * 33, 400, "invalid_json", []),
    "very deep": (b"[" * 100_000, 400, "invalid_json", []),
    "NUL": (changed(properties={"a": "b\x00"}), 422, "invalid_fields", ["/properties/a"]),
    "NUL in a name": (changed(properties={"a\x00": 1}), 422, "invalid_fields", ["/properties/a\x00"]),
    "a text": (b'"page_viewed"', 422, "invalid_fields", [""]),
    "null": (b"null", 422, "invalid_fields", [""]),
    "an array in an array": (b"[[]]", 422, "invalid_fields", ["/0"]),
    "no identifier": (changed(lead={}), 422, "invalid_fields", ["/lead"]),
    "misspelt": (changed(occured_at="x"), 422, "invalid_fields", ["/occured_at"]),
    "misspelt in lead": (changed(lead={"emial": "x"}), 422, "invalid_fields", ["/lead/emial"]),
    "wrong type": (changed(attributes=[1]), 422, "invalid_fields", ["/attributes"]),
    "year 0": (changed(occurred_at="0000-01-01T00:00:00Z"), 422, "invalid_fields", ["/occurred_at"]),
    "off the calendar": (changed(occurred_at="9999-12-31T23:59:59-12:00"), 422, "invalid_fields", ["/occurred_at"]),
    "before 1970": (changed(occurred_at="1969-12-31T00:00:00Z"), 422, "invalid_fields", ["/occurred_at"]),
    "no offset": (changed(occurred_at="2026-11-20T10:15:00"), 422, "invalid_fields", ["/occurred_at"]),
    "a week": (changed(occurred_at="2026-W47-5T10:15:00Z"), 422, "invalid_fields", ["/occurred_at"]),
    "30 February": (changed(occurred_at="2026-02-30T10:15:00Z"), 422, "invalid_fields", ["/occurred_at"]),
    "large": (changed(properties={"a": "x" * 65_536}), 413, "too_large", [""]),
    "1,001": (orjson.dumps([ONE] * 1_001), 413, "too_many_items", []),
    "large in an array": (orjson.dumps([ONE, {**ONE, "properties": {"a": "x" * 65_536}}]), 413, "too_large", ["/1"]),
    "1 MiB of one": (changed(properties={"a": "x" * 1_048_576}), 413, "too_large", []),
    "10 MB": (b"[" + b" " * 10_000_000 + b"]", 413, "too_large", []),
}


@pytest.mark.parametrize(("content", "status", "code", "pointers"), BAD.values(), ids=BAD.keys())
async def test_bad_input_is_refused_whole(
    client: httpx2.AsyncClient, durable: ListedRecords, content: bytes, status: int, code: str, pointers: list[str]
) -> None:
    assert await refused(client, content) == (status, code, pointers)
    assert durable.records == []


async def test_one_fault_refuses_the_whole_array(client: httpx2.AsyncClient, durable: ListedRecords) -> None:
    content = orjson.dumps([ONE, {**ONE, "type": "X", "lead": {"email": "x"}}, ONE, {"type": "page_viewed"}])
    assert await refused(client, content) == (422, "invalid_fields", ["/1/type", "/1/lead/email", "/3/lead"])
    assert durable.records == []


async def test_a_body_without_length_is_bounded_too(client: httpx2.AsyncClient, durable: ListedRecords) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b" " * 1_048_576

    assert (await refused(client, endless()))[:2] == (413, "too_large")
    assert durable.records == []


async def test_what_fits_its_limit_exactly_passes(client: httpx2.AsyncClient) -> None:
    room = 65_536 - len(changed(properties={"a": ""}))
    assert await taken(client, {**ONE, "properties": {"a": "x" * room}}) == ["a-1"]
    assert (await refused(client, changed(properties={"a": "x" * (room + 1)})))[:2] == (413, "too_large")
    padded = await client.post(PATH, content=changed() + b" " * 200_000)
    assert padded.status_code == 202, "an activity counts as it is stored, not as it is indented"


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": ""},
        {"Content-Type": "application/xml"},
        {"Content-Type": "application/jsonx"},
        {"Content-Type": "application/json; charset=shift_jis"},
        {"Content-Type": "application/cloudevents+xml"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
async def test_other_media_are_refused(client: httpx2.AsyncClient, headers: dict[str, str]) -> None:
    assert (await refused(client, orjson.dumps(ONE), headers))[:2] == (415, "unsupported_media_type")


async def test_keys_are_asked_for_first(client: httpx2.AsyncClient, settings: IngestSettings, key: str) -> None:
    reader = create_key(settings.key_store_path, "reader", ["leads:read"], NOW)
    for header, expected in (
        ("", (401, "unauthorized")),
        ("Bearer kz_000000000000_" + "x" * 43, (401, "unauthorized")),
        (f"Bearer {reader}", (403, "missing_scope")),
    ):
        assert (await refused(client, b"{", {"Authorization": header}))[:2] == expected
    revoke_key(settings.key_store_path, "website", NOW)
    assert (await refused(client, orjson.dumps(ONE)))[:2] == (401, "unauthorized")


async def test_nothing_is_promised_that_cannot_be_kept(client: httpx2.AsyncClient, durable: ListedRecords) -> None:
    durable.refuses = "Kafka is away"
    answer = await client.post(PATH, content=orjson.dumps(ONE))
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"] == "2"
    assert (await taken(client, [])) == []
    assert (await client.get("/readyz")).json()["failing"] == ["kafka"]


async def test_requests_are_counted_by_source(client: httpx2.AsyncClient) -> None:
    def counted(**labels: str) -> float:
        return REGISTRY.get_sample_value("kizashi_ingest_requests_total", labels) or 0

    sources = {"website": "accepted", "several": "accepted", "unread": "rejected"}
    await client.get("/metrics")
    before = {source: counted(source=source, outcome=outcome) for source, outcome in sources.items()}
    await taken(client, ONE)
    await taken(client, [ONE, BARE])
    await refused(client, b"{")
    await client.get("/metrics")
    after = {source: counted(source=source, outcome=outcome) for source, outcome in sources.items()}
    assert after == {source: count + 1 for source, count in before.items()}
