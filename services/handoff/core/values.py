"""Kinds of values in `handoff.yaml`, and how they are read."""

import re
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from email_validator import EmailNotValidError, validate_email
from pydantic import BeforeValidator

from services.handoff.core.national import is_country
from shared.durations import parse_duration

MAX_POINTS = 1_000_000
_WEEK = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_DAYS = "|".join(_WEEK)
_DAY_LIST = re.compile(rf"(?:{_DAYS})(?:-(?:{_DAYS}))?(?:,(?:{_DAYS})(?:-(?:{_DAYS}))?)*")
_MONTH_DAY = "(?:[1-9]|[12][0-9]|3[01]|LAST)"
_MONTH_DAYS = re.compile(rf"{_MONTH_DAY}(?:,{_MONTH_DAY})*", re.ASCII)
_TIMES_EXPECTED = (
    'expected days and a time, such as "FRI 09:00" or "MON-WED,FRI 17:30"; monthly: "1,15 09:00" or "LAST 09:00"'
)
_NO_SPAN = re.compile(r"0{1,9}[smhdw]", re.ASCII)
_WHOLE_DAYS = ("d", "w")
_CLOCK = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)
_MIDNIGHT = "24:00"


def _cents(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("expected a number")
    if not abs(value) <= MAX_POINTS:
        raise ValueError(f"expected a number between -{MAX_POINTS} and {MAX_POINTS}")
    cents = Decimal(repr(value)) * 100
    if cents != int(cents):
        raise ValueError("expected a number with at most 2 decimals")
    return int(cents)


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 100 or not value.isprintable():
        raise ValueError("expected a name of 1 to 100 printable characters")
    return value


def _email(value: Any) -> str:
    try:
        checked = validate_email(value, check_deliverability=False, allow_smtputf8=False)
        # Few mail servers take anything but ASCII, and none of them before they have been asked.
        return checked.ascii_email or checked.normalized
    except (EmailNotValidError, TypeError, AttributeError):
        raise ValueError("expected an e-mail address") from None


def _level(value: Any) -> Any:
    """Levels are digits, which YAML reads as numbers unless they are quoted."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _zone(value: Any) -> ZoneInfo:
    try:
        return ZoneInfo(value)
    except (OSError, ValueError, TypeError, ZoneInfoNotFoundError):
        raise ValueError("expected an IANA time zone, such as Asia/Tokyo") from None


def _date(value: Any) -> date:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError('expected a date, such as "2026-12-29"') from None


def _days(value: Any) -> str:
    if not isinstance(value, str) or not _DAY_LIST.fullmatch(value):
        raise ValueError("expected days such as MON-FRI or MON,WED")
    return value


def _hours(value: Any) -> str:
    last = ""
    for span in value.split(",") if isinstance(value, str) else [""]:
        begin, dash, end = span.partition("-")
        clocks = _CLOCK.fullmatch(begin) and (_CLOCK.fullmatch(end) or end == _MIDNIGHT)
        if not (dash and clocks and last <= begin < end):
            raise ValueError('expected hours such as "09:00-18:00" or "09:00-12:00,13:00-18:00"')
        last = end
    return str(value)


def hours_of(hours: str) -> tuple[tuple[int, int], ...]:
    """`09:00-12:00,13:00-18:00` as minutes of the day, `24:00` being the midnight after."""

    def minutes(clock: str) -> int:
        return int(clock[:2]) * 60 + int(clock[3:])

    spans = (span.partition("-") for span in hours.split(","))
    return tuple((minutes(begin), minutes(end)) for begin, _, end in spans)


def is_no_span(value: Any) -> bool:
    """Whether it is written as a span of no length, such as 0s or 0d."""
    return isinstance(value, str) and _NO_SPAN.fullmatch(value) is not None


def _span_or_none(value: Any) -> timedelta:
    if is_no_span(value):
        return timedelta()
    if not isinstance(value, str):
        raise ValueError("expected a span of time such as 15s, or 0s for none")
    return parse_duration(value)


def _work_span(value: Any) -> "WorkSpan":
    if isinstance(value, WorkSpan):
        return value
    if not isinstance(value, str):
        raise ValueError("expected a span of time such as 4h or 3d")
    return WorkSpan(parse_duration(value), in_days=value.endswith(_WHOLE_DAYS))


def _every(value: Any) -> "Times":
    days, space, at = value.partition(" ") if isinstance(value, str) else ("", "", "")
    if not (space and _CLOCK.fullmatch(at)):
        raise ValueError(_TIMES_EXPECTED)
    clock = time.fromisoformat(at)
    if _DAY_LIST.fullmatch(days):
        return Times(clock, weekdays=weekdays_of(days))
    if _MONTH_DAYS.fullmatch(days):
        named = days.split(",")
        return Times(clock, month_days=frozenset(int(one) for one in named if one != "LAST"), last="LAST" in named)
    raise ValueError(_TIMES_EXPECTED)


def weekdays_of(days: str) -> frozenset[int]:
    """`MON-WED,FRI` as numbers, Monday 0; a span may go over the end of the week, as `SAT-MON`."""
    found: set[int] = set()
    for span in days.split(","):
        first, _, last = span.partition("-")
        begin, end = _WEEK.index(first), _WEEK.index(last or first)
        found |= {(begin + step) % 7 for step in range((end - begin) % 7 + 1)}
    return frozenset(found)


def _country(value: Any) -> str:
    if not isinstance(value, str) or not is_country(value):
        raise ValueError("expected a country by its two capital letters, such as JP")
    return value


@dataclass(frozen=True, slots=True)
class WorkSpan:
    """A span of a queue's time. One that is written in days or weeks (`in_days`) means working days, each as long as
    its opening hours; one that is written in hours means so many open hours, however many these are.
    """

    span: timedelta
    in_days: bool = False


@dataclass(frozen=True, slots=True)
class Times:
    """When in a week or a month, in local time: at `clock` on `weekdays` (Monday 0), or on `month_days` and the last
    day of the month where `last`. A month that has no such day is passed over.
    """

    clock: time
    weekdays: frozenset[int] = frozenset()
    month_days: frozenset[int] = frozenset()
    last: bool = False

    def include(self, day: date) -> bool:
        """Whether it is this day's turn."""
        if day.weekday() in self.weekdays or day.day in self.month_days:
            return True
        return self.last and (day + timedelta(days=1)).day == 1


SpanOrNone = Annotated[timedelta, BeforeValidator(_span_or_none)]
Within = Annotated[WorkSpan, BeforeValidator(_work_span)]
Cents = Annotated[int, BeforeValidator(_cents)]
"""Points in hundredths, so that thresholds compare exactly."""
Name = Annotated[str, BeforeValidator(_name)]
Email = Annotated[str, BeforeValidator(_email)]
Grade = Literal["A", "B", "C", "D"]
Level = Annotated[Literal["1", "2", "3", "4"], BeforeValidator(_level)]
Purpose = Literal["profiling", "email", "phone"]
Zone = Annotated[ZoneInfo, BeforeValidator(_zone)]
Day = Annotated[date, BeforeValidator(_date)]
Days = Annotated[str, BeforeValidator(_days)]
Hours = Annotated[str, BeforeValidator(_hours)]
Every = Annotated[Times, BeforeValidator(_every)]
Country = Annotated[str, BeforeValidator(_country)]
