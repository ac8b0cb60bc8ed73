"""What can be seen wrong in a page with a form."""

import re
from urllib.parse import parse_qs

import pytest

from services.ingest.site.checking import before_sending, chosen_form, filled_in, read_page
from services.ingest.site.csp import refusing
from services.ingest.site.snippets import form_with_script, plain_form, tag_element
from tests.unit.ingest.site.desk import FORM, USUAL

BASE = "https://leads.example.co.jp"
PAGE = "https://www.example.co.jp/contact"
HTML = "<!doctype html><html><head>{head}</head><body>\n{body}</body></html>"


def codes(html: str, headers: dict[str, str] | None = None, url: str = PAGE, level: str = "fault") -> list[str]:
    page = read_page(html.encode(), url, headers or {})
    return [finding.code for finding in before_sending(page) if finding.level == level]


@pytest.mark.parametrize("form", [FORM, USUAL])
def test_our_own_snippets_are_in_order(form: object) -> None:
    for made in (plain_form(FORM, BASE), form_with_script(USUAL, BASE, "en"), form_with_script(FORM, BASE)):
        html = HTML.format(head="", body=tag_element(BASE, "wk_12345678") + made)
        assert codes(html) == []
        assert codes(html, level="ok") == ["tag", "form"]


def test_each_box_of_consent_says_what_it_asks_for() -> None:
    shown = re.findall(r'type="checkbox"[^>]*> ([^<]*)<', plain_form(FORM, BASE))
    assert shown == ["個人情報の取扱いに同意します", "メルマガ"]


@pytest.mark.parametrize(
    ("head", "body", "headers", "code"),
    [
        ("", "", {}, "no_form"),
        ("", '<form method="post" action="/send">', {}, "no_form"),
        ("", f'<form action="{BASE}/v1/forms/x">', {}, "wrong_method"),
        ("", f'<form method="post" action="{BASE.replace("https", "http")}/v1/forms/x">', {}, "mixed_content"),
        ('<meta name="referrer" content="no-referrer">', "FORM", {}, "origin_hidden"),
        ("", "FORM", {"referrer-policy": "no-referrer"}, "origin_hidden"),
        ("", "FORM", {"content-security-policy": "form-action 'self'"}, "csp_form_action"),
        ('<meta http-equiv="Content-Security-Policy" content="form-action \'none\'">', "FORM", {}, "csp_form_action"),
        ("", "SCRIPT", {"content-security-policy": "default-src 'self'"}, "csp_connect_src"),
        ("", "TAG", {"content-security-policy": "script-src 'self'"}, "csp_script_src"),
        ("", f'<script src="{BASE}/v1/tag.js"></script>', {}, "tag_without_key"),
    ],
)
def test_a_fault_is_named(head: str, body: str, headers: dict[str, str], code: str) -> None:
    made = {"FORM": plain_form(FORM, BASE), "SCRIPT": form_with_script(FORM, BASE), "TAG": tag_element(BASE, "wk_1")}
    assert code in codes(HTML.format(head=head, body=made.get(body, body)), headers)


def test_a_page_with_the_tag_alone_needs_no_form() -> None:
    html = HTML.format(head="", body=tag_element(BASE, "wk_12345678"))
    assert codes(html) == []
    assert codes(html, level="note") == ["no_form"]


def test_the_test_is_what_a_browser_would_send() -> None:
    page = read_page(HTML.format(head="", body=plain_form(FORM, BASE)).encode(), PAGE, {})
    form = chosen_form(page)
    assert form is not None
    sent = parse_qs(filled_in(form).decode())
    assert (sent["メールアドレス"], sent["お名前"], sent["kizashi_test"]) == (["check@example.com"], ["check"], ["1"])
    assert "kizashi_website" not in sent, "people do not see the honeypot"


def test_an_old_page_is_read_and_answered_in_its_encoding() -> None:
    body = f'<meta charset="Shift_JIS"><form method="post" action="{BASE}/v1/forms/x"><input name="お名前"></form>'
    form = chosen_form(read_page(body.encode("cp932"), PAGE, {}))
    assert form is not None
    assert filled_in(form).startswith(b"%82%A8%96%BC%91O=check&")
    broken = read_page(
        b'\xff<form action=/v1/forms/x method=POST><input name=a><base href="//["',
        PAGE,
        {"content-type": "x; charset=nope"},
    )
    assert chosen_form(broken) is not None


@pytest.mark.parametrize(
    ("policy", "refused"),
    [
        ("", False),
        ("img-src 'self'", False),
        ("form-action *", False),
        ("form-action https:", False),
        ("form-action https://leads.example.co.jp", False),
        ("form-action leads.example.co.jp:443/v1/", False),
        ("form-action *.example.co.jp", False),
        ("FORM-ACTION 'self' HTTPS://LEADS.EXAMPLE.CO.JP", False),
        ("form-action 'self'", True),
        ("form-action 'none'", True),
        ("form-action", True),
        ("form-action http://leads.example.co.jp:8080", True),
        ("form-action https://other.example", True),
        ("form-action *.leads.example.co.jp", True),
        ("default-src 'none'", False),
    ],
)
def test_policies(policy: str, refused: bool) -> None:
    assert (refusing([policy], "form-action", f"{BASE}/v1/forms/x", PAGE) is not None) is refused
