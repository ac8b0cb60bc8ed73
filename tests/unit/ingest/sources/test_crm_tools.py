"""What is particular to single tools that keep contacts: HubSpot, Marketo, Account Engagement, Salesforce."""

from urllib.parse import urlencode

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
