"""How the tests have a request read by an adapter."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from services.ingest.sources.base import Delivery, Headers, Options, Verdict
from services.ingest.sources.receive import Received, read, receive
from services.ingest.sources.registry import SOURCES
from tests.unit.ingest.sources import signing
from tests.unit.ingest.sources.samples import SAMPLES

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
GENUINE = Verdict(True, "signature matches")
SECRET = "right-secret-0123456789"


def options(adapter: str, **changes: Any) -> Options:
    return replace(Options(adapter, adapter), **changes)


def reading(adapter: str, told: Any, content_type: str = "application/json", **changes: Any) -> Received:
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    delivery = Delivery("POST", signing.URL, Headers([("Content-Type", content_type)]), body)
    return read(SOURCES[adapter], delivery, GENUINE, now=NOW, options=options(adapter, **changes))


def types(received: Received) -> list[str]:
    return [taken.activity.type for taken in received.taken]


def sample_of(adapter: str) -> Any:
    return next(sample.told["body"] for sample in SAMPLES if sample.adapter == adapter)


def asked(adapter: str, url: str, method: str = "GET", verify_token: str | None = None) -> Received:
    known = options(adapter, verify_token=verify_token)
    return receive(SOURCES[adapter], Delivery(method, url, Headers([]), b""), [SECRET], now=NOW, options=known)
