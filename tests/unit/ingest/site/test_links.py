"""Tracked links and open pixels: sealed, served in any case, recorded with what they tell about the sender."""

import asyncio
import base64
from collections.abc import Sequence
from datetime import timedelta

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from services.ingest.durable import Durability, OutgoingRecord
from services.ingest.links import PIXEL
from services.ingest.settings import IngestSettings
from services.ingest.site.tokens import BadToken, Mark, Tokens
from shared.errors import ConfigError
from shared.settings import load
from tests.unit.ingest.conftest import NOW, ListedRecords
from tests.unit.ingest.site.desk import kept, site_client

URL = "https://www.example.co.jp/price?a=1&b=%E6%96%99"
SENT_AT = int((NOW - timedelta(seconds=12)).timestamp())
MARK = Mark(URL, "taro@example.co.jp", "crm:7", "autumn-2", "autumn", "price", SENT_AT)
TOKENS = Tokens(b"a secret")


def lost(type_: str, reason: str) -> float:
    return REGISTRY.get_sample_value("kizashi_ingest_tracking_lost_total", {"type": type_, "reason": reason}) or 0.0


async def test_a_click_leads_on_and_is_recorded(page: httpx2.AsyncClient, durable: ListedRecords) -> None:
    answer = await page.get(f"/v1/c/{TOKENS.seal(MARK)}", headers={"User-Agent": "python-requests/2"})
    assert (answer.status_code, answer.headers["location"]) == (302, URL)
    assert "no-store" in answer.headers["cache-control"]
    activity = kept(durable)[0]
    assert (activity.source, activity.type) == ("links", "email_clicked")
    assert [tuple(one) for one in activity.identifiers] == [("email", "taro@example.co.jp"), ("external", "crm:7")]
    assert activity.properties == {"email_id": "autumn-2", "campaign": "autumn", "link": URL, "link_id": "price"}
    assert activity.signals is not None
    network = activity.signals.pop("network")
    assert isinstance(network, str)
    assert activity.signals == {"method": "GET", "agent": "library", "since_sent_s": 12.0, "link": "price"}


async def test_an_opened_mail_and_a_scanner(page: httpx2.AsyncClient, durable: ListedRecords) -> None:
    pixel = TOKENS.seal(Mark(None, "taro@example.co.jp", email_id="autumn-2"))
    answer = await page.get(f"/v1/o/{pixel}.gif")
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, PIXEL, "image/gif")
    trap = TOKENS.seal(Mark(URL, "taro@example.co.jp", email_id="autumn-2", honeypot=True))
    head = await page.head(f"/v1/c/{trap}")
    assert (head.status_code, head.headers["location"], head.content) == (302, URL, b"")
    opened, scanned = kept(durable)
    assert opened.type == "email_opened"
    assert scanned.signals is not None
    assert (scanned.signals["method"], scanned.signals["honeypot"]) == ("HEAD", True)


async def test_a_link_outside_of_a_mail_is_another_activity(page: httpx2.AsyncClient, durable: ListedRecords) -> None:
    await page.get(f"/v1/c/{TOKENS.seal(Mark(URL, external_id='crm:7'))}")
    assert kept(durable)[0].type == "link_clicked"


@pytest.mark.parametrize("token", ["", "x", "AQ", "A" * 7_000, "AQ" * 40, "é", "../c", TOKENS.seal(MARK)[:-2] + "AA"])
async def test_no_token_of_others_redirects(page: httpx2.AsyncClient, durable: ListedRecords, token: str) -> None:
    answer = await page.get(f"/v1/c/{token}?url=https://evil.example")
    assert answer.status_code == 404
    assert "location" not in answer.headers
    assert durable.records == []


async def test_a_broken_pixel_is_still_a_picture_and_a_pixel_is_no_link(
    page: httpx2.AsyncClient, durable: ListedRecords
) -> None:
    assert (await page.get("/v1/o/nonsense.gif")).content == PIXEL
    assert durable.records == []
    assert (await page.get(f"/v1/c/{TOKENS.seal(Mark(None, 'a@example.co.jp'))}")).status_code == 404


async def test_a_link_works_while_nothing_can_be_kept(page: httpx2.AsyncClient, durable: ListedRecords) -> None:
    before = lost("email_clicked", "unavailable")
    durable.refuses = "no room"
    answer = await page.get(f"/v1/c/{TOKENS.seal(MARK)}")
    assert (answer.status_code, answer.headers["location"]) == (302, URL)
    assert lost("email_clicked", "unavailable") == before + 1
    nobody = lost("email_clicked", "invalid")
    assert (await page.get(f"/v1/c/{TOKENS.seal(Mark(URL, 'nobody', email_id='m'))}")).status_code == 302
    assert lost("email_clicked", "invalid") == nobody + 1


class Stuck(ListedRecords):
    """Never done."""

    async def publish(self, records: Sequence[OutgoingRecord]) -> Durability:
        await asyncio.Event().wait()
        return await super().publish(records)


async def test_nobody_waits_for_a_kafka_that_hangs(settings: IngestSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.ingest.links.PATIENCE_S", 0.01)
    async with site_client(settings, Stuck()) as page:
        assert (await page.get(f"/v1/c/{TOKENS.seal(MARK)}")).status_code == 302


texts = st.none() | st.text(max_size=40)


@given(st.builds(Mark, texts, texts, texts, texts, texts, texts, st.none() | st.integers(0, 2**40), st.booleans()))
def test_what_is_sealed_opens_again(mark: Mark) -> None:
    token = TOKENS.seal(mark)
    assert TOKENS.open(token) == mark
    assert TOKENS.seal(mark) == token
    with pytest.raises(BadToken):
        Tokens(b"another secret").open(token)


@given(st.integers(0), st.integers(1, 255))
def test_no_changed_token_opens(place: int, change: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(TOKENS.seal(MARK) + "=="))
    raw[place % len(raw)] ^= change
    with pytest.raises(BadToken):
        TOKENS.open(base64.urlsafe_b64encode(bytes(raw)).rstrip(b"=").decode())


def test_keys_change_without_a_gap() -> None:
    old = TOKENS.seal(MARK)
    newer = Tokens(b"a secret", version=2)
    assert newer.seal(MARK) != old
    assert newer.open(old) == newer.open(newer.seal(MARK)) == MARK
    with pytest.raises(BadToken):
        Tokens(b"a secret", version=2, oldest=2).open(old)
    with pytest.raises(BadToken):
        TOKENS.open(newer.seal(MARK))


def test_no_setting_makes_links_that_nobody_follows() -> None:
    env = {"KIZASHI_INGEST__LINK_KEY_VERSION": "1", "KIZASHI_INGEST__LINK_KEY_OLDEST": "2"}
    with pytest.raises(ConfigError, match="link_key_oldest is above link_key_version"):
        load(IngestSettings, env)


def test_a_token_shows_no_address() -> None:
    assert "taro" not in TOKENS.seal(MARK)
    assert len(TOKENS.seal(MARK)) < 200
