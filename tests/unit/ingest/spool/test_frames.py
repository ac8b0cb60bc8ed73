"""The spool's format: whole frames come back, anything else is named, and never hides what follows."""

import io
import random

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.durable import OutgoingRecord
from services.ingest.spool.frames import MARK, Damage, Frame, pack, read_from

_headers = st.lists(st.tuples(st.text(max_size=8), st.binary(max_size=8)), max_size=3)
_records = st.builds(
    OutgoingRecord, st.text(max_size=8), st.binary(max_size=8), st.binary(max_size=40), _headers, st.integers(0, 99)
)
_requests = st.lists(st.lists(_records, max_size=4), min_size=1, max_size=6)


def read(content: bytes, start: int = 0) -> list[Frame | Damage]:
    return list(read_from(io.BytesIO(content), start, len(content)))


def requests_in(found: list[Frame | Damage]) -> list[list[OutgoingRecord]]:
    return [one.records for one in found if isinstance(one, Frame)]


@given(_requests)
def test_what_is_packed_comes_back(requests: list[list[OutgoingRecord]]) -> None:
    found = read(b"".join(map(pack, requests)))
    assert requests_in(found) == requests
    assert not any(isinstance(one, Damage) for one in found)


@given(_requests, st.data())
def test_a_cut_off_end_costs_the_last_frame_only(requests: list[list[OutgoingRecord]], data: st.DataObject) -> None:
    frames = [pack(request) for request in requests]
    whole = b"".join(frames)
    cut = data.draw(st.integers(len(whole) - len(frames[-1]) + 1, len(whole) - 1))
    found = read(whole[:cut])
    assert requests_in(found) == requests[:-1]
    assert found[-1] == Damage(len(whole) - len(frames[-1]), cut, torn=True)


@given(_requests, st.data())
def test_one_changed_byte_costs_one_frame_and_is_named(
    requests: list[list[OutgoingRecord]], data: st.DataObject
) -> None:
    frames = [pack(request) for request in requests]
    hit = data.draw(st.integers(0, len(frames) - 1))
    start = sum(map(len, frames[:hit]))
    at = start + data.draw(st.integers(0, len(frames[hit]) - 1))
    content = bytearray(b"".join(frames))
    content[at] ^= 0x40
    found = read(bytes(content))
    assert requests_in(found) == requests[:hit] + requests[hit + 1 :]
    (damage,) = [one for one in found if isinstance(one, Damage)]
    assert (damage.start, damage.end) == (start, start + len(frames[hit]))


def test_marks_inside_values_and_across_search_blocks_are_no_frames() -> None:
    record = OutgoingRecord("topic", b"key", MARK * 5, [], 1)
    dice = random.Random(3)
    for length in (65_532, 65_533, 65_534, 65_535, 65_536, 131_072):
        rubbish = dice.randbytes(length).replace(MARK, b"....") + MARK + b"\xff" * 20
        found = read(rubbish + pack([record]))
        assert requests_in(found) == [[record]]
        assert found[0] == Damage(0, len(rubbish), torn=False)


def test_reading_starts_where_it_is_told() -> None:
    first, second = ([OutgoingRecord("topic", b"key", value, [], 1)] for value in (b"1", b"2"))
    assert requests_in(read(pack(first) + pack(second), len(pack(first)))) == [second]
