"""Spans of time as text, and months on a local clock."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from shared.durations import Months, add_months, format_duration, parse_duration, parse_period, resolve_local

TOKYO, NEW_YORK = ZoneInfo("Asia/Tokyo"), ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("15s", timedelta(seconds=15)),
        ("45m", timedelta(minutes=45)),
        ("12h", timedelta(hours=12)),
        ("30d", timedelta(days=30)),
        ("2w", timedelta(days=14)),
    ],
)
def test_spans(text: str, span: timedelta) -> None:
    assert parse_duration(text) == span
    assert parse_duration(format_duration(span)) == span


@pytest.mark.parametrize(
    "text", ["", "30", "d", "-1d", "+1d", "1.5h", "0d", " 1d", "1 d", "1D", "１d", "1y", "999999999d"]
)
def test_what_is_no_span(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_duration(text)


def test_months_are_no_fixed_span() -> None:
    assert parse_period("3mo") == Months(3)
    with pytest.raises(ValueError, match="months"):
        parse_duration("3mo")


def test_months_are_cut_to_the_length_of_the_month() -> None:
    start = datetime(2028, 1, 31, 3, 0, 0, 7, tzinfo=UTC)
    ends = [add_months(start, months, TOKYO) for months in (1, 2, 3, 13)]
    assert [(end.month, end.day) for end in ends] == [(2, 29), (3, 31), (4, 30), (2, 28)]
    assert {end.microsecond for end in ends} == {7}


def test_months_keep_the_local_hour_over_a_change_of_clocks() -> None:
    assert add_months(datetime(2026, 2, 15, 17, tzinfo=UTC), 1, NEW_YORK) == datetime(2026, 3, 15, 16, tzinfo=UTC)


def test_a_skipped_time_is_the_end_of_the_gap_and_a_doubled_one_its_first() -> None:
    gap = datetime(2026, 3, 8, 2, 30)  # noqa: DTZ001 - a wall time has no zone
    assert resolve_local(gap, NEW_YORK) == datetime(2026, 3, 8, 7, 0, tzinfo=UTC)
    doubled = datetime(2026, 11, 1, 1, 30)  # noqa: DTZ001
    assert resolve_local(doubled, NEW_YORK) == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)


def test_the_calendar_ends() -> None:
    with pytest.raises(OverflowError):
        add_months(datetime(9999, 12, 1, tzinfo=UTC), 1, TOKYO)
