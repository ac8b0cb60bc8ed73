"""Kept requests are put together again, read with the present adapters, and posted under the same ids."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.cli.rejected_webhooks import MAX_POSTED, reread, whole_requests
from services.ingest.sources.base import Headers
from services.ingest.sources.config import Source
from services.ingest.sources.receive import receive
from services.ingest.sources.registry import SOURCES
from services.ingest.sources.rejected import parts_of
from shared.kafka.records import Record
from tests.unit.ingest.sources.samples import SAMPLES, Sample, with_part
from tests.unit.ingest.sources.signing import delivered

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


def source_of(sample: Sample, name: str = "main") -> Source:
    return Source(name, SOURCES[sample.adapter], (sample.secret,), replace(sample.options, source=name))


def kept(sample: Sample, body: bytes, *, part_bytes: int = 1 << 20, at: datetime = NOW, key: str = "r") -> list[Record]:
    """The records a request leaves on the topic."""
    source = source_of(sample)
    delivery = delivered(sample.adapter, sample.secret, body, sample.content_type, at)
    secret = Headers([*delivery.headers, ("Authorization", "Bearer other"), ("Cookie", "a=b")])
    received = receive(
        source.adapter, replace(delivery, headers=secret), source.secrets, now=at, options=source.options
    )
    parts = parts_of(source, replace(delivery, headers=secret), received.verdict, received.refused, at, part_bytes)
    return [
        Record(
            "rejected-webhooks",
            0,
            offset,
            0,
            key.encode(),
            part.value,
            [(name, value.encode()) for name, value in part.headers.items()],
        )
        for offset, part in enumerate(parts)
    ]


class Desk:
    """Takes what is posted."""

    def __init__(self) -> None:
        self.posts: list[Sequence[Mapping[str, Any]]] = []

    def __call__(self, activities: Sequence[Mapping[str, Any]]) -> None:
        self.posts.append(activities)

    @property
    def activities(self) -> list[Mapping[str, Any]]:
        return [activity for post in self.posts for activity in post]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.adapter)
def test_every_tools_request_is_read_under_the_ids_it_had(sample: Sample) -> None:
    source, desk = source_of(sample), Desk()
    delivery = delivered(sample.adapter, sample.secret, sample.bytes_of("body"), sample.content_type, NOW)
    first = receive(source.adapter, delivery, source.secrets, now=NOW, options=source.options)
    result = reread(kept(sample, sample.bytes_of("body")), {"main": source}, desk)
    assert result.done
    assert result.ids == tuple(taken.activity.id for taken in first.taken)
    assert [activity["id"] for activity in desk.activities] == list(result.ids)
    assert {activity["source"] for activity in desk.activities} == {"main"}
    assert all(activity["occurred_at"] for activity in desk.activities)


@pytest.mark.parametrize("sample", with_part("mixed"), ids=lambda sample: sample.adapter)
def test_what_is_still_not_understood_is_said(sample: Sample) -> None:
    if "mixed_content_type" in sample.told:
        sample = replace(sample, told={**sample.told, "content_type": sample.told["mixed_content_type"]})
    desk = Desk()
    result = reread(kept(sample, sample.bytes_of("mixed")), {"main": source_of(sample)}, desk)
    assert not result.done
    assert len(desk.activities) == sample.told["good"]


def test_an_activity_without_time_happened_when_it_came() -> None:
    sample = next(sample for sample in SAMPLES if sample.adapter == "eventbrite")
    desk, came = Desk(), NOW - timedelta(days=3)
    reread(kept(sample, sample.bytes_of("body"), at=came), {"main": source_of(sample)}, desk)
    assert [activity["occurred_at"] for activity in desk.activities] == ["2026-11-21T03:00:00.000000Z"]


def test_long_requests_are_posted_in_pieces() -> None:
    sample = next(sample for sample in SAMPLES if sample.adapter == "hubspot")
    events = [{**sample.told["body"][0], "eventId": number} for number in range(MAX_POSTED + 1)]
    body = replace(sample, told={**sample.told, "body": events}).bytes_of("body")
    desk = Desk()
    result = reread(kept(sample, body, part_bytes=500), {"main": source_of(sample)}, desk)
    assert [len(post) for post in desk.posts] == [MAX_POSTED, 1]
    assert len(set(result.ids)) == MAX_POSTED + 1


def test_parts_between_others_are_put_together() -> None:
    sample = next(sample for sample in SAMPLES if sample.adapter == "mautic")
    body = sample.bytes_of("body")
    first, second = (kept(sample, body, part_bytes=len(body) // 2 + 1, key=key) for key in "ab")
    single = kept(sample, body, key="c")
    mixed = [first[0], second[0], single[0], second[1], first[1]]
    assert list(whole_requests(mixed)) == [single, second, first]


def test_parts_without_the_rest_are_left_alone() -> None:
    sample = next(sample for sample in SAMPLES if sample.adapter == "mautic")
    parts = kept(sample, sample.bytes_of("body"), part_bytes=500)
    for some in (parts[1:], parts[:-1]):
        (found,) = whole_requests(some)
        desk = Desk()
        assert reread(found, {"main": source_of(sample)}, desk).refused == (
            "not a kept request: not all parts of one request"
        )
        assert desk.posts == []


def test_what_cannot_be_read_is_named() -> None:
    sample, desk = SAMPLES[0], Desk()
    records = kept(sample, sample.bytes_of("body"))
    assert "not configured" in reread(records, {}, desk).refused
    foreign = replace(records[0], headers=[("source", b"main")])
    assert "not a kept request" in reread([foreign], {"main": source_of(sample)}, desk).refused
    assert desk.posts == []
