"""Business time, against an oracle that walks through every minute."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.handoff.core.business import BusinessCalendar, calendar_of
from services.handoff.core.file import Calendar, Queue
from services.handoff.core.queues import ReadyQueue, ready_queue
from services.handoff.core.values import WorkSpan
from tests.oracle.business import expected_end
from tests.properties import few

TOKYO = ZoneInfo("Asia/Tokyo")
DAY = WorkSpan(timedelta(days=1), in_days=True)
OFFICE = {"timezone": "Asia/Tokyo", "country": "JP", "hours": "09:00-18:00", "days": "MON-FRI"}


def calendar(**changes: object) -> BusinessCalendar:
    return calendar_of(Calendar.model_validate({**OFFICE, **changes}))


def tokyo(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=TOKYO)


@pytest.mark.parametrize(
    ("start", "span", "end"),
    [
        ("2026-11-20T10:15", WorkSpan(timedelta(hours=4)), "2026-11-20T14:15"),
        ("2026-11-20T17:00", WorkSpan(timedelta(hours=4)), "2026-11-24T12:00"),  # Monday is Labour Thanksgiving Day
        ("2026-11-20T14:00", WorkSpan(timedelta(hours=4)), "2026-11-20T18:00"),  # the very end still counts as that day
        ("2026-11-20T03:00", WorkSpan(timedelta(minutes=1)), "2026-11-20T09:01"),
        ("2026-11-21T12:00", WorkSpan(timedelta(hours=4)), "2026-11-24T13:00"),
        ("2026-11-20T17:00", WorkSpan(timedelta(days=1), in_days=True), "2026-11-24T17:00"),  # a day is a working day
        ("2026-12-29T10:00", WorkSpan(timedelta(days=3), in_days=True), "2027-01-04T10:00"),
        ("2026-12-31T17:30", WorkSpan(timedelta(hours=1)), "2027-01-04T09:30"),
    ],
)
def test_an_office_in_tokyo(start: str, span: WorkSpan, end: str) -> None:
    found = calendar().add(tokyo(start), span)
    assert found == tokyo(end)
    assert found.tzinfo is UTC


def test_lunch_and_company_holidays() -> None:
    of = calendar(hours="09:00-12:00,13:00-17:00", holidays=["2026-11-25"])
    assert of.add(tokyo("2026-11-24T11:30"), WorkSpan(timedelta(hours=1))) == tokyo("2026-11-24T13:30")
    assert of.add(tokyo("2026-11-24T16:30"), WorkSpan(timedelta(hours=1))) == tokyo("2026-11-26T09:30")
    assert of.add(tokyo("2026-11-24T09:00"), DAY) == tokyo("2026-11-24T17:00")


def test_round_the_clock_is_plain_time() -> None:
    of = calendar_of(Calendar.model_validate({"timezone": "Europe/Berlin"}))
    start = datetime(2026, 10, 24, 20, 30, tzinfo=UTC)
    assert of.add(start, WorkSpan(timedelta(hours=7, minutes=5))) == start + timedelta(hours=7, minutes=5)


def test_a_team_that_never_works_gets_plain_time() -> None:
    of = BusinessCalendar(TOKYO, frozenset({0}), ((540, 1080),), lambda _: True)
    start = tokyo("2026-11-20T10:00")
    assert of.add(start, WorkSpan(timedelta(hours=1))) == start + timedelta(hours=1)
    assert of.working_day(start) == date(2026, 11, 20)
    assert of.opening(date(2026, 11, 20)) > start


def test_the_working_day_and_the_next_one() -> None:
    of = calendar()
    assert of.working_day(tokyo("2026-11-20T17:59")) == date(2026, 11, 20)
    assert of.working_day(tokyo("2026-11-20T18:00")) == date(2026, 11, 24)
    assert of.opening(date(2026, 11, 20)) == tokyo("2026-11-24T09:00")
    plain = ReadyQueue("q")
    assert plain.working_day(tokyo("2026-11-20T08:59")) == date(2026, 11, 19)
    assert plain.next_opening(date(2026, 11, 19)) == datetime(2026, 11, 20, tzinfo=UTC)


ZONES = ["Asia/Tokyo", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]
SPANS = [((540, 1080),), ((540, 720), (780, 1020)), ((0, 1440),), ((0, 150), (170, 181)), ((1439, 1440),)]


@example(60 * (24 * 24 + 22) + 20, 180, "Europe/Berlin", frozenset(range(7)), SPANS[3], set())
@example(60 * (24 * 2 + 14), 300, "Australia/Lord_Howe", frozenset(range(7)), SPANS[3], set())
@few(100)
@given(
    st.integers(0, 60 * 24 * 21),
    st.integers(1, 1_439),
    st.sampled_from(ZONES),
    st.sampled_from([frozenset(range(5)), frozenset(range(7)), frozenset({2, 6})]),
    st.sampled_from(SPANS),
    st.sets(st.integers(0, 25), max_size=8),
)
def test_business_time_equals_that_of_the_oracle(
    minute: int,
    minutes: int,
    zone: str,
    weekdays: frozenset[int],
    spans: tuple[tuple[int, int], ...],
    off: set[int],
) -> None:
    """Over the end of summer time in Europe and America, and its beginning on Lord Howe."""
    begin = datetime(2026, 10, 1, tzinfo=UTC)
    if spans == SPANS[-1]:
        minutes = minutes % 5 + 1
    holidays = {(begin + timedelta(days=number)).date() for number in off}
    of = BusinessCalendar(ZoneInfo(zone), weekdays, spans, holidays.__contains__)
    start = begin + timedelta(minutes=minute)
    expected = expected_end(start, minutes, ZoneInfo(zone), weekdays, spans, holidays)
    assert of.add(start, WorkSpan(timedelta(minutes=minutes))) == expected


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles", "Pacific/Kiritimati", "UTC"])
@pytest.mark.parametrize("span", [WorkSpan(timedelta(hours=4)), DAY, WorkSpan(timedelta(days=36_525), in_days=True)])
def test_at_the_ends_of_the_calendar_it_goes_no_further(zone: str, span: WorkSpan) -> None:
    of = calendar(timezone=zone, country=None)
    for queue in (ReadyQueue("q", calendar=of), ReadyQueue("q")):
        for start in (datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)):
            end = queue.deadline(start, span)
            assert end is not None
            assert end.astimezone(ZoneInfo(zone)).year in (1, 2, 101, 141, 142, 9999)
    assert of.working_day(datetime.max.replace(tzinfo=UTC)).year == 9999
    assert of.working_day(datetime.min.replace(tzinfo=UTC)).year == 1


def test_only_spans_written_in_days_mean_working_days() -> None:
    """Nine hours are open on each day."""

    def of(text: str) -> datetime:
        queue = Queue.model_validate({"calendar": OFFICE, "respond_within": text})
        ready = ready_queue("q", queue)
        end = ready.deadline(tokyo("2026-11-24T09:00"), ready.respond_within)
        assert end is not None
        return end

    assert [of(hours) for hours in ("23h", "24h", "25h")] == [
        tokyo("2026-11-26T14:00"),
        tokyo("2026-11-26T15:00"),
        tokyo("2026-11-26T16:00"),
    ]
    assert of("1440m") == of("86400s") == of("24h")
    assert (of("1d"), of("2d")) == (tokyo("2026-11-24T18:00"), tokyo("2026-11-25T18:00"))
    assert of("1w") == of("7d")
