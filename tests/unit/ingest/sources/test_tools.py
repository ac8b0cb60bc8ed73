"""What is particular to single tools."""

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest

from services.ingest.sources.base import Delivery, Headers, Options, Verdict
from services.ingest.sources.receive import Received, read, receive
from services.ingest.sources.recipes import Mapped
from services.ingest.sources.registry import SOURCES
from tests.unit.ingest.sources import signing
from tests.unit.ingest.sources.samples import SAMPLES

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
GENUINE = Verdict(True, "signature matches")
SECRET = "right-secret-0123456789"


def options(adapter: str, **changes: Any) -> Options:
    return replace(Options(adapter, adapter), **changes)


def reading(adapter: str, told: Any, content_type: str = "application/json", **changes: Any) -> Received:
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    delivery = Delivery("POST", signing.URL, Headers([("Content-Type", content_type)]), body)
    return read(SOURCES[adapter], delivery, GENUINE, now=NOW, options=options(adapter, **changes))


def types(received: Received) -> list[str]:
    return [taken.activity.type for taken in received.taken]


def sample_of(adapter: str) -> Any:
    return next(sample.told["body"] for sample in SAMPLES if sample.adapter == adapter)


def asked(adapter: str, url: str, method: str = "GET", verify_token: str | None = None) -> Received:
    known = options(adapter, verify_token=verify_token)
    return receive(SOURCES[adapter], Delivery(method, url, Headers([]), b""), [SECRET], now=NOW, options=known)


class TestHandshakes:
    def test_mailchimp_asks_for_the_address_without_a_secret(self) -> None:
        reply = asked("mailchimp", signing.URL).reply
        assert reply is not None
        assert reply.status == 200

    def test_mandrill_asks_by_head_and_by_an_empty_list_under_its_test_key(self) -> None:
        assert asked("mandrill", signing.URL, "HEAD").reply is not None
        for body, answered in ((b"mandrill_events=%5B%5D", True), (b"mandrill_events=%5B%7B%7D%5D", False)):
            delivery = signing.delivered("mandrill", "test-webhook", body, "application/x-www-form-urlencoded", NOW)
            received = receive(SOURCES["mandrill"], delivery, [SECRET], now=NOW, options=options("mandrill"))
            assert (received.reply is not None) is answered
            assert received.verdict.valid is answered

    def test_meta_returns_the_challenge_to_whoever_knows_the_token(self) -> None:
        url = "https://h.example/x?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token="
        good = asked("meta", url + "token-1", verify_token="token-1").reply
        assert good is not None
        assert (good.status, good.body) == (200, b"1158201444")
        for token, known in (("token-2", "token-1"), (SECRET, "token-1"), ("", None)):
            refused = asked("meta", url + token, verify_token=known)
            assert refused.reply is not None
            assert refused.reply.status == 403
            assert not refused.verdict.valid
        assert asked("meta", url + SECRET).verdict.valid

    def test_linkedin_gets_the_proof_of_a_code_and_of_no_signable_text(self) -> None:
        code = "890e4665-4dfe-4ab1-b689-ed553bceeed0"
        reply = asked("linkedin", f"https://h.example/x?challengeCode={code}&applicationId=1").reply
        assert reply is not None
        proof = hmac.new(SECRET.encode(), code.encode(), hashlib.sha256).hexdigest()
        assert json.loads(reply.body) == {"challengeCode": code, "challengeResponse": proof}
        for forged in ("hmacsha256%3D%7B%7D", "", "hmacsha256%3D1"):
            refused = asked("linkedin", f"https://h.example/x?challengeCode={forged}").reply
            assert refused is not None
            assert refused.status == 400

    def test_zoom_gets_the_proof_only_under_its_own_signature_and_for_no_signable_text(self) -> None:
        for token, secret, answered in (
            ("qgg8vlvZRS6UYooatFL8Aw", SECRET, True),
            ("qgg8vlvZRS6UYooatFL8Aw", "other-secret", False),
            ("v0:1795489200:{}", SECRET, False),
        ):
            body = json.dumps({"event": "endpoint.url_validation", "payload": {"plainToken": token}}).encode()
            delivery = signing.delivered("zoom", secret, body, "application/json", NOW)
            received = receive(SOURCES["zoom"], delivery, ["old", SECRET], now=NOW, options=options("zoom"))
            assert (received.reply is not None) is answered
            if received.reply is not None:
                proof = hmac.new(SECRET.encode(), token.encode(), hashlib.sha256).hexdigest()
                assert json.loads(received.reply.body) == {"plainToken": token, "encryptedToken": proof}


