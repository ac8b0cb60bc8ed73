"""The page tag in a real browser: what it sends, and what it leaves in the browser before and after consent."""

import json
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Request

from tests.browser.conftest import WRITE_KEY, Running
from tests.e2e.client import Client, wait_for

HTML = '<!doctype html><html><head><meta charset="utf-8"><title>{title}</title>{tag}</head><body>{body}</body></html>'


def html(running: Running, body: str = "", **data: str) -> str:
    given = " ".join(f'data-{name}="{value}"' for name, value in {"key": WRITE_KEY, **data}.items())
    return HTML.format(title="料金", tag=f'<script async src="{running.ingest}/v1/tag.js" {given}></script>', body=body)


class Sent:
    """The activities a page has sent so far."""

    def __init__(self, page: Page) -> None:
        self.bodies: list[dict[str, Any]] = []
        page.on("request", self._note)

    def _note(self, request: Request) -> None:
        if request.url.endswith("/v1/collect") and request.method == "POST":
            self.bodies.append(json.loads(request.post_data or "{}"))

    @property
    def activities(self) -> list[dict[str, Any]]:
        return [one for body in self.bodies for one in body["activities"]]

    def until(self, page: Page, count: int) -> list[dict[str, Any]]:
        """Let the page go on until it has sent so many."""
        for _ in range(200):
            if len(self.activities) >= count:
                break
            page.wait_for_timeout(50)
        assert len(self.activities) == count, self.activities
        return self.activities


def left_behind(visitor: BrowserContext, page: Page) -> tuple[list[str], int]:
    kept = page.evaluate("localStorage.length + sessionStorage.length")
    return [cookie["name"] for cookie in visitor.cookies()], kept


@pytest.fixture
def page(visitor: BrowserContext) -> Page:
    return visitor.new_page()


def test_a_page_view_is_sent_and_nothing_is_kept_before_consent(
    running: Running, visitor: BrowserContext, page: Page
) -> None:
    sent = Sent(page)
    with page.expect_response("**/v1/collect") as answer:
        page.goto(running.site.put("/pricing", html(running)) + "?utm_campaign=autumn#top")
    assert answer.value.status == 202
    seen = sent.until(page, 1)[0]
    assert (seen["type"], seen["properties"]["title"]) == ("page_viewed", "料金")
    assert seen["properties"]["url"] == f"{running.site.origin}/pricing?utm_campaign=autumn"
    assert sent.bodies[0]["anonymous_id"]
    assert left_behind(visitor, page) == ([], 0)
    page.reload()
    sent.until(page, 2)
    assert sent.bodies[0]["anonymous_id"] != sent.bodies[1]["anonymous_id"], "nobody is recognised without consent"


def test_after_consent_the_browser_is_recognised_until_it_is_withdrawn(
    running: Running, visitor: BrowserContext, page: Page
) -> None:
    sent = Sent(page)
    page.goto(running.site.put("/a", html(running)))
    sent.until(page, 1)
    page.evaluate("kizashi('consent', true)")
    agreed = sent.until(page, 2)[1]
    assert agreed["consent"] == {"profiling": True}
    assert left_behind(visitor, page) == (["kizashi_id"], 0)
    page.reload()
    sent.until(page, 3)
    assert len({body["anonymous_id"] for body in sent.bodies}) == 1, "the view before consent belongs to it too"
    page.evaluate("kizashi('consent', false)")
    assert sent.until(page, 4)[3]["consent"] == {"profiling": False}
    assert left_behind(visitor, page) == (["kizashi_off"], 0), "that it shall be silent, and nothing about whom"
    page.evaluate("kizashi('track', 'video_played')")
    page.evaluate("dispatchEvent(new Event('pagehide'))")
    sent.until(page, 4)
    page.goto(running.site.put("/granted", html(running, consent="granted")))
    page.wait_for_function("window.kizashi && kizashi.loaded")
    page.evaluate("dispatchEvent(new Event('pagehide'))")
    assert left_behind(visitor, page) == (["kizashi_off"], 0), "other pages keep to it too"
    sent.until(page, 4)
    page.evaluate("kizashi('consent', true)")
    sent.until(page, 5)
    assert left_behind(visitor, page) == (["kizashi_id"], 0)


def test_a_strict_site_sends_nothing_before_consent(running: Running, page: Page) -> None:
    sent = Sent(page)
    page.goto(running.site.put("/strict", html(running, consent="required")))
    page.wait_for_function("window.kizashi && kizashi.loaded")
    page.evaluate("dispatchEvent(new Event('pagehide'))")
    assert sent.activities == []
    page.evaluate("kizashi('consent', true)")
    assert [one["type"] for one in sent.until(page, 2)] == ["page_viewed", "profile_updated"]


