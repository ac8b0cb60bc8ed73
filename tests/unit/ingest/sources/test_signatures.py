"""Schemes beyond what the published vectors show."""

import base64
import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.ingest.sources import (
    generic,
    hubspot,
    mailchimp,
    mandrill,
    salesforce,
    segment,
    sendgrid,
    standard_webhooks,
)
from services.ingest.sources.base import Delivery, Headers, Options, Verdict
from services.ingest.sources.recipes import Recipe
from services.ingest.sources.signatures import shared_secret
from tests.unit.ingest.sources import signing

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
SECRET = "right-secret-0123456789"
OPTIONS = Options("main", "main")


def request(
    headers: dict[str, str] | None = None, body: bytes = b"{}", url: str = signing.URL, method: str = "POST"
) -> Delivery:
    return Delivery(method, url, Headers((headers or {}).items()), body)


def shared(delivery: Delivery, secret: str = SECRET) -> Verdict:
    return shared_secret(delivery, [secret], NOW, OPTIONS)


@pytest.mark.parametrize(
    "delivery",
    [
        request({"X-Any": SECRET}),
        request({"Authorization": f"Bearer {SECRET}"}),
        request({"Authorization": f"bearer  {SECRET}"}),
        request({"Authorization": "Basic " + base64.b64encode(f"user:{SECRET}".encode()).decode()}),
        request({"Authorization": "Basic " + base64.b64encode(f"user:{SECRET}".encode()).decode().rstrip("=")}),
        request(url=f"https://example.co.jp/hook?x=1&token={SECRET}"),
        request({"Authorization": "Basic " + base64.b64encode(f"{SECRET}:".encode()).decode()}),
        request(url=f"https://user:{SECRET}@example.co.jp/hook"),
        request(url=f"https://example.co.jp/hook/{SECRET}"),
        request(url=f"https://example.co.jp/{SECRET.replace('-', '%2D')}/hook?x=1"),
    ],
)
def test_a_shared_secret_may_stand_in_many_places(delivery: Delivery) -> None:
    assert shared(delivery).valid


@pytest.mark.parametrize(
    "delivery",
    [
        request(),
        request({"X-Any": SECRET + "x"}),
        request({"Authorization": f"Digest {SECRET}x"}),
        request({"Authorization": "Basic !!!"}),
        request({"Authorization": "Basic " + base64.b64encode(f"{SECRET}:x".encode()).decode()}),
        request(body=SECRET.encode()),
        request(url=f"https://example.co.jp/{SECRET}x"),
        request(url="https://[broken"),
        request({"X-Any": "\udcff"}),
    ],
)
def test_a_shared_secret_elsewhere_or_changed_does_not_count(delivery: Delivery) -> None:
    assert not shared(delivery).valid


@pytest.mark.parametrize(
    ("delivery", "reason"),
    [
        (request({"X-Kizashi-Secret": "other"}), "secret: "),
        (request({"Authorization": "Bearer other"}), "secret: "),
        (request(url="https://example.co.jp/hook?access_token=other"), "secret: "),
        (request(url="https://user:other@example.co.jp/hook"), "secret: "),
        (request({"Content-Type": "application/json"}), "missing header: "),
        (request({"X-Any": "other"}), "missing header: "),
    ],
)
def test_a_wrong_secret_is_not_told_as_a_missing_one(delivery: Delivery, reason: str) -> None:
    for verify in (shared_secret, hubspot.verify if reason == "secret: " else shared_secret):
        verdict = verify(delivery, [SECRET], NOW, OPTIONS)
        assert not verdict.valid
        assert verdict.reason.startswith(reason)


@pytest.mark.parametrize(
    "url", [f"https://u:{SECRET}@h.example/v1/webhooks/main", f"https://h.example/v1/webhooks/main?secret={SECRET}"]
)
def test_a_secret_in_the_configured_address_proves_nothing(url: str) -> None:
    """What a tool's address is stands in configuration, which every request would share."""
    delivery = replace(request(url=url), arrived="/v1/webhooks/main")
    assert not shared(delivery).valid
    assert shared(replace(delivery, arrived=f"/v1/webhooks/main?secret={SECRET}")).valid
    assert delivery.query == []


def test_a_whole_basic_credential_may_be_the_secret() -> None:
    header = {"Authorization": "Basic " + base64.b64encode(b"user:pass-1234").decode()}
    assert shared(request(header), "user:pass-1234").valid
    assert not shared(request(header), "other:pass-1234").valid


def hubspot_v3(url_signed: str, url: str, method: str = "POST") -> Verdict:
    stamp = str(int(NOW.timestamp() * 1000))
    mac = hmac.digest(SECRET.encode(), f"{method}{url_signed}{{}}{stamp}".encode(), "sha256")
    headers = {"X-HubSpot-Signature-v3": base64.b64encode(mac).decode(), "X-HubSpot-Request-Timestamp": stamp}
    return hubspot.verify(request(headers, url=url, method=method), [SECRET], NOW, OPTIONS)


