"""What goes wrong between a tool and us: bodies cut short, written anew, in another encoding, compressed, too many."""

import gzip
import json
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from services.ingest.sources.base import Headers
from services.ingest.sources.drafts import MAX_ITEMS
from services.ingest.sources.receive import Received
from services.ingest.sources.registry import SOURCES
from tests.unit.ingest.sources.samples import SAMPLES, Sample
from tests.unit.ingest.sources.signing import delivered
from tests.unit.ingest.sources.test_every_adapter import IN_BODY, NOW, UNSIGNED, every, given, received

SIGNED = sorted(SOURCES.keys() - UNSIGNED - IN_BODY)
# Of these the body is a form or has its own way of writing; the rest is JSON.
WRITTEN_ANEW = [sample for sample in SAMPLES if sample.adapter in SIGNED and "json" in sample.content_type]


def sample_of(adapter: str) -> Sample:
    return next(sample for sample in SAMPLES if sample.adapter == adapter)


def _reversed(tree: object) -> object:
    if isinstance(tree, dict):
        return {name: _reversed(tree[name]) for name in reversed(tree)}
    return [_reversed(item) for item in reversed(tree)] if isinstance(tree, list) else tree


def _spaced(body: bytes) -> bytes:
    return json.dumps(json.loads(body), indent=1).encode()


def _escaped(body: bytes) -> bytes:
    return re.sub(rb'"([a-z])', lambda found: b'"\\u%04x' % ord(found[1]), body, count=1)


def _reordered(body: bytes) -> bytes:
    return json.dumps(_reversed(json.loads(body)), ensure_ascii=False).encode()


@pytest.mark.parametrize("change", [_spaced, _escaped, _reordered])
@pytest.mark.parametrize("sample", WRITTEN_ANEW, ids=lambda sample: sample.adapter)
def test_a_signed_body_written_anew_is_refused(sample: Sample, change: Callable[[bytes], bytes]) -> None:
    delivery = given(sample)
    changed = change(delivery.body)
    assert changed != delivery.body
    result = received(sample, replace(delivery, body=changed))
    assert (result.verdict.valid, result.taken) == (False, [])


@pytest.mark.parametrize("adapter", SIGNED)
@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.decode().encode("utf-16"),
        lambda body: b"\xef\xbb\xbf" + body,
        gzip.compress,
        lambda body: body + b" x",
        lambda body: body * 2,
        lambda body: body[:0],
    ],
    ids=["utf-16", "byte-order mark", "gzip", "more", "twice", "nothing"],
)
def test_a_signed_body_in_another_encoding_is_refused(adapter: str, change: Callable[[bytes], bytes]) -> None:
    sample = sample_of(adapter)
    delivery = given(sample)
    result = received(sample, replace(delivery, body=change(delivery.body)))
    # Segment signs the first element, which stands in the doubled body's text too.
    assert result.taken == []
    assert not result.verdict.valid or result.refused


def _reported(result: Received) -> bool:
    return result.taken == [] and (bool(result.refused) or not result.verdict.valid)