def test_an_application_of_one_page_is_followed(running: Running, page: Page) -> None:
    sent = Sent(page)
    page.goto(running.site.put("/app", html(running)))
    sent.until(page, 1)
    page.evaluate("history.pushState({}, '', '/app/cases?x=1')")
    sent.until(page, 2)
    page.evaluate("history.replaceState({}, '', '/app/cases?x=1#part')")
    page.go_back()
    urls = [one["properties"]["url"].removeprefix(running.site.origin) for one in sent.until(page, 3)]
    assert urls == ["/app", "/app/cases?x=1", "/app"], "an anchor is no page"
    assert sent.activities[1]["properties"]["referrer"].endswith("/app")


def test_documents_and_links_elsewhere_are_noted(running: Running, visitor: BrowserContext, page: Page) -> None:
    body = (
        '<a id="doc" href="/files/guide.pdf">guide</a> <a id="out" href="http://localhost:1/x">out</a>'
        '<a id="tel" href="tel:0312345678">call</a> <a id="in" href="/inside">inside</a>'
        '<a id="script" href="javascript:void(0)">script</a>'
    )
    page.add_init_script("addEventListener('click', e => e.preventDefault())")
    sent = Sent(page)
    page.goto(running.site.put("/links", html(running, body)))
    sent.until(page, 1)
    for link in ("doc", "out", "tel", "in", "script"):
        page.click(f"#{link}")
    page.evaluate("dispatchEvent(new Event('pagehide'))")
    noted = [
        (one["type"], one["properties"].get("document") or one["properties"].get("link"))
        for one in sent.until(page, 4)[1:]
    ]
    assert noted == [
        ("document_downloaded", "/files/guide.pdf"),
        ("link_clicked", "http://localhost:1/x"),
        ("link_clicked", "tel:0312345678"),
    ]


def test_what_is_asked_before_the_tag_has_loaded_is_done(running: Running, page: Page) -> None:
    waits = "window.kizashi = function () { (kizashi.q = kizashi.q || []).push(arguments) };"
    stub = f"<script>{waits} kizashi('track', 'video_played', {{video: 'v'}})</script>"
    sent = Sent(page)
    page.goto(running.site.put("/early", HTML.format(title="x", tag=stub, body=html(running))))
    assert [one["type"] for one in sent.until(page, 2)] == ["video_played", "page_viewed"]


def test_who_names_themselves_brings_the_pages_before(running: Running, page: Page, client: Client, email: str) -> None:
    page.goto(running.site.put("/pricing", html(running, consent="granted")))
    kind = 'data-kizashi="newsletter_subscribed" id="news"'
    form = f'<form action="/done" {kind}><input type="email"><button>x</button></form>'
    with page.expect_request("**/v1/collect"):
        page.goto(running.site.put("/newsletter", html(running, form, consent="granted")))
    running.site.put("/done", "<title>done</title>")
    page.fill("input", email)
    page.click("button")
    page.wait_for_url("**/done*")
    wait_for(
        lambda: (lead := client.lead(email)) and lead["score"] == 2 + 3 + 0.5 * 2, found=lambda: client.lead(email)
    )


def test_a_marked_form_tells_the_address_and_nothing_else(running: Running, page: Page) -> None:
    form = (
        '<form data-kizashi="newsletter_subscribed" name="news" onsubmit="return false"><input name="id" value="7">'
        '<input type="hidden" name="mail_subject" value="a@subject"><input type="checkbox" name="mailmagazine" checked>'
        '<input name="e-mail" value="taro@example.co.jp "><button>x</button></form>'
    )
    sent = Sent(page)
    page.goto(running.site.put("/marked", html(running, form)))
    sent.until(page, 1)
    page.click("button")
    told = sent.until(page, 2)[1]
    assert told["lead"] == {"email": "taro@example.co.jp"}
    assert told["properties"]["form"] == "news"
    page.fill("[name=e-mail]", "taro at example")
    page.click("button")
    assert sent.until(page, 3)[2]["lead"] == {}, "the browser tells who it is"


def test_what_is_large_takes_nothing_with_it(running: Running, page: Page) -> None:
    sent = Sent(page)
    with page.expect_response(lambda answer: answer.status == 202):
        page.goto(running.site.put("/large", html(running)))
    sent.until(page, 1)
    page.evaluate("kizashi('track', 'video_played', {text: 'x'.repeat(90000)}); kizashi('track', 'video_ended')")
    with page.expect_response(lambda answer: answer.status == 202) as answer:
        page.evaluate("dispatchEvent(new Event('pagehide'))")
    told = json.loads(answer.value.request.post_data or "{}")
    assert [one["type"] for one in told["activities"]] == ["video_ended"]


def test_a_policy_that_names_the_service_is_enough(running: Running, page: Page) -> None:
    policy = f"default-src 'none'; script-src {running.ingest}; connect-src {running.ingest}"
    with page.expect_response("**/v1/collect") as answer:
        page.goto(running.site.put("/csp", html(running), content_security_policy=policy))
    assert answer.value.status == 202
