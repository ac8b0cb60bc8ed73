"""Every tool's delivery, signed as the tool signs it, from the webhook's address to the score of a lead."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx2
import orjson
import pytest

from deploy.local.stack import Stack
from shared.clock import system_clock
from shared.identity import EXTERNAL, Identifier, lead_id_for
from tests.e2e.client import Client, kizashi, reasons_sum, wait_for
from tests.e2e.webhook_sources import asked
from tests.e2e.webhook_sources import email_of as email_asked
from tests.unit.ingest.sources.samples import SAMPLES, Sample
from tests.unit.ingest.sources.signing import delivered

WITHIN_S = 90.0
MARK = uuid.uuid4().hex[:8]
"""Of this run alone, so that a stack that is used twice knows two sets of people."""
NUMBER = int(MARK, 16) % 10_000

# What each sample earns by the rules of the shipped scoring.yaml.
EARNED: dict[str, dict[str, float]] = {
    "standard-webhooks": {"document-downloaded": 5},
    "hubspot": {"section-manager-or-above": 10, "department-head-or-above": 5},
    "marketo": {},
    "account-engagement": {"form-submitted": 2},
    "salesforce": {"section-manager-or-above": 10, "department-head-or-above": 5},
    "mautic": {"form-submitted": 2, "email-opened": 1, "email-clicked": 3, "section-manager-or-above": 10},
    "mailchimp": {"unsubscribed": -15, "cap:engagement": 15},
    "mandrill": {"email-clicked": 3, "unsubscribed": -15, "email-bounced": -5, "cap:engagement": 17},
    # What the payload itself calls a machine's doing earns nothing: here, with marketo, brevo and customerio.
    "sendgrid": {"email-clicked": 3, "unsubscribed": -15, "email-bounced": -5, "cap:engagement": 17},
    "postmark": {"email-opened": 1},
    "brevo": {"email-bounced": -5, "cap:engagement": 5},
    "activecampaign": {"email-clicked": 3},
    "customerio": {},
    "klaviyo": {"email-clicked": 3},
    "segment": {"form-submitted": 2},
    "rudderstack": {"form-submitted": 2},
    "typeform": {"form-submitted": 2},
    "calendly": {"meeting-booked": 10},
    "google-ads": {"ad-lead-submitted": 3, "section-manager-or-above": 10},
    "meta": {"ad-lead-submitted": 3},
    "linkedin": {"ad-lead-submitted": 3},
    "zoom": {"seminar-attended": 10},
    "eventbrite": {"seminar-attended": 10},
    "generic": {"quote-requested": 20},
}
# Tools whose deliveries hold ids alone, and the one in each sample.
IDS_ONLY = {
    "meta": f"44444444{NUMBER:04d}",
    "linkedin": f"urn:li:leadGenFormResponse:{MARK}",
    "eventbrite": f"attendee-2{NUMBER:04d}",
    "klaviyo": f"01PROFILE{NUMBER:04d}",
}
# A contact's second event in HubSpot's sample is about another contact.
OF_OTHERS = {"hubspot": 1}


def email_of(adapter: str) -> str:
    return f"taro.{adapter}.{MARK}@example.co.jp"


def own(sample: Sample, name: str = "body") -> bytes:
    """A body of the sample about a person of this tool and this run; contacts of a CRM get a job title."""
    body, email = sample.bytes_of(name), email_of(sample.adapter)
    for old, new in (
        ("taro.yamada@example.co.jp", email),
        ("taro.yamada%40example.co.jp", email.replace("@", "%40")),
        ("+819012345678", f"+8190{NUMBER:04d}{NUMBER:04d}"),
        ("anon-1", f"anon-{sample.adapter}-{MARK}"),
        ("138017612137", f"138017{NUMBER:06d}"),
        ("444444444444", IDS_ONLY["meta"]),
        ("urn:li:leadGenFormResponse:4dcb1a", IDS_ONLY["linkedin"]),
        ("/attendees/2/", f"/attendees/2{NUMBER:04d}/"),
        ("01PROFILE", IDS_ONLY["klaviyo"]),
        ('"lifecyclestage", "propertyValue": "lead"', '"jobtitle", "propertyValue": "営業部 部長"'),
        ("</sf:Email>", "</sf:Email><sf:Title>営業部 部長</sf:Title>"),
    ):
        body = body.replace(old.encode(), new.encode())
    return body


def send(client: Client, sample: Sample, body: bytes, source: str | None = None) -> httpx2.Response:
    """Deliver as the tool does: with its headers alone, and none of our keys."""
    delivery = delivered(sample.adapter, sample.secret, body, sample.content_type, system_clock())
    url = client.url("ingest", f"/v1/webhooks/{source or sample.adapter}?from=tool")
    answer = httpx2.post(url, headers=list(delivery.headers), content=delivery.body, timeout=30, trust_env=False)
    assert answer.status_code in (200, 202), (sample.adapter, answer.text)
    return answer


def named(adapter: str) -> dict[str, Any]:
    """What a sample's lead is known by, as posted."""
    known = IDS_ONLY.get(adapter)
    return {"email": email_of(adapter)} if known is None else {"external_ids": {adapter: known}}