class TestTestDeliveries:
    @pytest.mark.parametrize(
        ("adapter", "told"),
        [
            ("google-ads", {**sample_of("google-ads"), "is_test": True}),
            (
                "eventbrite",
                {"config": {"action": "test"}, "api_url": "https://www.eventbriteapi.com/{api-endpoint-to-fetch}/"},
            ),
            ("marketo", {"lead_id": 1, "activity": "Visits Web Page", "is_test": "true"}),
            ("generic", {"email": "a@example.co.jp", "activity": "quote_requested", "test": 1}),
        ],
    )
    def test_are_taken_and_published_nowhere(self, adapter: str, told: Any) -> None:
        received = reading(adapter, told)
        assert received.taken == []
        assert received.refused == []
        assert len(received.ignored) == 1


@pytest.mark.parametrize("adapter", ["marketo", "generic", "rudderstack"])
def test_a_secret_in_the_address_stays_out_of_the_activity(adapter: str) -> None:
    told = {"hook": SECRET, "email": "a@example.co.jp", "activity": "quote_requested", "type": "track", "userId": "u1"}
    received = asked(adapter, f"https://h.example/x?{urlencode(told)}")
    assert received.verdict.valid
    assert len(received.taken) == 1
    assert SECRET not in json.dumps(received.taken[0].posted)
    assert "a@example.co.jp" in json.dumps(received.taken[0].posted)
    del told["hook"]
    assert not asked(adapter, f"https://h.example/x?{urlencode(told)}").verdict.valid


def test_a_change_of_several_channels_at_mautic_is_several_events() -> None:
    told = {
        "contact": {"id": 901, "fields": {"core": {}}},
        "new_status": "unsubscribed",
        "timestamp": "2026-11-24T02:00:00Z",
    }
    changed = [{**told, "channel": channel} for channel in ("sms", "email")]
    received = reading("mautic", {"mautic.lead_channel_subscription_changed": [*changed, changed[0]]})
    assert len({taken.activity.id for taken in received.taken}) == 2
    assert {"email": False} in [
        {purpose: word for purpose, word in (taken.activity.consent or {}).items() if purpose == "email"}
        for taken in received.taken
    ]


MAIL = {"type": "email", "email": "{}", "field": {"ref": "mail", "type": "email"}}
NAMELESS = {
    "google-ads": {"google_key": SECRET, "user_column_data": [{"column_id": "EMAIL", "string_value": "{}"}]},
    "typeform": {"event_type": "form_response", "form_response": {"answers": [MAIL]}},
    "klaviyo": {
        "meta": {},
        "data": [
            {"topic": "event:klaviyo.submitted_form", "payload": {"attributes": {"event_properties": {"email": "{}"}}}}
        ],
    },
}


@pytest.mark.parametrize(("adapter", "told"), NAMELESS.items(), ids=NAMELESS)
def test_events_that_nothing_names_are_one_for_each_person(adapter: str, told: Any) -> None:
    ids = []
    for email in ("a@example.co.jp", "b@example.co.jp", "a@example.co.jp"):
        received = reading(adapter, json.dumps(told).replace('"{}"', f'"{email}"').encode())
        ids += [taken.activity.id for taken in received.taken]
    assert len(ids) == 3
    assert len(set(ids)) == 2


def test_calls_without_an_id_are_told_apart_by_what_they_say() -> None:
    call = {"type": "track", "userId": "u1", "event": "Form Submitted"}
    received = reading("segment", [{**call, "properties": {"form": form}} for form in ("a", "b", "a")])
    assert len({taken.activity.id for taken in received.taken}) == 2


