"""Forms, the page tag and tracked links on a real process and a real Kafka, and `kizashi forms check` against it."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner

from deploy.cli.forms import app as forms_app
from services.ingest.site.config import read_forms
from services.ingest.site.snippets import form_with_script, plain_form
from services.ingest.site.tokens import Mark, Tokens
from shared.activity import parse_recorded
from shared.codec import encode
from tests.conftest import KafkaServer
from tests.integration.ingest.process import IngestProcess, records_of, running_ingest
from tests.site import Site, serving

KEY = f"contact-{uuid.uuid4().hex[:8]}"
TAG, WRITE_KEY = f"site-{uuid.uuid4().hex[:8]}", f"wk_{uuid.uuid4().hex}"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with serving() as running:
        yield running


@pytest.fixture(scope="module")
def pages(topics: KafkaServer, site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[IngestProcess]:
    folder: Path = tmp_path_factory.mktemp("pages")
    form = {"activity": "inquiry_sent", "allowed_origins": [site.origin], "thank_you": f"{site.origin}/thanks"}
    tree = {
        "forms": {KEY: form, "elsewhere": {"allowed_origins": ["https://www.example.co.jp"]}},
        "tags": {TAG: {"write_keys": [WRITE_KEY], "allowed_origins": [site.origin]}},
    }
    (folder / "sources.yaml").write_bytes(encode(tree))
    with running_ingest(folder, topics.bootstrap_servers, config=folder) as running:
        yield running


def test_what_pages_send_stands_on_the_topic(pages: IngestProcess, site: Site, topics: KafkaServer) -> None:
    fields = {"お名前": "山田 太郎", "メールアドレス": "taro@example.co.jp", "kizashi_submission": "s-1"}
    body = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in fields.items())
    headers = {"Origin": site.origin, "Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"}
    for _ in range(2):
        sent = httpx2.post(f"{pages.url}/v1/forms/{KEY}", content=body, headers=headers)
        assert (sent.status_code, sent.headers["location"]) == (303, f"{site.origin}/thanks")
    first, second = (
        parse_recorded(json.loads(record.value or b"")) for record in records_of(topics.bootstrap_servers, KEY)
    )
    assert first.id == second.id
    assert (first.type, first.attributes["name"]) == ("inquiry_sent", "山田 太郎")
    assert first.signals is not None
    assert len(first.signals["network"]) == 16

    seen = {"type": "page_viewed", "properties": {"url": f"{site.origin}/pricing"}}
    beacon = {"write_key": WRITE_KEY, "anonymous_id": "b-1", "activities": [seen]}
    assert (
        httpx2.post(f"{pages.url}/v1/collect", content=encode(beacon), headers={"Origin": site.origin}).status_code
        == 202
    )
    call = {"anonymousId": "b-1", "event": "Trial Started", "messageId": "m-1"}
    assert httpx2.post(f"{pages.url}/v1/track", json=call, auth=(WRITE_KEY, "")).status_code == 200
    kinds = [json.loads(record.value or b"")["type"] for record in records_of(topics.bootstrap_servers, TAG)]
    assert sorted(kinds) == ["page_viewed", "trial_started"]


def _quoted(text: str) -> str:
    """As a page in Shift_JIS sends it."""
    return "".join(f"%{byte:02X}" for byte in text.encode("cp932"))


def test_a_link_of_a_mail(pages: IngestProcess, topics: KafkaServer) -> None:
    mail = uuid.uuid4().hex
    token = Tokens(b"a secret").seal(Mark("https://www.example.co.jp/price", "taro@example.co.jp", email_id=mail))
    assert httpx2.head(f"{pages.url}/v1/c/{token}").status_code == 302
    clicked = httpx2.get(f"{pages.url}/v1/c/{token}")
    assert (clicked.status_code, clicked.headers["location"]) == (302, "https://www.example.co.jp/price")
    found = [json.loads(record.value or b"") for record in records_of(topics.bootstrap_servers, "links")]
    methods = [one["signals"]["method"] for one in found if one["properties"].get("email_id") == mail]
    assert sorted(methods) == ["GET", "HEAD"]


def check(url: str, *allowed: str) -> tuple[int, list[str], str]:
    allow = [word for host in allowed for word in ("--allow", host)]
    result = CliRunner().invoke(forms_app, ["check", url, "--json", *allow])
    findings = json.loads(result.stdout)["findings"]
    shown = "; ".join(one["text"] for one in findings)
    return result.exit_code, [one["code"] for one in findings if one["level"] == "fault"], shown


def test_a_page_is_checked(pages: IngestProcess, site: Site, topics: KafkaServer) -> None:
    form = read_forms({KEY: {}}, {})[0][KEY]
    hosts = (site.origin.removeprefix("http://"), pages.url.removeprefix("http://"))
    good = site.put("/contact", form_with_script(form, pages.url))
    moved = site.put("/old", "", status="302", location="/contact")
    before = len(records_of(topics.bootstrap_servers, KEY))
    for url in (good, moved):
        code, faults, shown = check(url, *hosts)
        assert (code, faults) == (0, []), shown
        assert "メールアドレス → lead.email" in shown
    assert len(records_of(topics.bootstrap_servers, KEY)) == before, "a test is never kept"


def test_a_fault_is_named(pages: IngestProcess, site: Site) -> None:
    html = plain_form(read_forms({KEY: {}}, {})[0][KEY], pages.url)
    hosts = (site.origin.removeprefix("http://"), pages.url.removeprefix("http://"))
    faults = {
        site.put("/origin", html.replace(KEY, "elsewhere")): "origin_not_allowed",
        site.put("/key", html.replace(KEY, "nobody")): "unknown_form",
        site.put("/fields", html.replace("メールアドレス", "宛先")): "invalid_fields",
        site.put("/action", html.replace(pages.url, "")): "not_kizashi",
        site.put("/method", html.replace('method="post"', "")): "wrong_method",
        site.put("/csp", html, content_security_policy="form-action 'self'"): "csp_form_action",
        site.put("/hidden", html, referrer_policy="no-referrer"): "origin_hidden",
        site.put("/none", "<p>no form</p>"): "no_form",
        f"{site.origin}/missing": "page_status",
        site.put("/round", "", status="302", location="/round"): "page_redirects",
    }
    for url, expected in faults.items():
        code, found, shown = check(url, *hosts)
        assert code == 1, url
        assert expected in found, shown
    assert check(site.origin + "/key", hosts[0])[1] == ["address_refused"], "the form's own address is guarded too"
    assert check(good := site.origin + "/none")[1] == ["address_refused"], good
