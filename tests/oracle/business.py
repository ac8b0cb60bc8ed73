"""When business time is over, by walking through every minute: slow, and without any of the code it checks."""

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)


def is_open(
    at: datetime,
    zone: ZoneInfo,
    weekdays: Collection[int],
    spans: Sequence[tuple[int, int]],
    holidays: Collection[date],
) -> bool:
    """Whether the minute that begins at `at` is one of work."""
    local = at.astimezone(zone)
    minute = local.hour * 60 + local.minute
    if local.weekday() not in weekdays or local.date() in holidays:
        return False
    return any(begin <= minute < end for begin, end in spans)


def expected_end(
    start: datetime,
    minutes: int,
    zone: ZoneInfo,
    weekdays: Collection[int],
    spans: Sequence[tuple[int, int]],
    holidays: Collection[date],
) -> datetime:
    """The instant at which so many open minutes have passed since `start`, itself a whole minute."""
    at = start.astimezone(UTC)
    while minutes:
        minutes -= is_open(at, zone, weekdays, spans, holidays)
        at += MINUTE
    return at
