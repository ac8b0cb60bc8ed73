"""The routes of pages and mails with a list as the place for records."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import orjson

from services.ingest.collecting import Collecting, WriteKeys
from services.ingest.forms import Forms
from services.ingest.links import Links
from services.ingest.settings import IngestSettings
from services.ingest.site.config import Form, Tag
from services.ingest.site_routes import site_routes
from services.ingest.tracking import Tracking
from shared.activity import Activity, parse_recorded
from shared.web import create_app
from tests.unit.ingest.conftest import NOW, ListedRecords

SITE = "https://www.example.co.jp"
FORM = Form(
    key="contact-ja",
    activity="inquiry_sent",
    allowed_origins=frozenset({SITE}),
    thank_you=f"{SITE}/thanks",
    fields={
        "お名前": "attributes.name",
        "会社名": "attributes.company",
        "メールアドレス": "lead.email",
        "電話": "lead.phone",
        "ご相談内容": "properties.message",
        "同意": "consent.profiling",
        "メルマガ": "consent.email",
        "社内メモ": "ignore",
        "会員番号": "lead.external_ids.members",
    },
    consent_text="個人情報の取扱いに同意します",
)
USUAL = Form(key="usual", allowed_origins=frozenset({SITE}), properties={"document": "price-list"})
OFF = Form(key="off", disabled="X is not set")
TAG = Tag("website", ("wk_12345678", "wk_newer_99"), frozenset({SITE}), "members", None, {"Signed Up": "trial_started"})
NARROW = Tag("narrow", ("wk_narrow_1",), frozenset({"https://other.example"}), "narrow", frozenset({"page_viewed"}))
FULL = {
    "お名前": "山田 太郎",
    "会社名": "株式会社サンプル",
    "メールアドレス": "taro.yamada@example.co.jp",
    "ご相談内容": "価格を教えてください",
}


@asynccontextmanager
async def site_client(settings: IngestSettings, durable: ListedRecords) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the routes; it follows no redirect."""
    forms = {form.key: form for form in (FORM, USUAL, OFF)}
    keys = WriteKeys({tag.name: tag for tag in (TAG, NARROW)})

    def clock() -> Any:
        return NOW

    routes = site_routes(
        Forms(settings, forms, clock, durable),
        Collecting(settings, keys, clock, durable),
        Links(settings, clock, durable),
        Tracking(settings, keys, clock, durable),
    )
    app = create_app(
        title="Ingest",
        version="0",
        settings=settings,
        lifespan=None,
        readiness=durable.faults,
        lean=routes,
        clock=clock,
    )
    transport = httpx2.ASGITransport(app=app, client=("203.0.113.77", 1))
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


def kept(durable: ListedRecords) -> list[Activity]:
    """The activities on the list."""
    return [parse_recorded(orjson.loads(record.value)) for record in durable.records]
