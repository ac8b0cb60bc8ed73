"""The snippets that `kizashi forms snippet` prints, filled in and sent by a real browser."""

import os
import subprocess
import sys
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.browser.conftest import WRITE_KEY, Running
from tests.e2e.client import Client, wait_for

THANKS = "<!doctype html><meta charset=utf-8><title>thanks</title>"


def snippet(running: Running, key: str, *options: str) -> str:
    """What the command prints."""
    env = {name: text for name, text in os.environ.items() if not name.startswith("KIZASHI_")}
    command = [sys.executable, "-m", "deploy.cli.main", "forms", "snippet", key, "--url", running.ingest]
    told = subprocess.run(
        [*command, *options, "--config-dir", str(running.config)], env=env, capture_output=True, timeout=60, check=True
    )
    return told.stdout.decode()


def page_with(body: str, charset: str = "utf-8") -> str:
    head = f'<meta charset="{charset}"><title>x</title>'
    return f'<!doctype html><html lang="ja"><head>{head}</head><body>{body}</body></html>'


def fill(page: Page, email: str) -> None:
    page.fill("[name=お名前]", "髙橋 太郎")
    page.fill("[name=会社名]", "㈱サンプル")
    page.fill("[name=メールアドレス]", email)
    page.fill("[name=ご相談内容]", "価格を教えてください\n～①")
    page.check("[name=同意]")


def lead_of(client: Client, email: str, score: float) -> dict[str, Any]:
    lead: dict[str, Any] = wait_for(
        lambda: (found := client.lead(email)) and found["score"] == score and found, found=lambda: client.lead(email)
    )
    return lead


def activities_of(client: Client, lead: dict[str, Any]) -> list[dict[str, Any]]:
    found = client.http.get(client.url("scoring", f"/v1/leads/{lead['id']}/activities")).json()
    items: list[dict[str, Any]] = found["items"]
    return items


@pytest.mark.parametrize("options", [["--no-js"], ["--js"]], ids=["without a script", "with a script"])
def test_the_snippet_works_at_the_first_paste(
    running: Running, visitor: BrowserContext, client: Client, email: str, options: list[str]
) -> None:
    running.site.put("/thanks", THANKS)
    address = running.site.put("/contact", page_with(snippet(running, "all-fields", *options)))
    page = visitor.new_page()
    page.goto(address)
    trap = page.locator("[name=kizashi_website]").bounding_box()
    assert trap is not None
    assert trap["x"] < 0, "people do not see it"
    fill(page, email)
    page.click("button")
    page.wait_for_url("**/thanks")
    lead = lead_of(client, email, 15)
    assert (lead["attributes"]["name"], lead["attributes"]["company"]) == ("髙橋 太郎", "㈱サンプル")
    sent = activities_of(client, lead)[0]
    assert sent["properties"]["message"].replace("\r\n", "\n") == "価格を教えてください\n～①"
    assert sent["properties"].get("url") == (address if options == ["--js"] else f"{running.site.origin}/")


def test_a_double_click_counts_once(running: Running, visitor: BrowserContext, client: Client, email: str) -> None:
    running.site.put("/thanks", THANKS)
    page = visitor.new_page()
    page.goto(running.site.put("/twice", page_with(snippet(running, "all-fields", "--no-js"))))
    fill(page, email)
    page.dblclick("button")
    page.wait_for_url("**/thanks")
    page.go_back()
    page.wait_for_selector("button")
    if not page.input_value("[name=メールアドレス]"):
        fill(page, email)
    page.click("button")
    page.wait_for_url("**/thanks")
    assert len(activities_of(client, lead_of(client, email, 15))) == 1


@pytest.mark.parametrize("charset", ["shift_jis", "euc-jp"])
def test_a_page_in_an_old_encoding_sends_what_was_typed(
    running: Running, visitor: BrowserContext, client: Client, email: str, charset: str
) -> None:
    running.site.put("/thanks", THANKS)
    html = page_with(snippet(running, "all-fields", "--no-js"), charset).replace(' accept-charset="utf-8"', "")
    address = running.site.put("/old", html.encode(charset), content_type=f"text/html; charset={charset}")
    page = visitor.new_page()
    page.goto(address)
    fill(page, email)
    page.click("button")
    page.wait_for_url("**/thanks")
    lead = lead_of(client, email, 15)
    assert (lead["attributes"]["name"], lead["attributes"]["company"]) == ("髙橋 太郎", "㈱サンプル")


def test_a_form_of_another_site_is_refused(running: Running, visitor: BrowserContext) -> None:
    html = snippet(running, "all-fields", "--no-js")
    address = running.site.put("/foreign", page_with(html)).replace("127.0.0.1", "localhost")
    page = visitor.new_page()
    page.goto(address)
    fill(page, "foreign@example.co.jp")
    with page.expect_response("**/v1/forms/all-fields") as told:
        page.click("button")
    assert (told.value.status, told.value.json()["code"]) == (403, "origin_not_allowed")


def test_the_script_says_so_when_it_cannot_send(running: Running, visitor: BrowserContext, email: str) -> None:
    page = visitor.new_page()
    html = snippet(running, "all-fields", "--js").replace("/v1/forms/all-fields", "/v1/forms/nobody")
    page.goto(running.site.put("/broken", page_with(html)))
    fill(page, email)
    page.click("button")
    assert "送信できませんでした" in page.inner_text("[role=status]")
    assert page.is_enabled("button")


def test_a_form_without_a_thank_you_page_thanks_in_place(
    running: Running, visitor: BrowserContext, client: Client, email: str
) -> None:
    page = visitor.new_page()
    for options, place in ((["--js"], "[role=status]"), (["--no-js"], "p")):
        page.goto(running.site.put("/usual", page_with(snippet(running, "usual", *options))))
        page.fill("[name=メールアドレス]", email)
        page.click("button")
        assert "ありがとうございます" in page.inner_text(place)
    assert activities_of(client, lead_of(client, email, 5))[0]["properties"]["document"] == "guide"


def test_the_tag_joins_a_form_with_the_pages_before_it(
    running: Running, visitor: BrowserContext, client: Client, email: str
) -> None:
    tag = f'<script async src="{running.ingest}/v1/tag.js" data-key="{WRITE_KEY}" data-consent="granted"></script>'
    running.site.put("/thanks", THANKS)
    page = visitor.new_page()
    for path, body in (("/pricing", ""), ("/ask", snippet(running, "all-fields", "--js"))):
        with page.expect_request("**/v1/collect"):
            page.goto(running.site.put(path, page_with(tag + body)))
    fill(page, email)
    page.click("button")
    page.wait_for_url("**/thanks")
    lead = lead_of(client, email, 15 + 3 + 0.5 * 2)
    assert len(lead["identifiers"]["anonymous_ids"]) == 1
