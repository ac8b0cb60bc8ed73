from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.clock import EPOCH, all_to_rfc3339, from_micros, from_rfc3339, system_clock, to_micros, to_rfc3339

instants = st.integers(0, to_micros(datetime(9998, 12, 31, tzinfo=UTC))).map(from_micros) | st.integers(0, 2**51).map(
    lambda micros: from_micros(micros).astimezone(timezone(timedelta(hours=9)))
)


@given(instants)
def test_an_instant_survives_its_text_and_its_number(instant: datetime) -> None:
    assert from_rfc3339(to_rfc3339(instant)) == instant
    assert from_micros(to_micros(instant)) == instant


@given(st.lists(instants.map(lambda instant: instant.astimezone(UTC)) | st.just(EPOCH)))
def test_many_instants_are_written_as_one_is(many: list[datetime]) -> None:
    assert all_to_rfc3339(many) == [to_rfc3339(instant) for instant in many]


@given(instants, instants)
def test_texts_sort_as_instants_do(one: datetime, other: datetime) -> None:
    assert (to_rfc3339(one) < to_rfc3339(other)) == (one < other)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-20T10:15:00+09:00", "2026-11-20T01:15:00.000000Z"),
        ("2026-11-20 10:15:00Z", "2026-11-20T10:15:00.000000Z"),
        ("2026-11-20t10:15:00.123456789Z", "2026-11-20T10:15:00.123456Z"),
        ("2026-11-20t10:15:00z", "2026-11-20T10:15:00.000000Z"),
        ("2026-11-20T10:15:00.5-00:00", "2026-11-20T10:15:00.500000Z"),
        ("1969-12-31T23:59:59-12:00", "1970-01-01T11:59:59.000000Z"),
    ],
)
def test_rfc_3339_is_understood(text: str, expected: str) -> None:
    assert to_rfc3339(from_rfc3339(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-20",
        "2026-11-20T10:15:00",
        "2026-02-30T00:00:00Z",
        "2026-11-20T25:00:00Z",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-12:00",
        "0001-01-01T00:00:00+12:00",
        "20261120T101500+0900",
        "2026-11-20T10:15:00+0900",
        "2026-11-20T10:15:00+09",
        "2026-11-20T10:15:00+09:00:30",
        "2026-11-20T10:15:00,5Z",
        "2026-11-20T10:15:00.Z",
        "2026-11-20T10:15Z",
        "2026-11-20T101500.000Z",
        "2026-11-20_10:15:00Z",
        "2026-11-20T10:15:00Z\n",
        "２026-11-20T10:15:00Z",
        "2026-W47-5T10:15:00Z",
        "2026-W47-5T10:15:00.000000Z",
        "yesterday at ten o'clock",
    ],
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_rfc3339(text)


def test_the_system_clock_is_aware() -> None:
    assert system_clock().tzinfo is UTC
    assert to_micros(EPOCH) == 0
