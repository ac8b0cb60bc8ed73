"""What is asked about each tool's activities, and what its answers say about the person."""

from datetime import UTC, datetime
from typing import Any

import pytest

from services.ingest.sources.base import Ignored, Options, Posted, Unreadable
from services.ingest.sources.config import read_webhooks
from services.ingest.sources.fetchers import FETCHERS
from services.ingest.sources.fetching import FETCHED, FetchOptions, Question
from services.ingest.sources.receive import Taken, normalised, receive
from services.ingest.sources.registry import SOURCES
from shared.activity import to_record
from tests.unit.ingest.sources.samples import SAMPLES
from tests.unit.ingest.sources.signing import delivered

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
TOKEN = "token-of-the-api"

# What each API answers about the first activity of the tool's sample.
ANSWERS: dict[str, dict[str, Any]] = {
    "hubspot": {
        "id": "138017612137",
        "properties": {
            "email": "taro.yamada@example.co.jp",
            "firstname": "太郎",
            "lastname": "山田",
            "company": "株式会社サンプル",
            "jobtitle": "営業部 部長",
            "industry": None,
            "hs_email_optout": None,
            "lastmodifieddate": "2026-11-20T01:15:00.123Z",
        },
        "createdAt": "2026-01-01T00:00:00Z",
        "updatedAt": "2026-11-20T01:15:00.123Z",
        "archived": False,
    },
    "meta": {
        "id": "444444444444",
        "created_time": "2015-08-21T01:26:24+0000",
        "form_id": "555",
        "field_data": [
            {"name": "email", "values": ["taro.yamada@example.co.jp"]},
            {"name": "full_name", "values": ["山田 太郎"]},
            {"name": "company_name", "values": ["株式会社サンプル"]},
            {"name": "いつ頃の導入をお考えですか", "values": ["三か月以内"]},
        ],
    },
    "linkedin": {
        "id": "4dcb1a",
        "submittedAt": 1696969696969,
        "testLead": False,
        "formResponse": {
            "answers": [
                {"questionId": 1, "answerDetails": {"textQuestionAnswer": {"answer": "taro@private.example"}}},
                {"questionId": 2, "answerDetails": {"textQuestionAnswer": {"answer": "taro.yamada@example.co.jp"}}},
                {"questionId": 3, "answerDetails": {"textQuestionAnswer": {"answer": "株式会社サンプル"}}},
                {"questionId": 4, "answerDetails": {"multipleChoiceAnswer": {"options": [1, 3]}}},
                {"questionId": 5, "answerDetails": {}},
            ],
            "consentResponses": [{"accepted": True, "consentId": 1}],
        },
        "form": {
            "id": 7234246,
            "name": "Autumn",
            "content": {
                "questions": [
                    {"questionId": 1, "name": "Email address", "predefinedField": "EMAIL"},
                    {"questionId": 2, "name": "Work email", "predefinedField": "WORK_EMAIL"},
                    {"questionId": 3, "name": "Company name", "predefinedField": "COMPANY_NAME"},
                    {"questionId": 4, "name": "Interests"},
                ]
            },
        },
    },
    "eventbrite": {
        "id": "2",
        "event_id": "1",
        "order_id": "9",
        "created": "2026-11-01T00:00:00Z",
        "changed": "2026-11-20T01:15:00Z",
        "status": "Attending",
        "profile": {
            "name": "山田 太郎",
            "email": "taro.yamada@example.co.jp",
            "company": "株式会社サンプル",
            "job_title": "Info Requested",
            "cell_phone": "090-1234-5678",
        },
        "answers": [{"question": "ご質問", "answer": "価格について", "type": "text"}],
    },
}
URLS = {
    "hubspot": "https://api.hubapi.com/crm/v3/objects/contacts/138017612137?properties=email,",
    "meta": "https://graph.facebook.com/v24.0/444444444444?fields=",
    "linkedin": "https://api.linkedin.com/rest/leadFormResponses/4dcb1a?fields=",
    "eventbrite": "https://www.eventbriteapi.com/v3/events/1/attendees/2/",
}
every = pytest.mark.parametrize("adapter", FETCHERS)


def options(adapter: str) -> Options:
    return Options("main", adapter)


def access(adapter: str) -> FetchOptions:
    sources, faults = read_webhooks(
        {"main": {"adapter": adapter, "secrets": ["x"], "fetch": {"token": "${API_TOKEN}"}}}, {"API_TOKEN": TOKEN}
    )
    assert faults == []
    found = sources["main"].fetch
    assert found is not None
    return found


