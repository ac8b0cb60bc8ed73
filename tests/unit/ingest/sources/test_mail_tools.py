"""What is particular to single tools that send mails."""

import json
from zoneinfo import ZoneInfo

import pytest

from services.ingest.sources.base import Delivery, Headers
from services.ingest.sources.receive import read
from services.ingest.sources.registry import SOURCES
from tests.unit.ingest.sources import signing
from tests.unit.ingest.sources.reading import GENUINE, NOW, options, reading, sample_of, types


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


@pytest.mark.parametrize(
    ("channel", "status", "type_", "word"),
    [
        ("email", "unsubscribed", "email_unsubscribed", False),
        ("email", "manual", "email_unsubscribed", False),
        ("email", "bounced", "email_bounced", False),
        ("email", "contactable", "newsletter_subscribed", True),
        ("sms", "unsubscribed", "subscription_changed", None),
    ],
)
def test_mautics_mail_channel_speaks_as_other_tools(channel: str, status: str, type_: str, word: bool | None) -> None:
    told = {"contact": {"id": 901}, "channel": channel, "new_status": status, "timestamp": "2026-11-24T02:00:00Z"}
    (taken,) = reading("mautic", {"mautic.lead_channel_subscription_changed": [told]}).taken
    assert taken.activity.type == type_
    assert (taken.activity.consent or {}).get("email") is word


@pytest.mark.parametrize(
    ("told", "bounce", "word"),
    [
        ({"event": "bounce", "type": "blocked", "status": "5.7.1"}, "soft", None),
        ({"event": "blocked", "status": "5.7.1"}, "soft", None),
        ({"event": "bounce", "type": "bounce", "status": "5.1.1"}, "hard", False),
    ],
)
def test_a_block_at_sendgrid_is_no_hard_bounce(told: dict[str, str], bounce: str, word: bool | None) -> None:
    (taken,) = reading("sendgrid", {"email": "a@example.co.jp", "sg_event_id": "b", "timestamp": 1, **told}).taken
    assert taken.posted["properties"]["bounce"] == bounce
    assert taken.posted.get("consent", {}).get("email") is word


def test_klaviyos_items_are_known_without_meta_and_in_arrays() -> None:
    body = sample_of("klaviyo")
    expected = [taken.activity.id for taken in reading("klaviyo", body).taken]
    without = {"data": body["data"]}
    for told in (without, [body], [without], body["data"]):
        assert [taken.activity.id for taken in reading("klaviyo", told).taken] == expected
    flow = {"event_id": "f-1", "event": "opened_email", "email": "a@example.co.jp", "data": {"topic": "x"}}
    assert types(reading("klaviyo", [flow, body])) == ["email_opened", *types(reading("klaviyo", body))]


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


def test_klaviyo_refuses_a_header_that_names_another_webhook() -> None:
    headers = Headers([("Klaviyo-Webhook-Id", "wh2")])
    delivery = Delivery("POST", signing.URL, headers, json.dumps(sample_of("klaviyo")).encode())
    received = read(SOURCES["klaviyo"], delivery, GENUINE, now=NOW, options=options("klaviyo"))
    assert received.taken == []
    assert "another webhook" in received.refused[0].reason


def test_klaviyo_flow_sends_a_flat_record() -> None:
    told = {"event_id": "f-1", "event": "Placed Order", "email": "a@example.co.jp"}
    assert types(reading("klaviyo", told, types={"Placed Order": "order_placed"})) == ["order_placed"]


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