@pytest.mark.parametrize(
    ("said", "type_", "word"),
    [
        ({"SuppressSending": True}, "email_unsubscribed", False),
        ({"SuppressSending": False}, "newsletter_subscribed", True),
        ({}, "email_unsubscribed", False),
    ],
)
def test_postmark_must_say_that_sending_goes_on(said: dict[str, bool], type_: str, word: bool) -> None:
    told = {"RecordType": "SubscriptionChange", "Recipient": "a@example.co.jp", "ChangedAt": "2026-11-24T02:00:00Z"}
    (taken,) = reading("postmark", told | said).taken
    assert taken.activity.type == type_
    assert (taken.activity.consent or {}).get("email") is word


def test_a_reschedule_is_no_second_booking() -> None:
    booked = sample_of("calendly")
    payload = booked["payload"]
    moved = {**payload, "uri": payload["uri"] + "x", "old_invitee": payload["uri"]}
    canceled = {**booked, "event": "invitee.canceled", "payload": {**payload, "rescheduled": True}}
    received = reading("calendly", [booked, canceled, {**booked, "payload": moved}])
    assert types(received) == ["meeting_booked", "meeting_rescheduled", "meeting_rescheduled"]
    assert len({taken.activity.id for taken in received.taken}) == 3


def test_a_calendly_no_show_finds_its_lead_by_the_invitee() -> None:
    told = {
        "event": "invitee_no_show.created",
        "created_at": "2024-01-20T02:00:00Z",
        "payload": {
            "uri": "https://api.calendly.com/invitee_no_shows/1",
            "invitee": "https://api.calendly.com/e/invitees/inv456",
        },
    }
    received = reading("calendly", told)
    assert types(received) == ["meeting_missed"]
    assert received.taken[0].posted["lead"] == {"external_ids": {"calendly": "inv456"}}


@pytest.mark.parametrize(
    "address",
    [
        "http://www.eventbriteapi.com/v3/events/1/attendees/2/",
        "https://www.eventbriteapi.com.evil.example/v3/events/1/attendees/2/",
        "https://www.eventbriteapi.com@evil.example/v3/events/1/attendees/2/",
        "https://user@www.eventbriteapi.com/v3/events/1/attendees/2/",
        "https://www.eventbriteapi.com:8443/v3/events/1/attendees/2/",
        "https://www.eventbriteapi.com/v3/events/1/attendees/2/?x=1",
        "https://www.eventbriteapi.com:x/",
        "https://[",
        "file:///etc/passwd",
        "",
    ],
)
def test_eventbrite_believes_no_address_but_its_own(address: str) -> None:
    received = reading("eventbrite", {"config": {"action": "attendee.checked_in"}, "api_url": address})
    assert received.taken == []
    assert "api_url" in received.refused[0].reason


def test_hubspot_workflow_sends_a_whole_contact() -> None:
    told = {
        "vid": 42,
        "properties": {
            "email": {"value": "taro.yamada@example.co.jp", "versions": [{"value": "old@example.co.jp"}]},
            "jobtitle": {"value": "課長"},
            "lastmodifieddate": {"value": "1752613920733"},
            "custom": {"value": "x"},
        },
    }
    received = reading("hubspot", told, activity="document_requested")
    posted = received.taken[0].posted
    assert (posted["type"], posted["occurred_at"]) == ("document_requested", "2025-07-15T21:12:00.733000Z")
    assert posted["lead"] == {"email": "taro.yamada@example.co.jp", "external_ids": {"hubspot": "42"}}
    assert posted["attributes"] == {"job_title": "課長"}
    flat = {"id": "42", "properties": {"email": "taro.yamada@example.co.jp", "hs_email_optout": "true"}}
    assert reading("hubspot", flat).taken[0].posted["consent"]["email"] is False


def test_hubspot_reports_what_is_about_no_contact() -> None:
    told = [
        {"subscriptionType": kind, "objectId": 1, "objectTypeId": "0-2"}
        for kind in ("deal.creation", "object.creation")
    ]
    received = reading("hubspot", told)
    assert [item.position for item in received.refused] == [0, 1]


def test_marketo_takes_a_form_where_the_template_breaks_json() -> None:
    form = urlencode({"lead_id": "42", "activity": "Opens Email", "at": "2026-10-07 15:59:07"}).encode()
    for content_type in ("application/x-www-form-urlencoded", "application/json"):
        assert types(reading("marketo", form, content_type)) == ["email_opened"]
    broken = reading("marketo", b'{"lead_id":42,"email":,"activity":"Opens Email"}')
    assert "broken JSON" in broken.refused[0].reason