def recorded(adapter: str, body: bytes | None = None) -> list[dict[str, Any]]:
    """The sample's activities as they stand on the topic."""
    sample = next(sample for sample in SAMPLES if sample.adapter == adapter)
    delivery = delivered(adapter, sample.secret, body or sample.bytes_of("body"), sample.content_type, NOW)
    result = receive(SOURCES[adapter], delivery, [sample.secret], now=NOW, options=options(adapter))
    return [to_record(taken.activity) for taken in result.taken]


def ask(adapter: str, activity: dict[str, Any]) -> Question | None:
    return FETCHERS[adapter].ask(activity, options(adapter), access(adapter))


def completed(adapter: str, activity: dict[str, Any], answer: Any) -> dict[str, Any]:
    """The completing activity as it stands on the topic."""
    item = FETCHERS[adapter].read(activity, answer, options(adapter))
    assert isinstance(item, Posted)
    taken = normalised(item, 0, NOW, options(adapter))
    assert isinstance(taken, Taken), taken
    return to_record(taken.activity)


@every
def test_asks_for_what_the_delivery_left_out(adapter: str) -> None:
    question = ask(adapter, recorded(adapter)[0])
    assert question is not None
    assert question.url.startswith(URLS[adapter])
    assert TOKEN not in question.url
    assert dict(question.headers)["Authorization"] == f"Bearer {TOKEN}"


@every
def test_the_answer_names_the_same_lead(adapter: str) -> None:
    activity = recorded(adapter)[0]
    found = completed(adapter, activity, ANSWERS[adapter])
    assert found["lead"]["email"] == "taro.yamada@example.co.jp"
    assert found["lead"]["external_ids"] == activity["lead"]["external_ids"]
    assert found["attributes"]["company"] == "株式会社サンプル"
    assert (found["source"], found["type"]) == ("main", "profile_updated")
    assert found["properties"]["kind"] == FETCHED
    assert TOKEN not in str(found)


@every
def test_nothing_is_asked_about_an_answer(adapter: str) -> None:
    found = completed(adapter, recorded(adapter)[0], ANSWERS[adapter])
    assert ask(adapter, found) is None


@every
def test_the_same_answer_is_the_same_activity(adapter: str) -> None:
    activity = recorded(adapter)[0]
    ids = {completed(adapter, activity, ANSWERS[adapter])["id"] for _ in range(2)}
    assert len(ids) == 1
    assert ids.isdisjoint({activity["id"]})


@pytest.mark.parametrize(("adapter", "field"), [("hubspot", "lastmodifieddate"), ("eventbrite", "changed")])
def test_a_changed_object_is_another_activity(adapter: str, field: str) -> None:
    activity, answer = recorded(adapter)[0], ANSWERS[adapter]
    later = {**answer, field: "2026-11-21T00:00:00Z"}
    if adapter == "hubspot":
        later = {**answer, "properties": {**answer["properties"], field: "2026-11-21T00:00:00Z"}}
    first, second = completed(adapter, activity, answer), completed(adapter, activity, later)
    assert first["id"] != second["id"]
    assert second["occurred_at"] == "2026-11-21T00:00:00.000000Z"


@every
@pytest.mark.parametrize("answer", [None, [], "text", 5, [1]])
def test_answers_of_another_shape_are_unreadable(adapter: str, answer: Any) -> None:
    with pytest.raises(Unreadable):
        FETCHERS[adapter].read(recorded(adapter)[0], answer, options(adapter))


@pytest.mark.parametrize("adapter", ["hubspot", "eventbrite"])
def test_an_answer_about_another_object_is_unreadable(adapter: str) -> None:
    with pytest.raises(Unreadable):
        FETCHERS[adapter].read(recorded(adapter)[0], {**ANSWERS[adapter], "id": "7"}, options(adapter))


@every
@pytest.mark.parametrize("id_", ["", "../../me", "1/2", "1?x=", "1#", "%2e", "１", "0" * 200, "@host", "a b", "1\r\n2"])
def test_hostile_ids_are_never_asked_about(adapter: str, id_: str) -> None:
    activity = recorded(adapter)[0]
    activity["lead"] = {"external_ids": {adapter: id_}}
    activity["properties"] = {**activity["properties"], "event": id_, "attendee": id_, "order": id_}
    assert ask(adapter, activity) is None


@every
def test_foreign_activities_are_never_asked_about(adapter: str) -> None:
    for activity in ({}, {"lead": None, "properties": 5}, {"lead": {"email": "a@example.com"}, "type": "page_viewed"}):
        assert ask(adapter, activity) is None