class Leads:
    """The leads of the samples, after everything posted so far was scored."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._secret = client.stack.data.identity_secret.read_bytes().strip()

    def close(self, adapter: str) -> None:
        """Put a last activity, worth nothing, behind all others of the lead: of one lead, all stand in order."""
        marker = {"id": f"last-{adapter}-{MARK}", "type": "note_taken", "lead": named(adapter)}
        self._client.post(marker)

    def read(self, adapter: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The lead with its reasons, and its activities without the last; waits until that is scored."""

        def complete() -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
            lead = self._lead(adapter)
            url = self._client.url("scoring", f"/v1/leads/{lead['id']}/activities") if lead else ""
            items = self._client.http.get(url, params={"limit": 1000}).json()["items"] if lead else []
            rest = [item for item in items if item["type"] != "note_taken"]
            return (self._lead(adapter) or {}, rest) if len(rest) < len(items) else None

        return wait_for(complete, WITHIN_S)

    def _lead(self, adapter: str) -> dict[str, Any] | None:
        if (known := IDS_ONLY.get(adapter)) is None:
            return self._client.lead(email_of(adapter))
        # A lead that nothing else names goes by the hash of this.
        id_ = lead_id_for(self._secret, Identifier(EXTERNAL, f"{adapter}:{known}"))
        answer = self._client.http.get(self._client.url("scoring", f"/v1/leads/{id_}"))
        lead: dict[str, Any] = answer.json()
        return lead if answer.is_success else None


@pytest.fixture(scope="module")
def leads(stack: Stack) -> Iterator[Leads]:
    """Everything delivered twice, as a tool does that missed the answer; then the test deliveries."""
    with Client(stack) as client:
        found = Leads(client)
        for sample in SAMPLES:
            send(client, sample, own(sample))
            send(client, sample, own(sample, "retry" if "retry" in sample.told else "body"))
        for sample in SAMPLES:
            found.close(sample.adapter)
        yield found


@pytest.mark.parametrize("adapter", EARNED)
def test_a_delivery_ends_in_a_score_and_counts_once(leads: Leads, adapter: str) -> None:
    sample = next(sample for sample in SAMPLES if sample.adapter == adapter)
    lead, activities = leads.read(adapter)
    types = [told["type"] for told in sample.told["activities"]]
    expected = types[: len(types) - OF_OTHERS.get(adapter, 0)]
    assert sorted(item["type"] for item in activities) == sorted(expected)
    assert {item["source"] for item in activities} == {adapter}
    assert {reason["rule"]: reason["points"] for reason in lead["reasons"]} == EARNED[adapter]
    assert lead["score"] == reasons_sum(lead) == sum(EARNED[adapter].values())


def test_every_adapter_is_there() -> None:
    assert set(EARNED) == {sample.adapter for sample in SAMPLES}


# What is sent by tools whose API is asked: the id in the sample, and another one.
ASKED = {
    "hubspot": ("138017612137", f"139{NUMBER:04d}", 0),
    "meta": ("444444444444", f"445{NUMBER:04d}", 3),
    "linkedin": ("4dcb1a", f"5{MARK}", 3),
    "eventbrite": ("/attendees/2/", f"/attendees/3{NUMBER:04d}/", 10),
}


