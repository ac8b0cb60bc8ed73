"""What is particular to single tools that keep contacts: HubSpot, Marketo, Account Engagement, Salesforce."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.unit.ingest.sources.reading import reading, types


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


@pytest.mark.parametrize("adapter", ["marketo", "account-engagement", "salesforce", "hubspot", "generic"])
@pytest.mark.parametrize("many", [False, True])
def test_json_called_a_form_is_read_as_json(adapter: str, many: bool) -> None:
    told = {"email": "a@example.co.jp", "activity": "email_opened", "at": "2026-11-24T02:00:00Z", "detail": "a=b&c=d"}
    body = json.dumps([told, told] if many else told, ensure_ascii=False).encode()
    for content_type in ("application/x-www-form-urlencoded; charset=UTF-8", "text/plain"):
        received = reading(adapter, b"\xef\xbb\xbf\n " + body, content_type)
        assert types(received) == ["email_opened"] * (1 + many)
        assert received.taken[0].posted["properties"]["detail"] == "a=b&c=d"


def test_only_what_is_a_form_counts_as_one() -> None:
    told = {"email": "a@example.co.jp", "プラン": "A"}
    as_json = reading("account-engagement", told, "application/x-www-form-urlencoded")
    as_form = reading("account-engagement", urlencode(told).encode(), "application/x-www-form-urlencoded")
    assert (types(as_json), types(as_form)) == (["unknown"], ["form_submitted"])
    bracket = reading("marketo", b"[x]=1&email=a@example.co.jp", "application/x-www-form-urlencoded")
    assert bracket.taken[0].posted["lead"] == {"email": "a@example.co.jp"}


@pytest.mark.parametrize("adapter", ["marketo", "account-engagement", "salesforce", "hubspot", "klaviyo", "generic"])
@pytest.mark.parametrize(
    ("told", "flags"),
    [
        ({"Bot Activity": "True"}, ["bot_activity"]),
        ({"filteredEvent": True}, ["filtered"]),
        ({"Bot Activity": "", "filteredEvent": False}, None),
    ],
)
def test_a_tools_own_judgement_on_machines_is_carried_over(adapter: str, told: dict[str, Any], flags: Any) -> None:
    opened = {"lead_id": 1, "email": "a@example.co.jp", "activity": "email_opened", **told}
    assert reading(adapter, opened).taken[0].posted["properties"].get("bot_signals") == flags


SOFT = [
    ("marketo", {"activity": "Email Bounces Soft"}),
    ("account-engagement", {"activity": "Email Bounces", "Bounce Type": "Soft Bounce"}),
    ("salesforce", {"event": "email_bounced", "bounce": "soft"}),
    ("hubspot", {"event": "email.bounced", "bounceType": "SOFT"}),
    ("klaviyo", {"event": "bounced_email", "bounce_type": "Soft"}),
    ("generic", {"event": "email_bounced", "bounce_type": "soft-bounced"}),
]


@pytest.mark.parametrize(("adapter", "told"), SOFT, ids=[adapter for adapter, _ in SOFT])
def test_a_soft_bounce_takes_no_consent_away(adapter: str, told: dict[str, str]) -> None:
    who = {"lead_id": 1, "email": "a@example.co.jp"}
    soft, hard = reading(adapter, {**who, **told}), reading(adapter, {**who, "activity": "email_bounced"})
    assert types(soft) == types(hard) == ["email_bounced"]
    assert "consent" not in soft.taken[0].posted
    assert hard.taken[0].posted["consent"]["email"] is False


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