def test_marketo_events_without_time_differ_by_what_they_are_about() -> None:
    base = {"lead_id": 42, "activity": "Visits Web Page"}
    received = reading("marketo", [{**base, "detail": "/a"}, {**base, "detail": "/b"}])
    assert len({taken.activity.id for taken in received.taken}) == 2


def test_shift_jis_forms_are_read() -> None:
    body = b"prospect_id=7&company=" + "".join(f"%{byte:02X}" for byte in "株式会社".encode("cp932")).encode()
    received = reading("account-engagement", body, "application/x-www-form-urlencoded; charset=Shift_JIS")
    assert received.taken[0].posted["attributes"] == {"company": "株式会社"}


def test_account_engagement_takes_our_own_activities_under_the_sources_name() -> None:
    own = {"id": "a-1", "source": "elsewhere", "type": "demo_requested", "lead": {"email": "a@example.co.jp"}}
    activity = reading("account-engagement", own, source="pardot").taken[0].activity
    assert (activity.source, activity.id, activity.type) == ("pardot", "a-1", "demo_requested")
    misspelt = reading("account-engagement", {**own, "occured_at": "2026-11-20T10:15:00+09:00"})
    assert "/occured_at" in misspelt.refused[0].reason


def test_salesforce_refuses_a_document_type() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><notifications>&b;</notifications>'
    assert "document type" in reading("salesforce", bomb, "text/xml").refused[0].reason


def test_klaviyo_refuses_a_header_that_names_another_webhook() -> None:
    headers = Headers([("Klaviyo-Webhook-Id", "wh2")])
    delivery = Delivery("POST", signing.URL, headers, json.dumps(sample_of("klaviyo")).encode())
    received = read(SOURCES["klaviyo"], delivery, GENUINE, now=NOW, options=options("klaviyo"))
    assert received.taken == []
    assert "another webhook" in received.refused[0].reason


def test_klaviyo_flow_sends_a_flat_record() -> None:
    told = {"event_id": "f-1", "event": "Placed Order", "email": "a@example.co.jp"}
    assert types(reading("klaviyo", told, types={"Placed Order": "order_placed"})) == ["order_placed"]


def test_segment_takes_only_what_the_signature_covers() -> None:
    items = [sample_of("segment"), {**sample_of("segment"), "messageId": "m-2"}]
    body = json.dumps(items).encode()
    first = json.dumps(items[0]).encode()
    headers = Headers([("X-Signature", hmac.new(SECRET.encode(), first, "sha1").hexdigest())])
    received = receive(
        SOURCES["segment"], Delivery("POST", signing.URL, headers, body), [SECRET], now=NOW, options=options("segment")
    )
    assert len(received.taken) == 1
    assert received.refused[0].reason == "not covered by the signature"


def test_segment_calls() -> None:
    calls = [
        {
            "type": "identify",
            "messageId": "1",
            "userId": "u",
            "traits": {"email": "a@example.co.jp", "firstName": "Taro"},
        },
        {"type": "page", "messageId": "2", "anonymousId": "x", "properties": {"url": "https://example.co.jp/"}},
        {
            "type": "group",
            "messageId": "3",
            "userId": "u",
            "traits": {"name": "株式会社サンプル", "industry": "製造業"},
        },
        {"type": "track", "messageId": "4", "userId": "b@example.co.jp", "event": "Pondered"},
    ]
    received = reading("segment", calls)
    assert types(received) == ["profile_updated", "page_viewed", "profile_updated", "unknown"]
    assert received.taken[0].posted["attributes"] == {"first_name": "Taro"}
    assert received.taken[2].posted["attributes"] == {"company": "株式会社サンプル", "industry": "製造業"}
    assert received.taken[3].posted["lead"] == {"email": "b@example.co.jp"}


def test_rudderstack_nests_a_flattened_query() -> None:
    query = "type=page&messageId=1&anonymousId=x&context.page.url=https%3A%2F%2Fexample.co.jp%2F&context.page=y"
    delivery = Delivery("GET", f"https://h.example/x?{query}", Headers([]), b"")
    received = read(SOURCES["rudderstack"], delivery, GENUINE, now=NOW, options=options("rudderstack"))
    assert received.taken[0].posted["properties"]["url"] == "https://example.co.jp/"