@every
def test_a_body_cut_short_anywhere_is_reported(sample: Sample) -> None:
    """Also where the tool signed what it cut, or does not sign."""
    body = sample.bytes_of("body")
    whole = received(sample, given(sample))
    names = {taken.activity.id for taken in whole.taken}
    for end in range(0, len(body), max(1, len(body) // 60)):
        delivery = delivered(sample.adapter, sample.secret, body[:end], sample.content_type, NOW)
        result = received(sample, delivery)
        if "json" in sample.content_type or "xml" in sample.content_type:
            assert _reported(result), (end, result.taken)
        else:  # a form has no end that could be missing
            assert len(result.taken) <= len(names)


@every
def test_compressed_bodies_are_reported(sample: Sample) -> None:
    body = gzip.compress(sample.bytes_of("body"))
    result = received(sample, delivered(sample.adapter, sample.secret, body, sample.content_type, NOW))
    assert _reported(result)


@every
@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_bodies_in_other_encodings_are_read_or_reported(sample: Sample, encoding: str) -> None:
    body = sample.bytes_of("body").decode().encode(encoding)
    result = received(sample, delivered(sample.adapter, sample.secret, body, sample.content_type, NOW))
    for taken in result.taken:
        assert "�" not in json.dumps(taken.posted["lead"], ensure_ascii=False)
    assert result.taken or _reported(result)


@every
@pytest.mark.parametrize(
    "charset",
    ["utf-8", "UTF8", "x-unknown", "../../etc/passwd", "rot13", "idna", "punycode", "", '"', "utf-8; charset=cp932"],
)
def test_odd_names_of_charsets_fail_nothing(sample: Sample, charset: str) -> None:
    delivery = given(sample)
    lines = [(name, value) for name, value in delivery.headers if name != "Content-Type"]
    headers = Headers([("Content-Type", f"{sample.content_type}; charset={charset}"), *lines])
    result = received(sample, replace(delivery, headers=headers))
    assert result.verdict.valid
    assert len(result.taken) == len(sample.told["activities"]) or result.refused


@every
def test_a_delivery_replayed_elsewhere_is_the_same_activity(sample: Sample) -> None:
    """A request that someone recorded and sends again adds nothing: its ids are those of the first."""
    ids = {tuple(taken.activity.id for taken in received(sample, given(sample)).taken) for _ in range(3)}
    assert len(ids) == 1


@pytest.mark.parametrize("item", [b"0", b"{}", b"null", b'"a"', b"[]"])
@pytest.mark.parametrize("adapter", ["sendgrid", "brevo", "klaviyo", "hubspot"])
def test_arrays_of_nothing_are_reported_item_by_item(adapter: str, item: bytes) -> None:
    sample = sample_of(adapter)
    count = 5_000
    body = b"[" + b",".join([item] * count) + b"]"
    result = received(sample, delivered(adapter, sample.secret, body, sample.content_type, NOW))
    assert result.taken == []
    assert len(result.refused) in (1, count)


MANY = 8 * 1_048_576
# The ways in which tools wrap their items: before and after, and the item that is repeated.
WRAPPED = [
    ("sendgrid", b"[", b"{}", b"]"),
    ("sendgrid", b"[", b"0", b"]"),
    ("hubspot", b"[", b"[]", b"]"),
    ("klaviyo", b'{"data":[', b"{}", b"]}"),
    ("mautic", b'{"mautic.page_on_hit":[', b"{}", b"]}"),
    ("meta", b'{"entry":[{"changes":[', b"{}", b"]}]}"),
    ("brevo", b"[", b"null", b"]"),
    ("eventbrite", b"[", b"{}", b"]"),
]


@pytest.mark.parametrize(("adapter", "before", "item", "after"), WRAPPED)
def test_eight_mebibytes_of_tiny_items_are_one_refusal(adapter: str, before: bytes, item: bytes, after: bytes) -> None:
    sample = sample_of(adapter)
    count = (MANY - len(before) - len(after)) // (len(item) + 1)
    body = before + b",".join([item] * count) + after
    result = received(sample, delivered(adapter, sample.secret, body, sample.content_type, NOW))
    assert result.verdict.valid
    assert (result.taken, len(result.refused)) == ([], 1)
    assert result.refused[0].reason == "the body holds more than 1,000,000 values"


@pytest.mark.parametrize("adapter", ["sendgrid", "mautic", "meta"])
def test_more_items_than_any_tool_sends_are_one_refusal(adapter: str) -> None:
    before, item, after = next(parts for name, *parts in WRAPPED if name == adapter)
    sample = sample_of(adapter)
    body = before + b",".join([item] * (MAX_ITEMS + 1)) + after
    result = received(sample, delivered(adapter, sample.secret, body, sample.content_type, NOW))
    assert [refused.reason for refused in result.refused] == ["the body holds more than 60,000 items"]


def test_an_unsigned_flood_is_refused_before_it_is_read() -> None:
    """Google's key stands in the body, which has to be read before anyone is believed."""
    sample = sample_of("google-ads")
    body = b"[" + b",".join([b"{}"] * 2_700_000) + b"]"
    result = received(sample, delivered("google-ads", sample.secret, body, sample.content_type, NOW))
    assert (result.verdict.valid, result.taken) == (False, [])
