"""Whatever a genuine sender's body holds, reading it fails by report, never by exception."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.sources.base import Delivery, Headers, Options, Verdict
from services.ingest.sources.receive import read, receive
from services.ingest.sources.registry import SOURCES
from shared.activity import parse_recorded, to_record
from shared.codec import decode, encode
from tests.unit.ingest.sources.samples import SAMPLES, Sample

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
GENUINE = Verdict(True, "signature matches")

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.text(max_size=12),
    st.sampled_from(["a@example.co.jp", "2026-10-07 15:59:07", "1e400", "0x10", "\x00", "ı@exämple.jp", "９０", "-1"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def sources(sample: Sample) -> Options:
    return Options(sample.adapter, sample.adapter)


def mutated(draw: Any, value: Any) -> Any:
    """The value with parts of it replaced by something of another kind."""
    if draw(st.integers(0, 7)) == 0:
        return draw(values)
    if isinstance(value, dict):
        return {key: mutated(draw, child) for key, child in value.items()}
    if isinstance(value, list):
        return [mutated(draw, child) for child in value]
    return value


@st.composite
def bodies(draw: Any, sample: Sample) -> tuple[str, bytes]:
    told = sample.told["body"]
    if isinstance(told, str):
        raw = bytearray(told.encode())
        for _ in range(draw(st.integers(0, 3))):
            place = draw(st.integers(0, len(raw) - 1))
            raw[place : place + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
        return sample.content_type, bytes(raw)
    text = json.dumps(mutated(draw, told))
    field = sample.told.get("form_field")
    return sample.content_type, urlencode({field: text}).encode() if field else text.encode()


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.adapter)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_reads_or_reports_any_body(sample: Sample, data: st.DataObject) -> None:
    content_type, body = data.draw(bodies(sample))
    method = data.draw(st.sampled_from(["POST", "PUT", "GET"]))
    delivery = Delivery(method, "https://h.example/x?a=1&%ff=%00", Headers([("Content-Type", content_type)]), body)
    result = read(SOURCES[sample.adapter], delivery, GENUINE, now=NOW, options=sources(sample))
    for taken in result.taken:
        record = decode(encode(to_record(taken.activity)))
        assert parse_recorded(record).identifiers == taken.activity.identifiers
    assert result.taken or result.refused or result.ignored or body == b"[]"


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.adapter)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_judges_any_request(sample: Sample, data: st.DataObject) -> None:
    signature_headers = [
        "webhook-signature",
        "webhook-id",
        "webhook-timestamp",
        "X-Signature",
        "authorization",
        "x-zm-signature",
    ]
    names = st.sampled_from(
        [*signature_headers, "X-Li-Signature", "Klaviyo-Timestamp", "X-HubSpot-Signature-v3", "content-type"]
    )
    texts = st.text(st.characters(max_codepoint=0x2FFF), max_size=20) | st.sampled_from(
        ["t=1,v1=a", "Basic =", "\udcff", "Bearer"]
    )
    delivery = Delivery(
        data.draw(st.sampled_from(["GET", "HEAD", "POST", "PUT"])),
        data.draw(
            st.sampled_from(
                ["https://h/x", "https://[h", "", "//@?=&a[b]=c", "https://h/?hub.mode=subscribe&challengeCode=\udcff"]
            )
        ),
        Headers(data.draw(st.lists(st.tuples(names, texts), max_size=5))),
        data.draw(st.binary(max_size=30) | st.just(b'{"event":"endpoint.url_validation"}')),
    )
    result = receive(
        SOURCES[sample.adapter], delivery, ["\udcffsecret", "whsec_AAAA"], now=NOW, options=sources(sample)
    )
    assert result.taken == []


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.adapter)
def test_survives_deep_and_wide_bodies(sample: Sample) -> None:
    for body in (
        b"[" * 100_000,
        b'{"a":' * 40 + b"1" + b"}" * 40,
        b"a[b]" * 50_000,
        b"&" * 20_000,
        b"a" + b"[b]" * 50 + b"=1",
    ):
        delivery = Delivery("POST", "https://h/x", Headers([("Content-Type", sample.content_type)]), body)
        result = read(SOURCES[sample.adapter], delivery, GENUINE, now=NOW, options=sources(sample))
        assert result.taken == []