@pytest.mark.parametrize(
    ("signed", "requested"),
    [
        ("https://h.example/a?b=:/?@!$'()*,;", "https://h.example/a?b=%3A%2F%3F%40%21%24%27%28%29%2A%2C%3B"),
        ("https://h.example/%E5%B1%B1%20x", "https://h.example/%E5%B1%B1%20x"),
        ("https://h.example/%253A", "https://h.example/%253A"),
        ("https://h.example/a?q=a%26b%3D", "https://h.example/a?q=a%26b%3D"),
    ],
)
def test_hubspot_decodes_twelve_escapes_once_and_no_others(signed: str, requested: str) -> None:
    assert hubspot_v3(signed, requested).valid


def test_hubspot_v3_covers_method_and_address() -> None:
    assert not hubspot_v3("https://h.example/a", "https://h.example/b").valid
    delivery_url = "https://h.example/a"
    stamp = str(int(NOW.timestamp() * 1000))
    mac = hmac.digest(SECRET.encode(), f"POST{delivery_url}{{}}{stamp}".encode(), "sha256")
    headers = {"X-HubSpot-Signature-v3": base64.b64encode(mac).decode(), "X-HubSpot-Request-Timestamp": stamp}
    assert not hubspot.verify(request(headers, url=delivery_url, method="PUT"), [SECRET], NOW, OPTIONS).valid


def test_hubspot_v1_is_taken_only_where_it_is_allowed() -> None:
    headers = {"X-HubSpot-Signature": hashlib.sha256(SECRET.encode() + b"{}").hexdigest()}
    for version in ({}, {"X-HubSpot-Signature-Version": "v1"}):
        delivery = request({**headers, **version})
        refused = hubspot.verify(delivery, [SECRET], NOW, OPTIONS)
        assert not refused.valid
        assert "accept_v1" in refused.reason
        assert hubspot.verify(delivery, [SECRET], NOW, replace(OPTIONS, accept_v1=True)).valid


def test_hubspot_asks_no_older_scheme_beside_a_wrong_newer_one() -> None:
    text = f"{SECRET}POST{signing.URL}{{}}".encode()
    headers = {"X-HubSpot-Signature": hashlib.sha256(text).hexdigest(), "X-HubSpot-Signature-Version": "v2"}
    assert hubspot.verify(request(headers), [SECRET], NOW, OPTIONS).valid
    downgraded = {**headers, "X-HubSpot-Signature-v3": "AAAA", "X-HubSpot-Request-Timestamp": "1795489200000"}
    assert not hubspot.verify(request(downgraded), [SECRET], NOW, OPTIONS).valid


def test_segment_vouches_for_the_first_element_of_a_batch() -> None:
    first, rest = b'{"type":"page", "x":[1,{"a":"]"}]}', b'{"type":"page"}'
    body = b" [ " + first + b" , " + rest + b"]"
    headers = {"X-Signature": hmac.new(SECRET.encode(), first, "sha1").hexdigest()}
    verdict = segment.verify(request(headers, body), [SECRET], NOW, OPTIONS)
    assert (verdict.valid, verdict.covers) == (True, 1)
    with_secret = segment.verify(
        request({**headers, "X-Token": "another-secret"}, body), [SECRET, "another-secret"], NOW, OPTIONS
    )
    assert (with_secret.valid, with_secret.covers) == (True, None)


@pytest.mark.parametrize("body", [b"[", b"[]", b"x[{}]", b"\xff[{}]", b"[" * 5_000, b"{}"])
def test_segment_finds_no_first_element_where_there_is_none(body: bytes) -> None:
    assert segment.first_element(body) is None


def test_standard_webhooks_takes_secrets_without_padding() -> None:
    key = b"0123456789abcdef0123456789abcdef01"
    padded = base64.b64encode(key).decode()
    delivery = request(signing.standard_webhooks(padded, b"{}", NOW))
    for secret in (padded, padded.rstrip("="), f"whsec_{padded}", f"whsec_{padded.rstrip('=')}"):
        assert standard_webhooks.verify(delivery, [secret], NOW, OPTIONS).valid
    for secret in ("whsec_", "whsec_!", "whpk_AAAA", "whpk_", "whsk_AAAA"):
        assert not standard_webhooks.verify(delivery, [secret], NOW, OPTIONS).valid


def test_standard_webhooks_takes_a_match_from_a_second_signature_header() -> None:
    headers = signing.standard_webhooks("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b"{}", NOW)
    pairs = [*headers.items(), ("Webhook-Signature", "v1,AAAA")]
    delivery = Delivery("POST", signing.URL, Headers(pairs), b"{}")
    assert standard_webhooks.verify(delivery, ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], NOW, OPTIONS).valid


