"""Requests and keys that the tools themselves, or others who receive from them, have published."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from services.ingest.sources.base import Delivery, Headers, Options
from services.ingest.sources.receive import receive
from services.ingest.sources.registry import SOURCES
from tests.unit.ingest.sources.samples import FOLDER

VECTORS: list[dict[str, Any]] = json.loads((FOLDER / "signatures.json").read_text(encoding="utf-8"))
SAME_SCHEME = {"x-hub-signature-256": "meta", "slack-v0": "generic"}


def adapter_of(vector: dict[str, Any]) -> str:
    tool = str(vector["tool"])
    return SAME_SCHEME.get(tool, "hubspot" if tool.startswith("hubspot") else tool)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector['tool']}: {vector['title']}")
def test_gives_the_published_verdict(vector: dict[str, Any]) -> None:
    name = adapter_of(vector)
    received = receive(
        SOURCES[name],
        Delivery(vector["method"], vector["url"], Headers(vector["headers"].items()), vector["body"].encode()),
        [vector["secret_or_public_key"]],
        now=datetime.fromtimestamp(vector.get("now", 1_795_000_000), UTC),
        options=Options(name, name, accept_v1=True),
    )
    assert received.verdict.valid is (vector["expected"] == "valid")
    assert "reason" not in vector or received.verdict.reason.startswith(vector["reason"])