def test_brevo_without_epoch_reads_the_date_in_the_configured_zone() -> None:
    told = {key: value for key, value in sample_of("brevo")[0].items() if key != "ts_epoch"}
    received = reading("brevo", told, zone=ZoneInfo("Asia/Tokyo"))
    assert received.taken[0].posted["occurred_at"] == "2018-03-06T02:10:23.000000Z"


def test_brevo_joins_several_addresses_to_a_list_at_once() -> None:
    told = {"event": "list_addition", "email": ["a@example.co.jp", "b@example.co.jp"], "list_id": [5], "ts": 1520331023}
    received = reading("brevo", told)
    assert types(received) == ["newsletter_subscribed", "newsletter_subscribed"]
    assert len({taken.activity.id for taken in received.taken}) == 2
    assert received.taken[0].posted["properties"]["list_ids"] == ["5"]


def test_a_linkedin_lead_that_is_deleted_withdraws_all_consent() -> None:
    told = {**sample_of("linkedin"), "leadAction": "DELETED"}
    consent = reading("linkedin", told).taken[0].posted["consent"]
    assert (consent["email"], consent["profiling"]) == (False, False)


def test_an_address_that_cannot_be_read_costs_no_activity_that_has_another_name() -> None:
    told = {"lead_id": 42, "email": "no address", "phone": "?", "activity": "Opens Email"}
    assert reading("marketo", told).taken[0].posted["lead"] == {"external_ids": {"marketo": "42"}}
    alone = reading("marketo", {"email": "no address", "activity": "Opens Email"})
    assert alone.refused[0].reason.startswith("/lead/email")


def test_a_kind_can_be_renamed_and_switched_off() -> None:
    told = [
        {"email": "a@example.co.jp", "event": kind, "sg_event_id": kind, "timestamp": 1}
        for kind in ("processed", "open")
    ]
    received = reading("sendgrid", told, types={"processed": "ignore", "open": "mail_seen"})
    assert types(received) == ["mail_seen"]
    assert "switched off" in received.ignored[0].reason


def test_a_large_or_deep_item_is_taken_without_its_raw_form() -> None:
    deep: Any = 1
    for _ in range(28):
        deep = {"a": deep}
    for extra in ("x" * 20_000, deep):
        told = {"email": "a@example.co.jp", "event": "open", "sg_event_id": "o", "timestamp": 1, "extra": extra}
        properties = reading("sendgrid", told).taken[0].posted["properties"]
        assert properties["raw_omitted"] is True
        assert "raw" not in properties


def test_generic_reads_any_shape_by_its_mapping() -> None:
    mapping = Mapped(
        items="data.events",
        type="kind",
        id=("no", "who.mail"),
        time="when",
        time_format="%d.%m.%Y %H:%M",
        test="probe",
        fields={
            "who.mail": "lead.email",
            "who.crm": "lead.external_ids.crm",
            "firm": "attributes.company",
            "n": "properties.n",
            "ok": "consent.email",
            "who.cookie": "lead.anonymous_id",
        },
    )
    event = {
        "kind": "buy",
        "no": 7,
        "when": "07.10.2026 15:59",
        "firm": "株式会社",
        "n": 0,
        "ok": "no",
        "who": {"mail": "a@example.co.jp", "crm": 5, "cookie": "c"},
    }
    told = {"data": {"events": [event, {**event, "probe": True}, {**event, "when": "soon"}]}}
    received = reading("generic", told, mapping=mapping, types={"buy": "order_placed"}, zone=ZoneInfo("Asia/Tokyo"))
    assert (len(received.taken), len(received.ignored), len(received.refused)) == (1, 1, 1)
    posted = received.taken[0].posted
    assert (posted["type"], posted["occurred_at"]) == ("order_placed", "2026-10-07T06:59:00.000000Z")
    assert posted["lead"] == {"email": "a@example.co.jp", "anonymous_id": "c", "external_ids": {"crm": "5"}}
    assert posted["attributes"] == {"company": "株式会社"}
    assert posted["properties"]["n"] == 0
    assert posted["consent"] == {"at": "2026-10-07T06:59:00.000000Z", "email": False}
    assert reading("generic", {"data": {}}, mapping=mapping).refused[0].reason == "nothing stands at data.events"
