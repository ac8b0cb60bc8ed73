"""Kinds of values in `handoff.yaml`, and how they are read."""

import re
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field

MAX_POINTS = 1_000_000
_DAYS = "MON|TUE|WED|THU|FRI|SAT|SUN"
_DAY_LIST = re.compile(rf"(?:{_DAYS})(?:-(?:{_DAYS}))?(?:,(?:{_DAYS})(?:-(?:{_DAYS}))?)*")
_CLOCK = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)


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
    begin, dash, end = value.partition("-") if isinstance(value, str) else ("", "", "")
    if not (dash and _CLOCK.fullmatch(begin) and _CLOCK.fullmatch(end) and begin < end):
        raise ValueError('expected hours such as "09:00-18:00"')
    return f"{begin}-{end}"


def _every(value: Any) -> str:
    days, space, at = value.partition(" ") if isinstance(value, str) else ("", "", "")
    if not (space and _DAY_LIST.fullmatch(days) and _CLOCK.fullmatch(at)):
        raise ValueError('expected days and a time, such as "FRI 09:00"')
    return f"{days} {at}"


Cents = Annotated[int, BeforeValidator(_cents)]
"""Points in hundredths, so that thresholds compare exactly."""
Name = Annotated[str, BeforeValidator(_name)]
Grade = Literal["A", "B", "C", "D"]
Level = Annotated[Literal["1", "2", "3", "4"], BeforeValidator(_level)]
Purpose = Literal["profiling", "email", "phone"]
Zone = Annotated[ZoneInfo, BeforeValidator(_zone)]
Day = Annotated[date, BeforeValidator(_date)]
Days = Annotated[str, BeforeValidator(_days)]
Hours = Annotated[str, BeforeValidator(_hours)]
Every = Annotated[str, BeforeValidator(_every)]
Country = Annotated[str, Field(pattern="^[A-Z]{2}$")]
