"""What holds for several tools, and for any shape by a mapping."""

import base64
import json
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest

from services.ingest.sources.base import Delivery, Headers
from services.ingest.sources.receive import Received, read
from services.ingest.sources.recipes import Mapped
from services.ingest.sources.registry import SOURCES
from tests.unit.ingest.sources import signing
from tests.unit.ingest.sources.reading import GENUINE, NOW, SECRET, asked, options, reading, sample_of, types


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


def test_a_soft_bounce_by_mapping_takes_no_consent_away() -> None:
    mapping = Mapped(type="kind", fields={"mail": "lead.email", "how": "properties.bounce"})
    bounced = {"kind": "bounced", "mail": "a@example.co.jp"}
    told = [{**bounced, "how": "soft"}, {**bounced, "bounceType": "Soft"}, {**bounced, "how": "hard"}]
    received = reading("generic", told, mapping=mapping, types={"bounced": "email_bounced"})
    assert [taken.posted.get("consent", {}).get("email") for taken in received.taken] == [None, None, False]


@pytest.mark.parametrize("adapter", ["mautic", "meta", "klaviyo"])
def test_an_array_of_bodies_is_read_body_by_body(adapter: str) -> None:
    said = sample_of(adapter)
    body = json.loads(said) if isinstance(said, str) else said
    alone = [taken.activity.id for taken in reading(adapter, body).taken]
    received = reading(adapter, [body, 7, body])
    assert alone
    assert [taken.activity.id for taken in received.taken] == alone * 2
    assert len(received.refused) == 1


@pytest.mark.parametrize(
    ("said", "at"),
    [
        (1_795_485_600, "2026-11-24T02:00:00.000000Z"),
        ("1795485600123", "2026-11-24T02:00:00.123000Z"),
        (1_795_485_600_123_456, "2026-11-24T02:00:00.123456Z"),
        ("1795485600123456", "2026-11-24T02:00:00.123456Z"),
        (1_795_485_600.25, "2026-11-24T02:00:00.250000Z"),
    ],
)
@pytest.mark.parametrize("adapter", ["generic", "marketo", "standard-webhooks"])
def test_the_unit_of_an_instant_is_told_by_its_size(adapter: str, said: Any, at: str) -> None:
    told = {"email": "a@example.co.jp", "activity": "quote_requested", "at": said}
    assert reading(adapter, told).taken[0].posted["occurred_at"] == at


MOBILE, LANDLINE = "090-1234-5678", "03-1234-5678"
COLUMNS = [
    {"column_id": name, "string_value": said} for name, said in (("PHONE_NUMBER", MOBILE), ("WORK_PHONE", LANDLINE))
]
NUMBERS = {
    "google-ads": {"google_key": SECRET, "lead_id": "1", "user_column_data": COLUMNS},
    "hubspot": {"id": "1", "properties": {"phone": LANDLINE, "mobilephone": MOBILE}},
    "marketo": {"lead_id": 1, "activity": "Opens Email", "Phone Number": LANDLINE, "Mobile Phone Number": MOBILE},
    "typeform": {
        "event_id": "1",
        "event_type": "form_response",
        "form_response": {
            "token": "t",
            "answers": [
                {"type": "phone_number", "phone_number": said, "field": {"ref": said}} for said in (LANDLINE, MOBILE)
            ],
        },
    },
}


@pytest.mark.parametrize(("adapter", "told"), NUMBERS.items(), ids=NUMBERS)
def test_a_landline_hides_no_mobile(adapter: str, told: Any) -> None:
    assert reading(adapter, told).taken[0].posted["lead"]["phone"] == MOBILE
    without = json.dumps(told).replace(MOBILE, "03-9999-5678").encode()
    assert reading(adapter, without).taken[0].posted["lead"]["phone"] in {LANDLINE, "03-9999-5678"}


