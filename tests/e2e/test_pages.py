"""A form, the page tag and a tracked link, each from HTTP to the score of a lead."""

import json
import uuid
from typing import Any

import httpx2

from deploy.local.stack import Stack
from tests.e2e.client import Client, kizashi, reasons_sum, wait_for
from tests.e2e.test_pipeline import person
from tests.e2e.webhook_sources import SITE, WRITE_KEY

CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36"
FROM = {"Origin": SITE, "User-Agent": CHROME}


def send_form(client: Client, email: str, **more: str) -> httpx2.Response:
    fields = {
        "お名前": "山田 太郎",
        "会社名": "株式会社サンプル",
        "メールアドレス": email,
        "ご相談内容": "価格",
        **more,
    }
    return httpx2.post(client.url("ingest", "/v1/forms/contact-ja"), data=fields, headers=FROM)


def beacon(client: Client, browser: str, *activities: dict[str, Any]) -> None:
    body = {"write_key": WRITE_KEY, "anonymous_id": browser, "activities": list(activities)}
    answer = httpx2.post(client.url("ingest", "/v1/collect"), content=json.dumps(body), headers=FROM)
    assert answer.status_code == 202, answer.text


def scored(client: Client, email: str, score: float) -> dict[str, Any]:
    lead: dict[str, Any] = wait_for(
        lambda: (found := client.lead(email)) and found["score"] == score and found, found=lambda: client.lead(email)
    )
    assert reasons_sum(lead) == score
    return lead


def test_a_form_is_scored_once_however_often_it_is_clicked(client: Client) -> None:
    email = person()
    assert send_form(client, email, kizashi_test="1").json()["test"] is True
    for _ in range(3):
        assert send_form(client, email, kizashi_submission="s-1").status_code == 303
    beacon(client, uuid.uuid4().hex, {"type": "demo_requested", "lead": {"email": email}})
    lead = scored(client, email, 35)
    assert {one["rule"]: one["count"] for one in lead["reasons"]} == {"inquiry-sent": 1, "demo-requested": 1}
    assert lead["attributes"]["company"] == "株式会社サンプル"
    activities = client.http.get(client.url("scoring", f"/v1/leads/{lead['id']}/activities")).json()["items"]
    assert sorted(one["type"] for one in activities) == ["demo_requested", "inquiry_sent"], "neither twice nor the test"


def test_a_browser_that_sends_a_form_brings_its_pages(client: Client) -> None:
    email, browser = person(), uuid.uuid4().hex
    beacon(
        client,
        browser,
        *({"type": "page_viewed", "properties": {"url": f"{SITE}{path}"}} for path in ("/", "/pricing")),
    )
    assert send_form(client, email, kizashi_id=browser).status_code == 303
    lead = scored(client, email, 15 + 3 + 0.5 * 2)
    assert lead["identifiers"]["anonymous_ids"] == [browser]
    beacon(client, browser, {"type": "document_downloaded", "properties": {"document": "/case.pdf"}})
    scored(client, email, 15 + 3 + 0.5 * 2 + 5)


def test_a_mail_with_tracked_links_is_scored(client: Client, stack: Stack) -> None:
    email = person()
    made = kizashi(
        stack, "links", "create", f"price={SITE}/price", f"{SITE}/case", "--email", email, "--email-id", "autumn-2",
        "--campaign", "autumn", "--pixel", "--json",
    )  # fmt: skip
    links = json.loads(made.stdout)
    for name in ("pixel", "link_price", "link_price", "link_2"):
        answer = httpx2.get(links[name], headers={"User-Agent": CHROME})
        assert answer.status_code == (200 if name == "pixel" else 302)
        wait_for(lambda: client.lead(email))
    assert httpx2.get(links["link_price"]).headers["location"] == f"{SITE}/price"
    lead = scored(client, email, 1 + 3 + 3)
    assert {one["rule"]: one["count"] for one in lead["reasons"]} == {"email-opened": 1, "email-clicked": 2}
    found = client.http.get(client.url("scoring", f"/v1/leads/{lead['id']}/activities")).json()["items"]
    clicked = [one for one in found if one["type"] == "email_clicked"]
    assert {(one["properties"]["email_id"], one["properties"]["campaign"]) for one in clicked} == {
        ("autumn-2", "autumn")
    }
