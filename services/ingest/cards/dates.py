"""Dates in the forms people write on cards and into lists, Japanese eras among them."""

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from shared.clock import to_rfc3339

_ERAS = {
    "令和": 2019, "令": 2019, "r": 2019, "平成": 1989, "平": 1989, "h": 1989,
    "昭和": 1926, "昭": 1926, "s": 1926, "大正": 1912, "大": 1912, "t": 1912,
}  # fmt: skip
"""The year 1 of each; every era ends when the next begins, which nobody checks on a card."""
_MONTHS = {name: number for number, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}

_TIME = (
    r"(?:[\sT]*(?P<pm>午前|午後|am|pm)?\s*(?P<hour>\d{1,2})(?::|時)(?P<minute>\d{1,2})分?"
    r"(?:(?::|\s*)(?P<second>\d{1,2})(?:\.\d+)?秒?)?\s*(?P<pm2>am|pm)?)?"
)
_ZONE = r"\s*(?P<zone>Z|JST|UTC|GMT|[+-]\d{2}:?\d{2})?"
_DAYNAME = r"\s*(?:\(?[月火水木金土日](?:曜日?)?\)|\(?(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\)?,?)?"
_MONTH_NAME = r"(?P<name>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_FORMS = tuple(
    re.compile(form + _DAYNAME + _TIME + _ZONE, re.IGNORECASE)
    for form in (
        r"(?P<year>\d{4})\s*[-/.年]\s*(?P<month>\d{1,2})\s*[-/.月]\s*(?P<day>\d{1,2})日?",
        r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})",
        r"(?P<era>令和|平成|昭和|大正|令|平|昭|大|[RHST])\s*\.?\s*(?P<count>\d{1,2}|元)\s*[-/.年]\s*(?P<month>\d{1,2})\s*[-/.月]\s*(?P<day>\d{1,2})日?",
        r"(?P<era>[RHS])(?P<count>\d{2})(?P<month>\d{2})(?P<day>\d{2})",
        r"(?:[a-z]{3,9},\s*)?" + _MONTH_NAME + r"\s*(?P<day>\d{1,2})(?:st|nd|rd|th)?,?\s*(?P<year>\d{4})",
        r"(?:[a-z]{3},\s*)?(?P<day>\d{1,2})(?:st|nd|rd|th)?[\s\-/]*" + _MONTH_NAME + r"[\s\-/,]*(?P<year>\d{4})",
        r"(?P<day>\d{1,2})[\s\-/]*" + _MONTH_NAME + r"[\s\-/,]*'?(?P<short>\d{2})",
        r"(?P<first>\d{1,2})[-/.](?P<then>\d{1,2})[-/.](?P<year>\d{4})",
        r"'?(?P<short>\d{2})\s*[-/.年]\s*(?P<month>\d{1,2})\s*[-/.月]\s*(?P<day>\d{1,2})日?",
        r"(?P<year>\d{4})\s*[-/.年]\s*(?P<month>\d{1,2})月?",
        r"(?P<era>令和|平成|昭和|令|平|昭|[RHS])\s*\.?\s*(?P<count>\d{1,2}|元)年\s*(?P<month>\d{1,2})月",
        r"(?P<serial>\d{5})(?P<fraction>\.\d+)?",
    )
)
_ZONES: dict[str, tzinfo] = {"Z": UTC, "UTC": UTC, "GMT": UTC, "JST": ZoneInfo("Asia/Tokyo")}
_SERIAL_FROM, _SERIAL_TO = 25_569, 60_000
"""Days a spreadsheet counts from 1899-12-30: 1970 to 2064."""


class Moment(NamedTuple):
    """An instant in UTC, also as RFC 3339, and what had to be guessed to get it, if anything: `century`, `day`,
    `month_first` (5/6/2024 is taken for 6 May), `day_number` (a spreadsheet's)."""

    at: datetime
    guessed: str | None
    text: str


@lru_cache(maxsize=4_096)
def read_date(text: str, zone: ZoneInfo) -> Moment | None:
    """The instant a date names, midnight in `zone` where no time is given; None if it names none. Takes NFKC text."""
    written = " ".join(text.split())
    if len(written) > 64:
        return None
    for form in _FORMS:
        found = form.fullmatch(written)
        if found:
            try:
                return _moment(found.groupdict(), zone)
            except (ValueError, OverflowError):
                return None
    return None


def _moment(parts: dict[str, str | None], zone: ZoneInfo) -> Moment:
    if parts.get("serial"):
        return _from_serial(parts, zone)
    day, guessed = _day(parts)
    said = parts.get("zone")
    at = datetime.combine(day, _time(parts), _zone(said) if said else zone)
    return _in_utc(at, guessed)


def _in_utc(at: datetime, guessed: str | None) -> Moment:
    utc = at.astimezone(UTC)
    return Moment(utc, guessed, to_rfc3339(utc))


def _zone(said: str) -> tzinfo | None:
    return _ZONES.get(said.upper()) or datetime.fromisoformat(f"2000-01-01T00:00:00{said}").tzinfo


def _day(parts: dict[str, str | None]) -> tuple[date, str | None]:
    guessed = None
    if parts.get("era"):
        year = _ERAS[str(parts["era"]).lower()] - 1 + (1 if parts["count"] == "元" else int(str(parts["count"])))
    elif parts.get("short"):
        year, guessed = 2000 + int(str(parts["short"])), "century"
    else:
        year = int(str(parts["year"]))
    if parts.get("first"):
        return _first_or_then(year, int(str(parts["first"])), int(str(parts["then"])))
    month = _MONTHS[str(parts["name"])[:3].lower()] if parts.get("name") else int(str(parts["month"]))
    if not parts.get("day"):
        return date(year, month, 1), "day"
    return date(year, month, int(str(parts["day"]))), guessed


def _first_or_then(year: int, first: int, then: int) -> tuple[date, str | None]:
    """5/27/2016 and 27.5.2016 can be told apart, 5/6/2016 cannot: there the month is taken to stand first."""
    if first > 12:
        return date(year, then, first), None
    return date(year, first, then), "month_first" if then <= 12 and first != then else None


def _time(parts: dict[str, str | None]) -> time:
    if not parts.get("hour"):
        return time()
    hour, half = int(str(parts["hour"])), (parts.get("pm") or parts.get("pm2") or "").lower()
    if half in ("午後", "pm") and hour < 12:
        hour += 12
    elif half in ("午前", "am") and hour == 12:
        hour = 0
    return time(hour, int(str(parts["minute"])), int(parts.get("second") or 0))


def _from_serial(parts: dict[str, str | None], zone: ZoneInfo) -> Moment:
    days = int(str(parts["serial"]))
    if not _SERIAL_FROM <= days <= _SERIAL_TO:
        raise ValueError("no day a card could be exchanged on")
    at = datetime(1899, 12, 30) + timedelta(days=days, seconds=round(float(parts["fraction"] or 0) * 86_400))  # noqa: DTZ001
    return _in_utc(at.replace(tzinfo=zone), "day_number")