def test_which_number_is_a_mobile_depends_on_the_region() -> None:
    told = {"lead_id": 1, "activity": "Opens Email", "phone": "030 1234567", "mobile": "0171 1234567"}
    assert reading("marketo", told, region="DE").taken[0].posted["lead"]["phone"] == "0171 1234567"


EVENT = {
    "specversion": "1.0",
    "id": "ce-1",
    "source": "/shop",
    "type": "com.example.order",
    "time": "2026-11-24T02:00:00Z",
    "data": {"email": "a@example.co.jp", "plan": "A"},
}
STRUCTURED, BATCHED = "application/cloudevents+json", "application/cloudevents-batch+json"
AS_ORDERS = {"com.example.order": "order_placed"}


def _in_headers(event: dict[str, Any], **changes: str) -> Delivery:
    lines = {f"Ce-{name}": said for name, said in event.items() if name != "data"} | changes
    headers = Headers([("Content-Type", "application/json"), *lines.items()])
    return Delivery("POST", signing.URL, headers, json.dumps(event["data"]).encode())


def _read(delivery: Delivery, **changes: Any) -> Received:
    return read(SOURCES["generic"], delivery, GENUINE, now=NOW, options=options("generic", **changes))


class TestCloudEvents:
    def _all(self, event: dict[str, Any], **changes: Any) -> list[Any]:
        """As read in each of the three modes."""
        changes = {"types": AS_ORDERS, **changes}
        modes = [
            reading("generic", event, f"{STRUCTURED.upper()}; charset=utf-8", **changes),
            reading("generic", [event], BATCHED, **changes),
            _read(_in_headers(event), **changes),
        ]
        return [received.taken[0].posted for received in modes if not received.refused]

    def test_a_foreign_event_is_read_by_names_in_every_mode(self) -> None:
        found = self._all(EVENT)
        assert len(found) == 3
        for posted in found:
            assert (posted["type"], posted["id"], posted["occurred_at"]) == (
                "order_placed", "ce-1", "2026-11-24T02:00:00.000000Z",
            )  # fmt: skip
            assert posted["lead"] == {"email": "a@example.co.jp"}
            assert (posted["properties"]["plan"], posted["properties"]["kind"]) == ("A", "com.example.order")
            assert posted["properties"]["raw"] == EVENT["data"]

    def test_a_foreign_events_own_time_stays(self) -> None:
        event = {**EVENT, "data": {**EVENT["data"], "timestamp": "2026-11-23T00:00:00Z"}}  # type: ignore[dict-item]
        assert {posted["occurred_at"] for posted in self._all(event)} == {"2026-11-23T00:00:00.000000Z"}

    def test_a_foreign_event_is_read_by_the_mapping(self) -> None:
        mapping = Mapped(fields={"who.mail": "lead.email"})
        found = self._all({**EVENT, "data": {"who": {"mail": "a@example.co.jp"}}}, mapping=mapping)
        assert len(found) == 3
        assert {(one["type"], one["id"], one["occurred_at"], one["lead"]["email"]) for one in found} == {
            ("order_placed", "ce-1", "2026-11-24T02:00:00.000000Z", "a@example.co.jp")
        }
        several = Mapped(items="rows", time="at", id=("no",), fields={"mail": "lead.email"})
        rows = [{"mail": "a@example.co.jp", "at": 1_795_000_000}, {"mail": "b@example.co.jp", "no": 7}]
        received = reading("generic", {**EVENT, "data": {"rows": rows}}, STRUCTURED, mapping=several, types=AS_ORDERS)
        assert [taken.activity.id for taken in received.taken] == ["ce-1:0", "7"]

    @pytest.mark.parametrize("mapping", [None, Mapped(type="kind", fields={"x": "lead.email"})])
    def test_one_of_ours_is_taken_as_it_is(self, mapping: Mapped | None) -> None:
        data = {"type": "demo_requested", "lead": {"email": "a@example.co.jp"}, "properties": {"x": 1}}
        found = self._all({**EVENT, "type": "lead.activity.v1", "data": data}, mapping=mapping)
        assert len(found) == 3
        for posted in found:
            assert (posted["type"], posted["id"], posted["source"]) == ("demo_requested", "ce-1", "generic")
            assert (posted["occurred_at"], posted["properties"]) == ("2026-11-24T02:00:00Z", {"x": 1})

    def test_names_and_data_are_decoded(self) -> None:
        delivery = _in_headers(EVENT, **{"Ce-type": '"com.example.%E6%B3%A8%E6%96%87"'})
        assert _read(delivery).taken[0].posted["properties"]["kind"] == "com.example.注文"
        packed = base64.b64encode(json.dumps(EVENT["data"]).encode()).decode()
        event = {**{name: said for name, said in EVENT.items() if name != "data"}, "data_base64": packed}
        assert reading("generic", event, STRUCTURED).taken[0].posted["lead"] == {"email": "a@example.co.jp"}

    def test_a_bad_event_costs_no_other(self) -> None:
        batch = [EVENT, {**EVENT, "id": ""}, 7, {**EVENT, "specversion": "0.3"}, {**EVENT, "type": None}]
        for mapping in (None, Mapped(fields={"email": "lead.email"})):
            received = reading("generic", batch, BATCHED, mapping=mapping)
            assert len(received.taken) == 1
            assert [refused.position for refused in received.refused] == [1, 2, 3, 4]
        assert reading("generic", b"[]", BATCHED).refused == []

    @pytest.mark.parametrize("changes", [{"Ce-id": ""}, {"Ce-source": "%C0%A0"}, {"Ce-specversion": "2"}])
    def test_headers_that_are_none_are_reported(self, changes: dict[str, str]) -> None:
        received = _read(_in_headers(EVENT, **changes))
        assert (received.taken, len(received.refused)) == ([], 1)


