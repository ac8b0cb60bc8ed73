"""Webhooks from the request to the topics, on a real Kafka."""

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from services.ingest.sources.base import Delivery
from services.ingest.sources.config import read_webhooks
from services.ingest.sources.rejected import read_again
from shared.clock import system_clock
from shared.topics import LEAD_ACTIVITIES
from tests.conftest import KafkaServer
from tests.integration.ingest.webhook_desk import Desk, running_desk, sources_yaml
from tests.unit.ingest.sources.samples import SAMPLES, Sample
from tests.unit.ingest.sources.signing import delivered


@pytest.fixture
async def desk(tmp_path: Path, kafka_server: KafkaServer) -> AsyncIterator[Desk]:
    async with running_desk(tmp_path, kafka_server.bootstrap_servers) as running:
        yield running


def sample_of(adapter: str) -> Sample:
    return next(sample for sample in SAMPLES if sample.adapter == adapter)


async def send(desk: Desk, source: str, delivery: Delivery, **extra: str) -> httpx2.Response:
    headers = [*delivery.headers, *extra.items()]
    path = f"/v1/webhooks/{source}?from=tool"
    return await desk.client.request(delivery.method, path, headers=headers, content=delivery.body)


def signed(adapter: str, body: bytes | None = None, secret: str | None = None) -> Delivery:
    sample = sample_of(adapter)
    content = sample.bytes_of("body", secret) if body is None else body
    return delivered(adapter, secret or sample.secret, content, sample.content_type, system_clock())


async def test_every_tools_sample_arrives_on_the_topic(desk: Desk) -> None:
    for sample in SAMPLES:
        answer = await send(desk, sample.adapter, signed(sample.adapter))
        assert answer.status_code in (200, 202), (sample.adapter, answer.text)
    expected = sum(len(sample.told["activities"]) for sample in SAMPLES)
    sources = {sample.adapter for sample in SAMPLES}
    records = await desk.records(
        LEAD_ACTIVITIES.name, lambda record: record.headers["ce_source"].decode() in sources, expected
    )
    assert len(records) >= expected
    told = {(record.headers["ce_source"].decode(), json.loads(record.value)["type"]) for record in records}
    assert told >= {(sample.adapter, item["type"]) for sample in SAMPLES for item in sample.told["activities"]}


async def test_answers_as_the_tool_expects(desk: Desk) -> None:
    acknowledged = await send(desk, "salesforce", signed("salesforce"))
    assert (acknowledged.status_code, "<Ack>true</Ack>" in acknowledged.text) == (200, True)
    assert acknowledged.headers["content-type"].startswith("text/xml")
    google = await send(desk, "google-ads", signed("google-ads"))
    assert (google.status_code, google.json()) == (200, {})
    hubspot = await send(desk, "hubspot", signed("hubspot"))
    assert (hubspot.status_code, hubspot.json()["accepted"], hubspot.json()["durability"]) == (202, 3, "kafka")


async def test_the_configured_address_vouches_for_no_request(tmp_path: Path, kafka_server: KafkaServer) -> None:
    public = "https://pm:secret-in-url@leads.example.co.jp/v1/webhooks/pm?token=secret-in-query"
    secrets = ["secret-in-url", "secret-in-query"]
    source = {"adapter": "postmark", "secrets": secrets, "public_url": public}
    sources = json.dumps({"webhooks": {"pm": source}}).encode()
    body = sample_of("postmark").bytes_of("body")
    async with running_desk(tmp_path, kafka_server.bootstrap_servers, sources) as desk:
        bare = await desk.client.post("/v1/webhooks/pm", content=body)
        known = await desk.client.post("/v1/webhooks/pm?token=secret-in-query", content=body)
    assert (bare.status_code, bare.json()["code"]) == (401, "signature_missing")
    assert known.status_code == 200


