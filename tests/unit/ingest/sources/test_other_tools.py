"""What is particular to single tools for visitors, forms, bookings and advertisements."""

import hmac
import json
from typing import Any

import pytest

from services.ingest.sources.base import Delivery, Headers
from services.ingest.sources.receive import read, receive
from services.ingest.sources.registry import SOURCES
from tests.unit.ingest.sources import signing
from tests.unit.ingest.sources.reading import GENUINE, NOW, SECRET, options, reading, sample_of, types


def test_calls_without_an_id_are_told_apart_by_what_they_say() -> None:
    call = {"type": "track", "userId": "u1", "event": "Form Submitted"}
    received = reading("segment", [{**call, "properties": {"form": form}} for form in ("a", "b", "a")])
    assert len({taken.activity.id for taken in received.taken}) == 2


def test_a_reschedule_is_no_second_booking() -> None:
    booked = sample_of("calendly")
    payload = booked["payload"]
    moved = {**payload, "uri": payload["uri"] + "x", "old_invitee": payload["uri"]}
    canceled = {**booked, "event": "invitee.canceled", "payload": {**payload, "rescheduled": True}}
    received = reading("calendly", [booked, canceled, {**booked, "payload": moved}])
    assert types(received) == ["meeting_booked", "meeting_rescheduled", "meeting_rescheduled"]
    assert len({taken.activity.id for taken in received.taken}) == 3


@pytest.mark.parametrize(
    ("kind", "told", "type_"),
    [
        ("invitee.canceled", {"rescheduled": False, "old_invitee": "https://x/1"}, "meeting_canceled"),
        ("invitee.canceled", {"rescheduled": "true", "old_invitee": None}, "meeting_rescheduled"),
        ("invitee.created", {"rescheduled": False, "old_invitee": "https://x/1"}, "meeting_rescheduled"),
        ("invitee.created", {"rescheduled": True, "old_invitee": None}, "meeting_booked"),
    ],
)
def test_a_booking_that_was_once_moved_can_be_called_off(kind: str, told: dict[str, Any], type_: str) -> None:
    booked = sample_of("calendly")
    assert types(reading("calendly", {**booked, "event": kind, "payload": {**booked["payload"], **told}})) == [type_]


def test_an_arrival_that_eventbrite_tells_twice_counts_once() -> None:
    address = "https://www.eventbriteapi.com/v3/events/1/attendees/{}/"
    told = [
        {"config": {"action": action}, "api_url": address.format(number)}
        for action, number in (("attendee.checked_in", 2), ("barcode.checked_in", 2), ("barcode.checked_in", 3))
    ]
    received = reading("eventbrite", told)
    assert types(received) == ["seminar_attended"] * 3
    assert len({taken.activity.id for taken in received.taken}) == 2


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


SLOW_CLOCK = {
    "type": "track",
    "userId": "u1",
    "event": "Order Completed",
    "originalTimestamp": "2026-11-23T10:00:00.000Z",
    "sentAt": "2026-11-23T10:00:10.000Z",
    "receivedAt": "2026-11-24T02:00:10.500Z",
}


@pytest.mark.parametrize("adapter", ["segment", "rudderstack"])
@pytest.mark.parametrize(
    ("told", "at"),
    [
        ({}, "2026-11-24T02:00:00.500000Z"),
        ({"timestamp": "2026-11-24T01:00:00Z"}, "2026-11-24T01:00:00.000000Z"),
        ({"sentAt": "2026-11-23T09:00:00Z"}, "2026-11-24T02:00:10.500000Z"),
        ({"sentAt": None}, "2026-11-23T10:00:00.000000Z"),
        ({"receivedAt": "soon"}, "2026-11-23T10:00:00.000000Z"),
        ({"originalTimestamp": None}, "2026-11-24T02:00:10.500000Z"),
        ({"originalTimestamp": "0001-01-01T00:00:00Z", "sentAt": "9999-12-31T00:00:00Z"}, None),
    ],
)
def test_a_clients_clock_is_put_right(adapter: str, told: dict[str, Any], at: str | None) -> None:
    received = reading(adapter, SLOW_CLOCK | told)
    assert [taken.posted["occurred_at"] for taken in received.taken] == ([at] if at else [])


@pytest.mark.parametrize("adapter", ["segment", "rudderstack"])
def test_a_batch_of_calls_is_read_call_by_call(adapter: str) -> None:
    batch = {
        "batch": [
            {"type": "identify", "messageId": "1", "userId": "u1", "traits": {"company": {"name": "株式会社サンプル"}}},
            {"type": "track", "messageId": "2", "userId": "u1", "event": "Order Completed"},
            7,
        ],
        "context": {"campaign": {"source": "mail"}},
        "sentAt": "2026-11-24T02:00:10Z",
    }
    received = reading(adapter, batch)
    assert types(received) == ["profile_updated", "order_placed"]
    assert received.taken[0].posted["attributes"] == {"company": "株式会社サンプル"}
    assert received.taken[1].posted["properties"]["utm_source"] == "mail"
    assert [refused.position for refused in received.refused] == [2]


@pytest.mark.parametrize("kind", ["webinar.started", "webinar.ended", "meeting.created", "meeting.sharing_started"])
def test_zooms_events_of_nobody_are_nothing_to_count(kind: str) -> None:
    told = {
        "event": kind,
        "event_ts": 1626230691572,
        "payload": {"account_id": "a", "object": {"id": "1", "uuid": "u"}},
    }
    received = reading("zoom", told)
    assert (received.taken, received.refused, len(received.ignored)) == ([], [], 1)


@pytest.mark.parametrize("kind", ["webinar.participant_joined", "phone.ringing"])
def test_zooms_other_events_without_a_person_are_reported(kind: str) -> None:
    told = {"event": kind, "event_ts": 1626230691572, "payload": {"object": {"id": "1", "uuid": "u"}}}
    received = reading("zoom", told)
    assert (received.taken, received.ignored, len(received.refused)) == ([], [], 1)


def test_rudderstack_nests_a_flattened_query() -> None:
    query = "type=page&messageId=1&anonymousId=x&context.page.url=https%3A%2F%2Fexample.co.jp%2F&context.page=y"
    delivery = Delivery("GET", f"https://h.example/x?{query}", Headers([]), b"")
    received = read(SOURCES["rudderstack"], delivery, GENUINE, now=NOW, options=options("rudderstack"))
    assert received.taken[0].posted["properties"]["url"] == "https://example.co.jp/"


def test_a_linkedin_lead_that_is_deleted_withdraws_all_consent() -> None:
    told = {**sample_of("linkedin"), "leadAction": "DELETED"}
    consent = reading("linkedin", told).taken[0].posted["consent"]
    assert (consent["email"], consent["profiling"]) == (False, False)
