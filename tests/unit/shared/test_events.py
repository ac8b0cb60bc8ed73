"""Headers of events, packed as the outbox holds them."""

import orjson
import pytest

from shared.events import NO_HEADERS, cloud_event_headers, pack_headers, unpack_headers


@pytest.mark.parametrize("name", ["0190-a", "営業 1", ""])
def test_the_headers_of_an_event_are_what_packing_them_one_by_one_gives(name: str) -> None:
    packed = cloud_event_headers(
        id_=f"{name}:1", source="kizashi/scoring", type_="t.v1", time="2026-11-20T01:15:00.000000Z", key=name
    )
    one_by_one = [
        ("ce_specversion", b"1.0"),
        ("ce_id", f"{name}:1".encode()),
        ("ce_source", b"kizashi/scoring"),
        ("ce_type", b"t.v1"),
        ("ce_time", b"2026-11-20T01:15:00.000000Z"),
        ("ce_partitionkey", name.encode()),
        ("content-type", b"application/json"),
    ]
    assert packed == pack_headers(one_by_one)
    assert unpack_headers(packed) == one_by_one


def test_headers_of_any_bytes_survive() -> None:
    headers = [("x", bytes(range(256))), ("x", b"")]
    assert unpack_headers(pack_headers(headers)) == headers
    assert unpack_headers(NO_HEADERS) == []
    assert orjson.loads(NO_HEADERS) == []