def test_what_is_deleted_is_not_asked_about() -> None:
    assert ask("hubspot", recorded("hubspot")[2]) is None
    body = b'{"leadGenFormResponse": "urn:li:leadGenFormResponse:4dcb1a", "leadAction": "DELETED", "occurredAt": 1}'
    assert ask("linkedin", recorded("linkedin", body)[0]) is None


def test_answers_in_the_delivery_are_not_asked_for_again() -> None:
    body = (
        b'{"entry": [{"id": "1", "time": 1, "changes": [{"field": "leadgen", "value": {"leadgen_id": 5, "field_data":'
        b' [{"name": "email", "values": ["a@example.com"]}, {"name": "budget", "values": ["1"]}]}}]}]}'
    )
    assert ask("meta", recorded("meta", body)[0]) is None


def test_eventbrites_orders() -> None:
    body = b'{"config": {"action": "order.placed"}, "api_url": "https://www.eventbriteapi.com/v3/orders/9/"}'
    activity = recorded("eventbrite", body)[0]
    question = ask("eventbrite", activity)
    assert question is not None
    assert question.url == "https://www.eventbriteapi.com/v3/orders/9/"
    answer = {"id": "9", "name": "山田 太郎", "email": "taro.yamada@example.co.jp", "created": "2026-11-01T00:00:00Z"}
    found = completed("eventbrite", activity, answer)
    assert (found["lead"]["email"], found["attributes"]) == ("taro.yamada@example.co.jp", {"name": "山田 太郎"})


def test_details_of_answers() -> None:
    meta = completed("meta", recorded("meta")[0], ANSWERS["meta"])
    assert meta["properties"]["answers"] == {"いつ頃の導入をお考えですか": "三か月以内"}
    assert meta["occurred_at"] == "2015-08-21T01:26:24.000000Z"
    linkedin = completed("linkedin", recorded("linkedin")[0], ANSWERS["linkedin"])
    assert linkedin["properties"]["answers"] == {"Interests": "1, 3"}
    eventbrite = completed("eventbrite", recorded("eventbrite")[0], ANSWERS["eventbrite"])
    assert "job_title" not in eventbrite["attributes"]
    assert eventbrite["lead"]["phone"] == "+819012345678"
    assert eventbrite["properties"]["answers"] == {"ご質問": "価格について"}


def test_hubspots_opt_out_is_a_withdrawal() -> None:
    answer = {**ANSWERS["hubspot"], "properties": {**ANSWERS["hubspot"]["properties"], "hs_email_optout": "true"}}
    found = completed("hubspot", recorded("hubspot")[0], answer)
    assert found["consent"] == {"email": False, "at": "2026-11-20T01:15:00.123000Z", "source": "main"}


def test_test_leads_are_ignored() -> None:
    told = [{"name": "email", "values": ["<test lead: dummy data for email>"]}]
    for adapter, answer in (("meta", {"field_data": told}), ("linkedin", {**ANSWERS["linkedin"], "testLead": True})):
        item = FETCHERS[adapter].read(recorded(adapter)[0], answer, options(adapter))
        assert isinstance(item, Ignored)


def test_access_is_configured() -> None:
    described = {"token": "t", "api": "http://127.0.0.1:9/base/", "version": "v9", "calls_per_minute": 7}
    sources, faults = read_webhooks({"main": {"adapter": "meta", "secrets": ["x"], "fetch": described}}, {})
    assert (faults, sources["main"].fetch) == ([], FetchOptions("t", "http://127.0.0.1:9/base", "v9", 7))
    without, _ = read_webhooks({"main": {"adapter": "meta", "secrets": ["x"]}}, {})
    assert without["main"].fetch is None
    unset, _ = read_webhooks({"main": {"adapter": "meta", "secrets": ["x"], "fetch": {"token": "${NO}"}}}, {})
    assert (unset["main"].fetch, unset["main"].disabled) == (None, "NO is not set")


@pytest.mark.parametrize(
    ("adapter", "fetch", "where"),
    [
        ("mautic", {"token": "t"}, "fetch"),
        ("meta", {}, "fetch"),
        ("meta", {"token": "t", "api": "ftp://example.com"}, "api"),
        ("meta", {"token": "t", "version": "v1/../x"}, "version"),
        ("meta", {"token": "t", "calls_per_minute": 0}, "calls_per_minute"),
        ("meta", {"token": "t", "toke": "t"}, "toke"),
    ],
)
def test_faulty_access_is_named(adapter: str, fetch: dict[str, Any], where: str) -> None:
    sources, faults = read_webhooks({"main": {"adapter": adapter, "secrets": ["x"], "fetch": fetch}}, {})
    assert sources == {}
    assert [where in str(fault.path) for fault in faults] == [True]