async def test_a_secret_may_be_a_step_of_the_path_and_is_kept_nowhere(
    desk: Desk, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = sample_of("marketo").secret
    good = await desk.client.post(f"/v1/webhooks/marketo/{secret}", content=b'{"lead_id":1,"activity":"Opens Email"}')
    assert (good.status_code, good.json()["accepted"]) == (202, 1)
    headers = {"X-Request-Id": "by-path-1"}
    broken = await desk.client.post(f"/v1/webhooks/marketo/{secret}", content=b'{"lead_id":', headers=headers)
    assert (broken.status_code, len(broken.json()["refused"])) == (202, 1)
    (part,) = await desk.rejected("marketo", "by-path-1")
    for steps, status in (("marketo/wrong", 401), ("marketo/", 404), (f"marketo/x/{secret}", 404), ("marketo", 401)):
        answer = await desk.client.post(f"/v1/webhooks/{steps}", content=b"{}")
        assert answer.status_code == status
        assert secret not in answer.text
    metrics = (await desk.client.get("/metrics")).text
    assert 'route="/v1/webhooks/{source}/{secret}"' in metrics
    told = json.dumps(part.headers) + metrics + caplog.text + "".join(capsys.readouterr())
    assert secret not in told


async def test_refuses_what_is_not_genuine(desk: Desk) -> None:
    for source, secret, code in (
        ("mautic", "wrong-secret", "invalid_signature"),
        ("postmark", "wrong", "wrong_secret"),
    ):
        answer = await send(desk, source, signed(source, secret=secret))
        assert (answer.status_code, answer.json()["code"]) == (401, code)
        assert answer.headers["content-type"] == "application/problem+json"
    unsigned = await desk.client.post("/v1/webhooks/mautic", content=b"{}")
    assert (unsigned.status_code, unsigned.json()["code"]) == (401, "signature_missing")


async def test_takes_both_secrets_while_rotating(desk: Desk) -> None:
    for secret in (sample_of("mautic").secret, sample_of("mautic").other_secret):
        assert (await send(desk, "mautic", signed("mautic", secret=secret))).status_code == 202


async def test_keeps_what_it_cannot_understand_and_reads_it_again(desk: Desk) -> None:
    hits = b'[{"hit": {"id": 1, "lead": {"id": 7}, "url": "https://example.co.jp/"}}, {"hit": {}}]'
    body = b'{"mautic.page_on_hit": ' + hits + b', "x": }'
    answer = await send(desk, "mautic", signed("mautic", body), Authorization="Bearer other", Cookie="a=b")
    assert (answer.status_code, answer.json()["accepted"]) == (202, 0)
    (part,) = await desk.rejected("mautic", answer.headers["x-request-id"])
    assert part.value == body
    kept = json.loads(part.headers["request_headers"])
    assert {name.lower() for name, _ in kept}.isdisjoint({"authorization", "cookie"})
    assert "webhook-signature" in {name.lower() for name, _ in kept}
    assert "broken JSON" in part.headers["reason"]
    sources, _ = read_webhooks(json.loads(sources_yaml())["webhooks"], {})
    assert read_again([part], sources["mautic"]).refused
    repaired = type(part)(part.headers, body.replace(b', "x": ', b""))
    again = read_again([repaired], sources["mautic"])
    assert [taken.activity.type for taken in again.taken] == ["page_viewed"]


async def test_keeps_a_partly_understood_request_too(desk: Desk) -> None:
    sample = sample_of("sendgrid")
    answer = await send(desk, "sendgrid", signed("sendgrid", sample.bytes_of("mixed")))
    assert answer.status_code == 202
    assert (answer.json()["accepted"], len(answer.json()["refused"])) == (1, 3)
    assert len(await desk.rejected("sendgrid", answer.headers["x-request-id"])) == 1


async def test_keeps_a_body_longer_than_a_record_in_parts(desk: Desk) -> None:
    items = [{"hit": {"id": number, "url": "https://example.co.jp/" + "x" * 200}} for number in range(4_000)]
    body = json.dumps({"mautic.page_on_hit": items}).encode()
    answer = await send(desk, "mautic", signed("mautic", body))
    assert answer.status_code == 202
    count = -(-len(body) // 131_072)
    parts = await desk.rejected("mautic", answer.headers["x-request-id"], count)
    assert b"".join(part.value for part in parts) == body
    sources, _ = read_webhooks(json.loads(sources_yaml())["webhooks"], {})
    assert len(read_again(parts, sources["mautic"]).refused) == 4_000
    with pytest.raises(ValueError, match="not all parts"):
        read_again(parts[1:], sources["mautic"])


async def test_no_secret_reaches_the_topic(desk: Desk) -> None:
    sample = sample_of("google-ads")
    body = json.dumps({**sample.told["body"], "google_key": sample.secret, "user_column_data": []}).encode()
    answer = await send(desk, "google-ads", signed("google-ads", body.replace(b"TeSter-123", b"")))
    (part,) = await desk.rejected("google-ads", answer.headers["x-request-id"])
    assert sample.secret.encode() not in part.value
    brevo = sample_of("brevo")
    path = f"/v1/webhooks/brevo?key={brevo.secret}&keep=1"
    answer = await desk.client.post(path, headers={"X-Anything": brevo.secret}, content=b"{}")
    assert answer.status_code == 202
    (part,) = await desk.rejected("brevo", answer.headers["x-request-id"])
    assert brevo.secret not in str(part.headers)
    assert part.headers["url"].endswith("?keep=1")


async def test_limits(desk: Desk) -> None:
    huge = signed("mautic", b"[" + b" " * (8 * 1_048_576) + b"]")
    assert (await send(desk, "mautic", huge)).status_code == 413
    long = signed("sendgrid", json.dumps(json.loads(sample_of("sendgrid").bytes_of("body")) * 6_000).encode())
    assert len(long.body) > 6_000_000
    answer = await send(desk, "sendgrid", long)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 30_000)
    squeezed = signed("mautic")
    answer = await send(desk, "mautic", squeezed, **{"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "identity")
    answer = await desk.client.post("/v1/webhooks/mautic", content=gzip.compress(squeezed.body))
    assert answer.status_code == 401


async def test_unknown_and_disabled_sources_and_methods(desk: Desk) -> None:
    for path in ("/v1/webhooks/unknown", "/v1/webhooks/", "/v1/webhooks/mautic/more", "/v1/webhooks"):
        assert (await desk.client.post(path, content=b"{}")).status_code == 404
    answer = await desk.client.post("/v1/webhooks/nowhere", content=b"{}")
    assert (answer.status_code, answer.json()["code"]) == (503, "source_disabled")
    assert answer.headers["retry-after"]
    assert (await desk.client.delete("/v1/webhooks/mautic")).status_code == 405


async def test_a_header_given_twice_is_refused(desk: Desk) -> None:
    delivery = signed("mautic")
    answer = await send(desk, "mautic", delivery, **{"webhook-signature": "AAAA"})
    assert answer.status_code == 401


async def test_handshakes(desk: Desk) -> None:
    secret = sample_of("meta").other_secret
    url = f"/v1/webhooks/meta?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token={secret}"
    answer = await desk.client.get(url)
    assert (answer.status_code, answer.text) == (200, "1158201444")
    assert answer.headers["content-type"].startswith("text/plain")
    for wrong, status in ((url + "x", 403), ("/v1/webhooks/linkedin?challengeCode=%20", 400)):
        answer = await desk.client.get(wrong)
        assert (answer.status_code, answer.json()["code"]) == (status, "handshake_refused")
        assert answer.headers["content-type"] == "application/problem+json"
    answer = await desk.client.get("/v1/webhooks/linkedin?challengeCode=890e4665-4dfe-4ab1-b689-ed553bceeed0")
    assert set(answer.json()) == {"challengeCode", "challengeResponse"}
    assert (await desk.client.get("/v1/webhooks/mailchimp")).status_code == 200
    assert (await desk.client.head("/v1/webhooks/mandrill")).status_code == 200
    told: dict[str, Any] = {"event": "endpoint.url_validation", "payload": {"plainToken": "abc"}}
    answer = await send(desk, "zoom", signed("zoom", json.dumps(told).encode()))
    assert (answer.status_code, answer.json()["plainToken"]) == (200, "abc")
    leave = {"WebHook-Request-Origin": "events.example.com"}
    answer = await desk.client.options("/v1/webhooks/generic", headers=leave)
    assert answer.headers["webhook-allowed-origin"] == "events.example.com"


async def test_shows_traffic_per_source(desk: Desk) -> None:
    delivery = signed("typeform")
    for _ in range(2):
        await send(desk, "typeform", delivery)
    await send(desk, "typeform", signed("typeform", secret="wrong"))
    items = (await desk.get("/v1/sources?limit=1000"))["items"]
    shown = next(item for item in items if item["name"] == "typeform")
    assert (shown["accepted"], shown["duplicates"], shown["rejected"]) == (2, 1, {"invalid_signature": 1})
    assert shown["last_received_at"].endswith("Z")
    assert next(item for item in items if item["name"] == "nowhere")["enabled"] is False
    assert (await desk.client.get("/v1/sources")).status_code == 401
    metrics = (await desk.client.get("/metrics")).text
    assert 'kizashi_ingest_duplicates_total{source="typeform"} 1.0' in metrics
    assert 'kizashi_source_last_received_timestamp_seconds{source="typeform"}' in metrics


async def test_lists_sources_page_by_page(desk: Desk) -> None:
    names: list[str] = []
    path = "/v1/sources?limit=10"
    while path:
        answer = await desk.client.get(path, headers={"Authorization": f"Bearer {desk.admin_key}"})
        names += [item["name"] for item in answer.json()["items"]]
        path = str(answer.links["next"]["url"]) if "next" in answer.links else ""
    assert names == sorted([*(sample.adapter for sample in SAMPLES), "nowhere"])


async def test_shows_requests_to_those_who_listen(desk: Desk) -> None:
    await send(desk, "calendly", signed("calendly"))
    start = await desk.get("/v1/sources/calendly/requests")
    assert start["items"] == []
    await send(desk, "calendly", signed("calendly"))
    await send(desk, "calendly", signed("calendly", secret="wrong"))
    items = (await desk.get(f"/v1/sources/calendly/requests?after={start['latest']}"))["items"]
    assert [item["valid"] for item in items] == [True, False]
    assert items[0]["activities"][0]["type"] == "meeting_booked"
    assert items[1]["activities"] == []
    assert await desk.get(f"/v1/sources/calendly/requests?after={items[1]['number']}") == {"items": [], "latest": 3}