@pytest.mark.parametrize("adapter", ASKED)
def test_ids_become_people_by_asking_the_tool(stack: Stack, client: Client, adapter: str) -> None:
    sample = next(sample for sample in SAMPLES if sample.adapter == adapter)
    old, new, earned = ASKED[adapter]
    told = sample.told["body"]
    body = json.dumps(told[:1] if isinstance(told, list) else told).replace(old, new)
    for _ in range(2):
        send(client, sample, body.encode(), asked(adapter))
    email = email_asked(new.strip("/").rpartition("/")[2])

    def joined() -> tuple[dict[str, Any], list[str]] | None:
        """The lead once both activities are its own."""
        lead = client.lead(email)
        url = client.url("scoring", f"/v1/leads/{lead['id']}/activities") if lead else ""
        types = [item["type"] for item in client.http.get(url).json()["items"]] if lead else []
        return (client.lead(email) or {}, sorted(types)) if len(types) > 1 else None

    lead, types = wait_for(joined, WITHIN_S)
    assert types == sorted([sample.told["activities"][0]["type"], "profile_updated"])
    assert lead["attributes"]["company"] == "株式会社サンプル"
    fit = 15 if adapter == "hubspot" else 0  # HubSpot's contact is the head of a department
    assert lead["score"] == reasons_sum(lead) == earned + fit


# What withdraws the consent to mail: kind as the tool names it, among the properties of our activity.
WITHDRAWALS = {
    "mailchimp": {"unsubscribe"},
    "mandrill": {"spam"},
    "sendgrid": {"bounce", "spamreport"},
    "brevo": {"hard_bounce"},
}


@pytest.mark.parametrize("adapter", WITHDRAWALS)
def test_bounces_unsubscribes_and_complaints_are_changes_of_consent(leads: Leads, adapter: str) -> None:
    _, activities = leads.read(adapter)
    withdrawn = {item["properties"]["kind"]: item["consent"] for item in activities if item.get("consent")}
    assert set(withdrawn) == WITHDRAWALS[adapter]
    assert {(consent["email"], consent["source"]) for consent in withdrawn.values()} == {(False, adapter)}


def test_test_deliveries_never_score(leads: Leads, client: Client) -> None:
    sample = next(sample for sample in SAMPLES if sample.adapter == "google-ads")
    body = {**json.loads(own(sample)), "lead_id": f"test-{MARK}", "is_test": True}
    before, _ = leads.read("google-ads")
    assert send(client, sample, json.dumps(body).encode()).json() == {}
    client.post({"id": f"after-{MARK}", "type": "note_taken", "lead": {"email": email_of("google-ads")}})
    lead = wait_for(
        lambda: (found := client.lead(email_of("google-ads"))) and found["version"] > before["version"] and found,
        WITHIN_S,
    )
    assert (lead["score"], lead["identifiers"]) == (before["score"], before["identifiers"])
    assert len(leads.read("google-ads")[1]) == 1


def test_what_was_not_understood_comes_back_after_a_fix(stack: Stack, client: Client) -> None:
    """A source whose mapping was wrong: the requests it could not read are read by the mended configuration."""
    sample, email = next(sample for sample in SAMPLES if sample.adapter == "generic"), email_of("mended")
    told = {"nr": f"n-{MARK}", "what": "demo_requested", "who": {"mail": email}, "when": "2026-11-20T10:15:00+09:00"}
    answer = send(client, sample, json.dumps(told).encode())
    assert answer.json()["accepted"] == 0
    key = answer.headers["x-request-id"].encode()
    (kept,) = [record for record in client.records("rejected-webhooks") if record.key == key]
    replay = ("dead-letters", "replay", "--only", f"{kept.topic}/{kept.partition}/{kept.offset}")
    assert kizashi(stack, *replay).returncode == 1
    assert client.lead(email) is None

    path = stack.config_dir / "sources.yaml"
    tree = orjson.loads(path.read_bytes())
    fields = {"who.mail": "lead.email"}
    tree["webhooks"]["generic"]["mapping"] = {"type": "what", "id": ["nr"], "time": "when", "fields": fields}
    path.write_bytes(orjson.dumps(tree))
    for _ in range(2):
        done = kizashi(stack, *replay)
        assert done.returncode == 0, (done.stdout, done.stderr)
    client.post({"id": f"last-mended-{MARK}", "type": "note_taken", "lead": {"email": email}})
    lead = wait_for(lambda: (found := client.lead(email)) and found["score"] == 20 and found, WITHIN_S)
    assert [(reason["rule"], reason["count"]) for reason in lead["reasons"]] == [("demo-requested", 1)]
    assert lead["first_activity_at"] == "2026-11-20T01:15:00.000000Z"
