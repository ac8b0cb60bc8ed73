"""Spans of time as configuration writes them: `45m`, `12h`, `30d`, and `1mo` where calendar months make sense."""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_SPAN = re.compile(r"([0-9]{1,9})(s|m|h|d|w|mo)", re.ASCII)
_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(hours=24),
    "w": timedelta(hours=168),
}
# Beyond a century nothing is meant, and sums with instants stay far inside the calendar.
LONGEST = timedelta(days=36_525)
_LONGEST_MONTHS = 1_200


@dataclass(frozen=True, slots=True)
class Months:
    """A number of calendar months, counted in a time zone from some instant."""

    count: int


def parse_duration(text: str) -> timedelta:
    """A positive span of fixed length; a day is 24 h. Raises ValueError saying what was expected."""
    period = parse_period(text)
    if isinstance(period, Months):
        raise ValueError("expected a span of fixed length such as 30d; months are understood only in step.every")
    return period


def parse_period(text: str) -> timedelta | Months:
    """A positive span, calendar months included. Raises ValueError saying what was expected."""
    match = _SPAN.fullmatch(text)
    if match is None:
        raise ValueError("expected a span of time such as 45m, 12h or 30d")
    count, unit = int(match[1]), match[2]
    if count == 0:
        raise ValueError("expected a span longer than zero")
    if unit == "mo":
        if count > _LONGEST_MONTHS:
            raise ValueError("expected at most 1200mo")
        return Months(count)
    if count > LONGEST // _UNITS[unit]:
        raise ValueError("expected at most a hundred years")
    return count * _UNITS[unit]


def format_duration(span: timedelta) -> str:
    """The shortest spelling that `parse_duration` reads back; for whole seconds."""
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(span, _UNITS[unit])
        if not rest:
            return f"{count}{unit}"
    raise ValueError("a span with fractions of a second has no spelling")


def add_months(instant: datetime, months: int, zone: ZoneInfo) -> datetime:
    """`instant` plus calendar months on the wall clock of `zone`, in UTC.

    The day is cut to the month's length (31 January + 1 = 28 or 29 February). A local time that the clocks skip means
    the first instant after the gap, one they show twice the first of the two. Raises OverflowError past the year 9999.
    """
    local = instant.astimezone(zone)
    years, month0 = divmod(local.month - 1 + months, 12)
    year = local.year + years
    if year > 9999:
        raise OverflowError("past the calendar's range")
    day = min(local.day, monthrange(year, month0 + 1)[1])
    return resolve_local(local.replace(year=year, month=month0 + 1, day=day, tzinfo=None), zone)


def resolve_local(wall: datetime, zone: ZoneInfo) -> datetime:
    """The UTC instant at which the clocks of `zone` first show `wall` (naive), or the end of the gap that skips it."""
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == wall:
        return first
    return _end_of_gap(wall, zone)


def _end_of_gap(wall: datetime, zone: ZoneInfo) -> datetime:
    """In a gap, fold=0 reads the wall time with the offset before it and fold=1 with the one after (PEP 495)."""
    before = wall.replace(tzinfo=zone, fold=0).utcoffset() or timedelta()
    after = wall.replace(tzinfo=zone, fold=1).utcoffset() or timedelta()
    low = wall.replace(tzinfo=UTC) - after
    high = wall.replace(tzinfo=UTC) - before
    while high - low > timedelta(microseconds=1):
        middle = low + (high - low) // 2
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high
