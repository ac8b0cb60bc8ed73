"""Runs at fixed local times: holidays, weekends, clock changes, months, spans."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.handoff.core.file import Schedule
from services.handoff.core.schedule import Run, Timetable, instant, runs
from tests.oracle.schedule import expected_runs
from tests.properties import few

TOKYO, BERLIN = ZoneInfo("Asia/Tokyo"), ZoneInfo("Europe/Berlin")
WEEK = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")


def schedule(every: str = "FRI 09:00", zone: str = "Asia/Tokyo", **more: Any) -> Schedule:
    return Schedule.model_validate({"every": every, "timezone": zone, **more})


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def between(of: Schedule, start: str, end: str) -> list[str]:
    return [run.at.isoformat(timespec="minutes") for run in runs("weekly", of, at(start), at(end))]


def test_every_friday_with_a_key_that_names_the_run() -> None:
    found = runs("weekly", schedule(), at("2026-11-20T09:00:00+09:00"), at("2026-11-27T09:00:00+09:00"))
    assert found == [Run(at("2026-11-20T09:00:00+09:00"), "weekly", "weekly/2026-11-20T09:00")]


def test_the_span_includes_its_start_and_not_its_end() -> None:
    of = schedule()
    assert len(between(of, "2026-11-20T00:00:00Z", "2026-11-27T00:00:00Z")) == 1
    assert len(between(of, "2026-11-20T00:00:00Z", "2026-11-27T00:00:01Z")) == 2
    assert between(of, "2026-11-20T00:00:01Z", "2026-11-27T00:00:00Z") == []
    assert between(of, "2026-11-20T00:00:00Z", "2026-11-20T00:00:00Z") == []


@pytest.mark.parametrize(
    ("if_holiday", "expected"),
    [
        ("previous_business_day", ["2026-12-31T09:00+09:00"]),
        ("next_business_day", ["2027-01-04T09:00+09:00"]),
        ("skip", []),
        ("run", ["2027-01-01T09:00+09:00"]),
    ],
)
def test_new_years_day_is_a_friday(if_holiday: str, expected: list[str]) -> None:
    of = schedule(country="JP", if_holiday=if_holiday)
    assert between(of, "2026-12-26T00:00:00+09:00", "2027-01-08T00:00:00+09:00") == expected


def test_a_run_moves_past_weekends_and_further_holidays() -> None:
    of = schedule("MON 09:00", country="JP", holidays=["2026-09-18"], if_holiday="previous_business_day")
    # 21 September is a holiday, before it lie a weekend and the company's own.
    assert between(of, "2026-09-15T00:00:00+09:00", "2026-09-22T00:00:00+09:00") == ["2026-09-17T09:00+09:00"]


def test_a_weekend_moves_nothing_by_itself() -> None:
    of = schedule("SAT 09:00", country="JP", if_holiday="next_business_day")
    assert between(of, "2026-11-20T00:00:00+09:00", "2026-11-27T00:00:00+09:00") == ["2026-11-21T09:00+09:00"]


def test_company_holidays_need_no_country() -> None:
    of = schedule(holidays=["2026-11-20"], if_holiday="previous_business_day")
    assert between(of, "2026-11-16T00:00:00+09:00", "2026-11-21T00:00:00+09:00") == ["2026-11-19T09:00+09:00"]


def test_a_moved_run_counts_where_it_takes_place_and_two_at_once_are_one() -> None:
    of = schedule("THU,FRI 09:00", holidays=["2026-11-20"], if_holiday="previous_business_day")
    assert between(of, "2026-11-19T00:00:00+09:00", "2026-11-20T00:00:00+09:00") == ["2026-11-19T09:00+09:00"]
    assert between(of, "2026-11-20T00:00:00+09:00", "2026-11-21T00:00:00+09:00") == []


def test_monthly_days_and_the_last_one() -> None:
    of = schedule("1,31,LAST 08:30")
    found = between(of, "2026-02-01T00:00:00+09:00", "2026-04-01T00:00:00+09:00")
    assert [text[:10] for text in found] == ["2026-02-01", "2026-02-28", "2026-03-01", "2026-03-31"]


def test_several_times_a_week_over_its_end() -> None:
    found = between(schedule("SAT-MON,WED 18:00"), "2026-11-16T00:00:00+09:00", "2026-11-23T00:00:00+09:00")
    assert [text[8:10] for text in found] == ["16", "18", "21", "22"]


def test_a_skipped_time_comes_after_the_gap_and_a_doubled_one_once_at_first() -> None:
    spring = schedule("SUN 02:30", "Europe/Berlin")
    assert between(spring, "2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z") == ["2026-03-29T03:00+02:00"]
    autumn = schedule("SUN 02:30", "Europe/Berlin")
    assert between(autumn, "2026-10-25T00:00:00Z", "2026-10-26T00:00:00Z") == ["2026-10-25T02:30+02:00"]


def test_gaps_that_are_no_full_hour_and_whole_days_that_never_were() -> None:
    # Lord Howe Island puts clocks forward by half an hour; Samoa left out 30 December 2011.
    howe = ZoneInfo("Australia/Lord_Howe")
    assert instant(date(2026, 10, 4), time(2, 10), howe).isoformat() == "2026-10-04T02:30:00+11:00"
    samoa = ZoneInfo("Pacific/Apia")
    assert instant(date(2011, 12, 30), time(9), samoa).isoformat() == "2011-12-31T00:00:00+14:00"


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("every", "FRY 09:00", "such as"),
        ("every", "FRI 24:00", "such as"),
        ("every", "32 09:00", "such as"),
        ("every", "FRI,1 09:00", "such as"),
        ("country", "XX", "two capital letters"),
        ("timezone", "Asia/Tokio", "IANA"),
        ("holidays", ["2026-02-30"], "expected a date"),
    ],
)
def test_faulty_schedules_are_refused(field: str, value: Any, expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        schedule(**{"every": "FRI 09:00", "zone": "Asia/Tokyo"} | {field if field != "timezone" else "zone": value})


def test_a_year_of_holidays_gives_no_run_and_ends() -> None:
    every_day = [(date(2025, 1, 1) + timedelta(days=number)).isoformat() for number in range(1_200)]
    of = schedule(holidays=every_day, if_holiday="next_business_day")
    assert between(of, "2025-06-01T00:00:00Z", "2025-07-01T00:00:00Z") == []


@few(12)
@given(
    days=st.sets(st.sampled_from(WEEK), min_size=1, max_size=3),
    hour=st.integers(0, 23),
    minute=st.sampled_from([0, 30, 59]),
    zone=st.sampled_from(["Asia/Tokyo", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
    off=st.sets(st.integers(0, 20), max_size=9),
    if_holiday=st.sampled_from(["previous_business_day", "next_business_day", "skip", "run"]),
    begin=st.sampled_from(["2026-03-06", "2026-03-27", "2026-10-02", "2026-10-23", "2026-10-30"]),
    length=st.integers(1, 9),
)
def test_it_is_what_walking_through_every_minute_finds(
    days: set[str], hour: int, minute: int, zone: str, off: set[int], if_holiday: str, begin: str, length: int
) -> None:
    start = datetime.fromisoformat(begin).replace(tzinfo=UTC)
    holidays = {start.date() + timedelta(days=number - 6) for number in off}
    of = schedule(
        f"{','.join(days)} {hour:02d}:{minute:02d}",
        zone,
        holidays=[day.isoformat() for day in holidays],
        if_holiday=if_holiday,
    )
    end = start + timedelta(days=length)
    expected = expected_runs(
        lambda day: WEEK[day.weekday()] in days, hour, minute, ZoneInfo(zone), holidays, if_holiday, start, end
    )
    assert [run.at for run in runs("r", of, start, end)] == expected


def test_a_digest_differs_where_runs_may_and_a_recurrence_where_times_do() -> None:
    def of(*args: str, **more: Any) -> Timetable:
        return Timetable("weekly", schedule(*args, **more))

    plain, closed = of(), of(holidays=["2026-12-29", "2026-12-30"])
    alike = [of(missed="skip"), of(holidays=["2026-12-30", "2026-12-29"])]
    assert [one.digest for one in alike] == [plain.digest, closed.digest]
    others = [closed, of(country="JP"), of(if_holiday="skip"), of("FRI 10:00"), of(zone="Europe/Berlin")]
    assert len({plain.digest, *(one.digest for one in others)}) == 6
    assert [one.recurring == plain.recurring for one in others] == [True, True, True, False, False]
