"""`POST /v1/forms/{form_key}`: who may send, what is answered."""

import httpx2
import pytest

from tests.unit.ingest.conftest import ListedRecords
from tests.unit.ingest.site.desk import FULL, SITE, kept

FORM = "/v1/forms/contact-ja"
BROWSER = {
    "Origin": SITE,
    "Accept": "text/html,application/xhtml+xml",
    "Sec-Fetch-Mode": "navigate",
    "User-Agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/142.0 Safari/537.36",
}
SCRIPT = {"Origin": SITE, "Accept": "application/json", "Sec-Fetch-Mode": "cors"}


async def test_a_plain_browser_post_ends_at_the_thank_you_page(
    page: httpx2.AsyncClient, durable: ListedRecords
) -> None:
    answer = await page.post(FORM, data={**FULL, "next": "https://evil.example/"}, headers=BROWSER)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{SITE}/thanks")
    activity = kept(durable)[0]
    assert (activity.source, activity.type, activity.email) == ("contact-ja", "inquiry_sent", FULL["メールアドレス"])
    assert activity.signals is not None
    assert (activity.signals["method"], activity.signals["agent"]) == ("POST", "browser")
    assert "203.0.113" not in str(activity.signals)


async def test_a_script_gets_202_and_may_read_it(page: httpx2.AsyncClient, durable: ListedRecords) -> None:
    answer = await page.post(FORM, json=FULL, headers=SCRIPT)
    assert answer.status_code == 202
    assert answer.json() == {"accepted": 1, "ids": [kept(durable)[0].id], "durability": "kafka"}
    assert answer.headers["access-control-allow-origin"] == SITE
    assert answer.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in answer.headers
    assert (await page.post(FORM, data=FULL, headers=SCRIPT)).status_code == 202


async def test_a_form_without_a_page_of_its_own_thanks_people(page: httpx2.AsyncClient) -> None:
    answer = await page.post(
        "/v1/forms/usual", data={"email": "a@example.co.jp"}, headers={**BROWSER, "Accept-Language": "ja"}
    )
    assert (answer.status_code, answer.headers["content-type"]) == (202, "text/html; charset=utf-8")
    assert "ありがとうございます" in answer.text
    assert (await page.post("/v1/forms/usual", data={"email": "a@example.co.jp"})).json()["accepted"] == 1


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://www.example.co.jp", f"{SITE}.evil.example"])
async def test_other_origins_are_refused_on_the_post_itself(
    page: httpx2.AsyncClient, durable: ListedRecords, origin: str
) -> None:
    answer = await page.post(FORM, data=FULL, headers={**BROWSER, "Origin": origin})
    assert (answer.status_code, answer.json()["code"]) == (403, "origin_not_allowed")
    assert "access-control-allow-origin" not in answer.headers
    assert durable.records == []
    asked = await page.options(FORM, headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
    assert asked.status_code == 403


async def test_a_referer_stands_in_for_a_missing_origin(page: httpx2.AsyncClient) -> None:
    assert (await page.post(FORM, data=FULL, headers={"Referer": "https://evil.example/x"})).status_code == 403
    assert (await page.post(FORM, data=FULL, headers={"Referer": f"{SITE}/contact"})).status_code == 303
    assert (await page.post(FORM, json=FULL)).status_code == 202, "a server that passes a form on is no browser"


async def test_a_browser_may_ask_first(page: httpx2.AsyncClient) -> None:
    answer = await page.options(FORM, headers={"Origin": SITE, "Access-Control-Request-Method": "POST"})
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == SITE
    assert answer.headers["access-control-allow-headers"] == "content-type"
    assert answer.headers["access-control-allow-methods"] == "POST, OPTIONS"
    assert answer.headers["access-control-max-age"] == "600"


async def test_a_double_click_has_one_id(page: httpx2.AsyncClient, durable: ListedRecords) -> None:
    for _ in range(2):
        await page.post(FORM, data={**FULL, "kizashi_submission": "s-1"}, headers=BROWSER)
    first, second = kept(durable)
    assert (first.id, first.fingerprint()) == (second.id, second.fingerprint())


async def test_what_looks_like_a_program_is_marked_and_kept(page: httpx2.AsyncClient, durable: ListedRecords) -> None:
    fields = {**FULL, "kizashi_website": "x", "kizashi_started": "1795489199500"}
    assert (await page.post(FORM, data=fields, headers=BROWSER)).status_code == 303
    activity = kept(durable)[0]
    assert activity.signals is not None
    assert activity.signals["honeypot"] is True
    assert "filled_fast" in activity.flags


async def test_a_test_is_answered_and_never_kept(page: httpx2.AsyncClient, durable: ListedRecords) -> None:
    answer = await page.post(FORM, data={**FULL, "kizashi_test": "1"}, headers=SCRIPT)
    report = answer.json()
    assert (answer.status_code, report["test"], report["accepted"]) == (200, True, 0)
    assert report["activity"]["lead"] == {"email": FULL["メールアドレス"]}
    assert report["fields"]["会社名"] == "attributes.company"
    assert durable.records == []


async def test_faults_name_the_forms_own_fields(page: httpx2.AsyncClient, durable: ListedRecords) -> None:
    answer = await page.post(FORM, data={**FULL, "メールアドレス": "taro at example"}, headers=SCRIPT)
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/メールアドレス"]
    assert answer.headers["access-control-allow-origin"] == SITE, "its page may read why"
    nobody = await page.post(FORM, data={"お名前": "山田"}, headers=SCRIPT)
    assert nobody.json()["errors"][0]["pointer"] == "/lead"
    assert durable.records == []


@pytest.mark.parametrize(
    ("path", "request_of", "status", "code"),
    [
        ("/v1/forms/nope", {"data": FULL}, 404, "not_found"),
        ("/v1/forms/off", {"data": FULL}, 503, "source_disabled"),
        (FORM, {"content": b"x" * 1_100_000, "headers": {"Content-Type": "application/json"}}, 413, "too_large"),
        (FORM, {"data": {**FULL, "ご相談内容": "長" * 30_000}}, 413, "too_large"),
        (FORM, {"data": {**FULL, "ご相談内容": "a\x00b"}}, 422, "invalid_fields"),
        (FORM, {"content": b"x", "headers": {"Content-Type": "image/png"}}, 415, "unsupported_media_type"),
        (FORM, {"content": b"x", "headers": {"Content-Encoding": "gzip"}}, 415, "unsupported_media_type"),
    ],
)
async def test_refusals(
    page: httpx2.AsyncClient, path: str, request_of: dict[str, object], status: int, code: str
) -> None:
    answer = await page.request("POST", path, **request_of)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_nothing_is_promised_while_nothing_can_be_kept(page: httpx2.AsyncClient, durable: ListedRecords) -> None:
    durable.refuses = "no room"
    answer = await page.post(FORM, data=FULL, headers=BROWSER)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert (await page.get(FORM)).status_code == 405
