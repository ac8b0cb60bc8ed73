"""`parse_posted`, `parse_recorded`, `to_record`, and that the quick check of shapes agrees with the model."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.activity import (
    CLOCK_SKEW,
    NO_OCCURRED_AT,
    Activity,
    parse_history,
    parse_posted,
    parse_recorded,
    parse_stored,
    to_record,
)
from shared.clock import from_rfc3339
from shared.identity import Identifier
from shared.posted import (
    ActivityFaults,
    PostedActivity,
    RecordedActivity,
    is_plain,
    is_plain_record,
    validate,
)

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
FULL: dict[str, Any] = {
    "id": "a-1",
    "source": "website",
    "type": "document_downloaded",
    "occurred_at": "2026-11-20T10:15:00+09:00",
    "lead": {
        "email": "Taro.Yamada@Example.co.jp",
        "anonymous_id": " b-7 ",
        "phone": "090-1234-5678",
        "external_ids": {"hubspot": "138017", "crm": "9:1"},
    },
    "attributes": {"name": "山田 太郎", "company": "株式会社サンプル"},
    "properties": {"document": "price-list-2026", "pages": [1, 2.5, None, {"a": True}]},
    "consent": {"profiling": True, "email": None, "at": "2026-11-20T10:15:00+09:00"},
}


def parse(raw: Any) -> Activity:
    return parse_posted(raw, id_if_absent="made", source_if_absent="api", received_at=NOW, region="JP")


def faults(raw: Any) -> dict[str, str]:
    with pytest.raises(ActivityFaults) as caught:
        parse(raw)
    return {fault.pointer: fault.detail for fault in caught.value.faults}


def test_an_activity_is_normalised() -> None:
    activity = parse(FULL)
    assert activity.occurred_at == datetime(2026, 11, 20, 1, 15, tzinfo=UTC)
    assert [tuple(identifier) for identifier in activity.identifiers] == [
        ("email", "taro.yamada@example.co.jp"),
        ("external", "crm:9:1"),
        ("external", "hubspot:138017"),
        ("phone", "+819012345678"),
        ("anonymous", "b-7"),
    ]
    assert activity.consent == {"profiling": True, "at": "2026-11-20T10:15:00+09:00"}
    assert activity.flags == ()


def test_what_is_absent_is_filled() -> None:
    activity = parse({"type": "page_viewed", "lead": {"anonymous_id": "b"}})
    assert (activity.id, activity.source, activity.occurred_at) == ("made", "api", NOW)
    assert (activity.flags, activity.attributes, activity.consent) == ((NO_OCCURRED_AT,), {}, None)


def test_a_fast_clock_is_set_back_and_its_word_kept() -> None:
    ahead = {**FULL, "occurred_at": "2026-11-24T03:05:00.000001Z"}
    activity = parse(ahead)
    assert (activity.occurred_at, activity.flags) == (NOW, (CLOCK_SKEW,))
    assert activity.claimed_at == NOW + timedelta(minutes=5, microseconds=1)
    assert parse({**FULL, "occurred_at": "2026-11-24T03:05:00Z"}).flags == ()


@pytest.mark.parametrize(
    "raw",
    [
        FULL,
        {"type": "page_viewed", "lead": {"anonymous_id": "b"}},
        {"type": "card_exchanged", "lead": {"email": "info@example.co.jp"}, "attributes": {"name": "山田 太郎"}},
        {**FULL, "occurred_at": "2030-01-01T00:00:00Z"},
        {**FULL, "lead": {"phone": "03-1234-5678", "anonymous_id": "b"}},
        {**FULL, "lead": {"phone": "090-1234-5678", "email": "Taro@example.co.jp"}},
        {**FULL, "attributes": None, "properties": None, "consent": {}},
    ],
)
def test_a_record_reads_back_as_the_same_activity(raw: Any) -> None:
    activity = parse(raw)
    stored = orjson.loads(orjson.dumps(to_record(activity)))
    for read in (parse_recorded, parse_stored):
        again = read(stored)
        assert again == activity
        assert again.fingerprint() == activity.fingerprint()


@pytest.mark.parametrize("said", ["2026-11-20T10:15:00+09:00", "2026-11-20 01:15:00.1234567Z", "2026-11-20T01:15:00Z"])
def test_a_stored_record_keeps_its_instants_however_they_are_written(said: str) -> None:
    record = to_record(parse(FULL)) | {"occurred_at": said, "received_at": said, "claimed_at": said}
    stored = orjson.loads(orjson.dumps(record))
    assert parse_stored(stored) == parse_recorded(stored)
    assert parse_stored(stored).occurred_at == from_rfc3339(said)


def test_a_history_is_read_as_each_of_its_records_is() -> None:
    mailbox = {"email": "info@example.co.jp"}
    leads = [FULL["lead"], FULL["lead"], mailbox, mailbox, {**FULL["lead"], "phone": "090-1234-5678"}, FULL["lead"]]
    raws = [
        {**FULL, "id": f"a{number}", "lead": lead, "attributes": {"name": f"山田 {number}"}}
        for number, lead in enumerate(leads)
    ]
    stored = [orjson.loads(orjson.dumps(to_record(parse(raw)))) for raw in raws]
    assert parse_history(stored) == [parse_recorded(one) for one in stored]
    assert parse_history([]) == []


def test_a_very_long_name_behind_a_shared_mailbox_names_one_person_as_any() -> None:
    def named(name: str) -> Identifier:
        raw = {**FULL, "lead": {"email": "info@example.co.jp"}, "attributes": {"name": name}}
        (identifier,) = parse(raw).identifiers
        return identifier

    long = "山田" * 3_000
    assert named(long) == named(f" {long}")
    assert named(long) != named(long + "田")
    assert len(named(long).value.encode()) < 1_000
    assert named("山" * 200).value.endswith("山" * 200)


SIGNALS: dict[str, Any] = {
    "method": "HEAD",
    "network": "9c1f0b7e22d4",
    "agent": "mail-proxy",
    "since_sent_s": 3.25,
    "link": "price",
    "honeypot": False,
}


def test_signals_travel_on_the_record_alone() -> None:
    activity = parse(FULL)
    activity.signals = SIGNALS
    record = orjson.loads(orjson.dumps(to_record(activity)))
    again = parse_recorded(record)
    assert again == activity
    assert again.fingerprint() == parse(FULL).fingerprint(), "a retry from another network is no other activity"
    assert "signals" not in to_record(parse(FULL))
    assert "/signals" in faults({**FULL, "signals": SIGNALS}), "no sender may say what ingest noticed"
    assert is_plain_record({**record, "consent": None})
    later = {**record, "signals": {**SIGNALS, "speed": 7}}
    assert parse_recorded(later).signals == {**SIGNALS, "speed": 7}


@pytest.mark.parametrize(
    ("name", "value"), [("method", "PUT"), ("agent", "robot"), ("since_sent_s", "3"), ("honeypot", 1), ("network", 7)]
)
def test_a_signal_of_another_kind_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ActivityFaults, match=f"/signals/{name}"):
        parse_recorded({**to_record(parse(FULL)), "signals": {name: value}})


BAD: dict[str, tuple[Any, str]] = {
    "no object": ([], ""),
    "no type": ({"lead": {"email": "a@example.com"}}, "/type"),
    "no lead": ({"type": "page_viewed"}, "/lead"),
    "lead is a text": ({"type": "page_viewed", "lead": "a@example.com"}, "/lead"),
    "no identifier": ({"type": "page_viewed", "lead": {}}, "/lead"),
    "blank identifiers": ({"type": "page_viewed", "lead": {"email": " ", "anonymous_id": ""}}, "/lead"),
    "a desk phone alone": ({"type": "page_viewed", "lead": {"phone": "03-1234-5678"}}, "/lead"),
    "type not in form": ({**FULL, "type": "Document Downloaded"}, "/type"),
    "misspelt at the top": ({**FULL, "occured_at": "2026-11-20T10:15:00+09:00"}, "/occured_at"),
    "misspelt in lead": ({**FULL, "lead": {"emial": "a@example.com"}}, "/lead/emial"),
    "misspelt in consent": ({**FULL, "consent": {"profilling": True}}, "/consent/profilling"),
    "number for text": ({**FULL, "id": 7}, "/id"),
    "text for boolean": ({**FULL, "consent": {"email": "yes"}}, "/consent/email"),
    "array for object": ({**FULL, "properties": []}, "/properties"),
    "empty id": ({**FULL, "id": ""}, "/id"),
    "long source": ({**FULL, "source": "s" * 129}, "/source"),
    "external id a number": ({**FULL, "lead": {"external_ids": {"crm": 7}}}, "/lead/external_ids/crm"),
    "external source with colon": ({**FULL, "lead": {"external_ids": {"a:b": "7"}}}, "/lead/external_ids"),
    "no e-mail": ({**FULL, "lead": {"email": "taro"}}, "/lead/email"),
    "no phone": ({**FULL, "lead": {"phone": "12"}}, "/lead/phone"),
    "year 0": ({**FULL, "occurred_at": "0000-01-01T00:00:00Z"}, "/occurred_at"),
    "beyond the calendar": ({**FULL, "occurred_at": "9999-12-31T23:59:59-12:00"}, "/occurred_at"),
    "before 1970": ({**FULL, "occurred_at": "1969-12-31T23:59:59.999999Z"}, "/occurred_at"),
    "no offset": ({**FULL, "occurred_at": "2026-11-20T10:15:00"}, "/occurred_at"),
    "30 February": ({**FULL, "occurred_at": "2026-02-30T10:15:00Z"}, "/occurred_at"),
    "an empty instant": ({**FULL, "occurred_at": ""}, "/occurred_at"),
    "consent without offset": ({**FULL, "consent": {"at": "2026-11-20T10:15:00"}}, "/consent/at"),
}


@pytest.mark.parametrize(("raw", "pointer"), BAD.values(), ids=BAD.keys())
def test_a_fault_is_named_by_its_pointer(raw: Any, pointer: str) -> None:
    assert pointer in faults(raw)


def test_all_faults_are_named_at_once() -> None:
    raw = {**FULL, "type": "X", "occurred_at": "never", "lead": {"email": "x", "phone": "1"}}
    assert faults(raw).keys() == {"/type", "/occurred_at", "/lead/email", "/lead/phone"}


texts = st.sampled_from(["", "a", "b@example.com", "x" * 513, "x" * 300, "page_viewed"])
loose = st.one_of(st.none(), st.booleans(), st.integers(), texts, st.lists(texts, max_size=2))
consents = st.dictionaries(st.sampled_from(["profiling", "email", "phone", "at", "other"]), loose, max_size=3)
leads = st.dictionaries(
    st.sampled_from(["email", "phone", "anonymous_id", "external_ids", "name"]),
    loose | st.dictionaries(st.sampled_from(["crm", "a:b"]), loose, max_size=2),
    max_size=3,
)
signals = st.dictionaries(
    st.sampled_from(["method", "network", "agent", "since_sent_s", "link", "honeypot", "later"]),
    loose | st.sampled_from(["GET", "HEAD", "library", 3.25, float("inf")]),
    max_size=4,
)
bodies = st.fixed_dictionaries(
    {"type": st.just("page_viewed") | loose, "lead": leads | loose},
    optional={
        "id": loose,
        "source": loose,
        "occurred_at": loose,
        "attributes": st.dictionaries(texts, loose, max_size=2) | loose,
        "properties": st.dictionaries(texts, loose, max_size=2) | loose,
        "consent": consents | loose,
        "received_at": loose,
        "claimed_at": loose,
        "flags": loose,
        "signals": signals | loose,
        "other": loose,
    },
)


@given(bodies)
def test_what_looks_plain_is_valid(raw: dict[str, Any]) -> None:
    if is_plain(raw):
        model = validate(PostedActivity, raw).model_dump(exclude_unset=True)
        assert model == raw, "the strict model changes no value"
    if is_plain_record(raw):
        assert validate(RecordedActivity, raw).model_dump(exclude_unset=True) == raw


def test_what_usually_arrives_looks_plain() -> None:
    assert is_plain({**FULL, "consent": {"profiling": True}})
    assert is_plain_record(orjson.loads(orjson.dumps(to_record(parse({**FULL, "consent": None})))))
