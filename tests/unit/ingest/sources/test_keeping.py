"""What is kept of requests: for reading again, for those who watch, for counts."""

from datetime import UTC, datetime

import pytest

from services.ingest.sources.base import Delivery, Headers, NotUnderstood, Options, Verdict
from services.ingest.sources.config import Source
from services.ingest.sources.receive import Received
from services.ingest.sources.registry import SOURCES
from services.ingest.sources.rejected import Part, parts_of, read_again, without_secrets
from services.ingest.sources.traffic import KEPT_REQUESTS, REMEMBERED_IDS, WATCH_S, Traffic

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
GENUINE = Verdict(True, "signature matches", covers=1)
SOURCE = Source("main", SOURCES["segment"], ("the-secret",), Options("main", "segment"))


def parts(body: bytes, part_bytes: int = 10) -> list[Part]:
    headers = Headers(
        [("X-Signature", "abc"), ("Authorization", "Basic x"), ("X-Own", "has the-secret in it"), ("X-Api-Key", "k")]
    )
    delivery = Delivery("POST", "https://u:p@h.example/x?token=1&a=the-secret&b=2", headers, body)
    return parts_of(SOURCE, delivery, GENUINE, [NotUnderstood("broken", 3)], NOW, part_bytes)


def test_a_request_is_cut_and_joined_without_its_secrets() -> None:
    made = parts(b"x" * 25)
    assert [part.headers["part"] for part in made] == ["1/3", "2/3", "3/3"]
    assert [len(part.value) for part in made] == [10, 10, 5]
    told = made[0].headers
    assert (told["reason"], told["url"], told["covers"]) == ("item 3: broken", "https://h.example/x?b=2", "1")
    assert told["request_headers"] == '[["X-Signature","abc"]]'


def test_reading_again_trusts_no_more_than_the_signature_covered() -> None:
    call = b'{"type":"page","messageId":"%d","anonymousId":"x"}'
    received = read_again(parts(b"[" + call % 1 + b"," + call % 2 + b"]"), SOURCE)
    assert [taken.activity.id for taken in received.taken] == ["1"]
    assert [item.reason for item in received.refused] == ["not covered by the signature"]


def test_an_empty_body_is_one_part() -> None:
    made = parts(b"")
    assert [(part.headers["part"], part.value) for part in made] == [("1/1", b"")]


@pytest.mark.parametrize("chosen", [[], [0], [1, 0], [0, 1, 1]])
def test_parts_of_no_whole_request_are_refused(chosen: list[int]) -> None:
    made = parts(b"x" * 15)
    with pytest.raises(ValueError, match="not all parts"):
        read_again([made[index] for index in chosen], SOURCE)


@pytest.mark.parametrize(("url", "kept"), [("https://[x", ""), ("https://h/p?q=%FF", "https://h/p?q=%EF%BF%BD")])
def test_an_odd_address_is_kept_as_far_as_it_can_be_read(url: str, kept: str) -> None:
    assert without_secrets(url, []) == kept


def test_duplicates_are_counted_among_the_latest_ids() -> None:
    traffic, half = Traffic(), REMEMBERED_IDS // 2
    assert traffic.repeated(["a", "b", "a"]) == 1
    assert traffic.repeated([str(number) for number in range(half)]) == 0
    assert traffic.repeated(["0"]) == 1
    assert traffic.repeated([str(-number) for number in range(1, half + 1)]) == 0
    assert traffic.repeated(["a"]) == 0
    assert traffic.repeated(["0", str(-half)]) == 2


def test_requests_are_kept_only_while_someone_watches() -> None:
    traffic, received = Traffic(), Received(GENUINE)
    traffic.show(received, "POST", 2, NOW, monotonic=0.0)
    assert traffic.watch(None, monotonic=1.0) == []
    for _ in range(KEPT_REQUESTS + 5):
        traffic.show(received, "POST", 2, NOW, monotonic=2.0)
    shown = traffic.watch(1, monotonic=3.0)
    assert [item["number"] for item in shown] == list(range(7, 57))
    traffic.show(received, "POST", 2, NOW, monotonic=3.0 + WATCH_S + 1)
    assert traffic.watch(0, monotonic=3.0 + 2 * WATCH_S) == []