@pytest.mark.parametrize(
    "header",
    ["", "t=1", "v1=abc", "t=1795489200,v1=", "t=1795489200,t=1795489201,v1=abc", "v1=abc,t=", "nonsense", "t=,v1="],
)
def test_mailchimp_refuses_a_malformed_header(header: str) -> None:
    verdict = mailchimp.verify(request({"X-Mailchimp-Signature": header}), [SECRET], NOW, OPTIONS)
    assert not verdict.valid


def test_mailchimp_takes_any_of_several_signatures_and_falls_back_to_a_secret_address() -> None:
    stamp = str(int(NOW.timestamp()))
    good = hmac.new(SECRET.encode(), f"{stamp}.{{}}".encode(), "sha256").hexdigest()
    rotating = {"X-Mailchimp-Signature": f"v1={'0' * 64}, t={stamp}, v1={good.upper()}"}
    assert mailchimp.verify(request(rotating), [SECRET], NOW, OPTIONS).valid
    address = f"https://h.example/v1/webhooks/mc?secret={SECRET}"
    assert mailchimp.verify(request(url=address), [SECRET], NOW, OPTIONS).valid
    assert not mailchimp.verify(
        request({"X-Mailchimp-Signature": "t=1,v1=00"}, url=address), [SECRET], NOW, OPTIONS
    ).valid


def test_mandrill_signs_the_address_with_its_credentials() -> None:
    url, body = "https://user:pass@h.example/hook", b"mandrill_events=%5B%7B%7D%5D&b=+%2B&a="
    text = f"{url}ab +mandrill_events[{{}}]".encode()
    signature = base64.b64encode(hmac.new(SECRET.encode(), text, "sha1").digest()).decode()
    headers = {"X-Mandrill-Signature": signature}
    assert mandrill.verify(request(headers, body, url), [SECRET], NOW, OPTIONS).valid
    assert not mandrill.verify(request(headers, body, "https://h.example/hook"), [SECRET], NOW, OPTIONS).valid


def test_sendgrid_asks_for_age_only_where_configured() -> None:
    headers = signing.sendgrid(signing.SENDGRID_KEY, b"[]", datetime(2026, 11, 1, tzinfo=UTC))
    delivery = request(headers, b"[]")
    assert sendgrid.verify(delivery, [signing.SENDGRID_KEY], NOW, OPTIONS).valid
    stale = sendgrid.verify(delivery, [signing.SENDGRID_KEY], NOW, replace(OPTIONS, tolerance_s=86_400.0))
    assert (stale.valid, stale.reason.partition(":")[0]) == (False, "timestamp")


def test_sendgrid_takes_a_key_as_pem_and_names_one_that_is_none() -> None:
    pem = f"-----BEGIN PUBLIC KEY-----\n{signing.SENDGRID_KEY}\n-----END PUBLIC KEY-----\n"
    delivery = request(signing.sendgrid(signing.SENDGRID_KEY, b"[]", NOW), b"[]")
    assert sendgrid.verify(delivery, [pem], NOW, OPTIONS).valid
    assert sendgrid.verify(delivery, ["no-key"], NOW, OPTIONS).reason.startswith("secret")


def test_salesforce_takes_the_organisation_as_secret_and_demands_listed_ones() -> None:
    organization = "00D5g000004XyZaEAK"
    body = f"<notifications><OrganizationId>{organization}</OrganizationId></notifications>".encode()
    assert salesforce.ADAPTER.verify(request(body=body), [organization[:15]], NOW, OPTIONS).valid
    assert not salesforce.ADAPTER.verify(request(body=body), ["00D5g000004XyZb"], NOW, OPTIONS).valid
    listed = replace(OPTIONS, organization_ids=("00D000000000001",))
    assert not salesforce.ADAPTER.verify(request({"X-Secret": SECRET}, body), [SECRET], NOW, listed).valid


def test_generic_follows_the_configured_recipe_alone() -> None:
    recipe = Recipe(
        header="X-Sig",
        signed="{method}|{header:X-Id}|{timestamp}|{body}",
        algorithm="sha512",
        encoding="base64",
        form="v2 {signature};",
        timestamp="X-Ts",
        time_format="ms",
        key="base64",
    )
    options = replace(OPTIONS, signature=recipe)
    stamp, key = str(int(NOW.timestamp() * 1000)), b"0123456789abcdef"
    mac = base64.b64encode(hmac.digest(key, f"POST|7|{stamp}|{{}}".encode(), "sha512")).decode()
    headers = {"X-Sig": f"v2 {mac};", "X-Ts": stamp, "X-Id": "7"}
    secret = base64.b64encode(key).decode()
    assert generic.verify(request(headers), [secret], NOW, options).valid
    without_id = {name: value for name, value in headers.items() if name != "X-Id"}
    assert generic.verify(request(without_id), [secret], NOW, options).reason.startswith("missing header")
    assert not generic.verify(request({**headers, "X-Sig": mac}), [secret], NOW, options).valid
    assert not generic.verify(request({"X-Secret": secret}), [secret], NOW, options).valid