OWN_AFFAIR = {"type": "spring", "activity": "mail", "at": "later", "date": "2020-01-01", "test": True, "id": 7}


def test_the_envelope_says_what_happened_and_when() -> None:
    data = {**OWN_AFFAIR, "email": "a@example.co.jp"}
    told = {"type": "order.placed", "timestamp": "2026-11-24T02:00:00.5Z", "data": data}
    posted = reading("standard-webhooks", told).taken[0].posted
    assert (posted["type"], posted["occurred_at"]) == ("order_placed", "2026-11-24T02:00:00.500000Z")
    assert {**posted["properties"], **OWN_AFFAIR} == posted["properties"]
    assert posted["properties"]["kind"] == "order.placed"


def test_what_a_record_calls_a_test_is_a_property_unless_it_is_called_is_test() -> None:
    told = {"email": "a@example.co.jp", "activity": "quote_requested"}
    for adapter in ("generic", "marketo", "account-engagement", "standard-webhooks"):
        (taken,) = reading(adapter, {**told, "test": True}).taken
        assert taken.posted["properties"]["test"] is True
        assert reading(adapter, {**told, "is_test": True}).ignored


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


def test_addresses_of_people_stay_out_of_the_raw_item() -> None:
    told = {
        "email": "a@example.co.jp", "event": "open", "sg_event_id": "o", "timestamp": 1, "ip": "203.0.113.7",
        "zip": "100-0001", "more": [{"ipAddress": {"ip": "203.0.113.7"}, "client_ip": "203.0.113.7", "tip": 1}],
        "contact[ip]": "203.0.113.7", "context.ip": "203.0.113.7",
    }  # fmt: skip
    properties = reading("sendgrid", told).taken[0].posted["properties"]
    assert properties["ip_network"] == "203.0.113.0/24"
    assert "203.0.113.7" not in json.dumps(properties)
    assert (properties["raw"]["zip"], properties["raw"]["more"]) == ("100-0001", [{"tip": 1}])
