"""When runs take place, by walking through every minute of a span: slow, and without any of the code it checks."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)


def local_minutes(start: datetime, end: datetime, zone: ZoneInfo) -> list[datetime]:
    """Every minute from `start` to `end`, in the zone."""
    count = int((end - start) / MINUTE)
    return [(start + number * MINUTE).astimezone(zone) for number in range(count)]


def first_minute_at(day: date, hour: int, minute: int, zone: ZoneInfo) -> datetime:
    """The first minute of the day, as clocks show it, that is at or after hour:minute."""
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=15)
    of_day = [one for one in local_minutes(begin, begin + timedelta(hours=54), zone) if one.date() == day]
    return next(one for one in of_day if (one.hour, one.minute) >= (hour, minute))


def expected_runs(
    wanted: Callable[[date], bool],
    hour: int,
    minute: int,
    zone: ZoneInfo,
    holidays: set[date],
    if_holiday: str,
    start: datetime,
    end: datetime,
) -> list[datetime]:
    """The instants of all runs in the span, in order."""
    found = set()
    day = start.date() - timedelta(days=60)
    while day <= end.date() + timedelta(days=60):
        target: date | None = day
        if wanted(day) and day in holidays:
            if if_holiday == "skip":
                target = None
            elif if_holiday != "run":
                step = timedelta(days=-1 if if_holiday.startswith("previous") else 1)
                target = day + step
                while target in holidays or target.isoweekday() > 5:
                    target += step
        if wanted(day) and target is not None:
            at = first_minute_at(target, hour, minute, zone)
            if start <= at < end:
                found.add(at)
        day += timedelta(days=1)
    return sorted(found)
