"""How points fade, worked out entry by entry in exact numbers, the local calendar walked month by month."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo


def span(text: str) -> timedelta:
    """45m, 12h, 30d."""
    units = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
    return timedelta(**{units[text[-1]]: int(text[:-1])})


def points_of(number: float) -> Fraction:
    """The decimal number that was written."""
    return Fraction(Decimal(repr(number)))


def decayed(rule: Mapping[str, Any], at: datetime, t: datetime, zone: ZoneInfo) -> Fraction:
    """What is left at `t` of the points paid at `at`."""
    points, age, decay = points_of(rule["points"]), t - at, rule.get("decay")
    if decay is None:
        return points
    if "window" in decay:
        return points if age < span(decay["window"]) else Fraction(0)
    if "half_life" in decay:
        cents = float(points * 100) * 2.0 ** (-(age / span(decay["half_life"])))
        return Fraction(cents) / 100 if abs(cents) >= 1 else Fraction(0)
    share, k = Fraction(decay["step"].rstrip("%")) / 100, periods(at, t, decay["every"], zone)
    if decay.get("curve", "linear") == "linear":
        return points * max(Fraction(0), 1 - k * share)
    return points * (1 - share) ** k


def periods(at: datetime, t: datetime, every: str, zone: ZoneInfo) -> int:
    """Whole ones between the two, months as the local calendar counts them."""
    if not every.endswith("mo"):
        return (t - at) // span(every)
    months, k = int(every[:-2]), 0
    while plus_months(at, months * (k + 1), zone) <= t:
        k += 1
    return k


def plus_months(start: datetime, months: int, zone: ZoneInfo) -> datetime:
    """The same day so many months on, or the last one of a shorter month."""
    local = start.astimezone(zone)
    month = local.year * 12 + local.month - 1 + months
    year, month = month // 12, month % 12 + 1
    day = local.day
    while True:
        try:
            wall = local.replace(year=year, month=month, day=day, tzinfo=None)
            break
        except ValueError:
            day -= 1
    return first_instant(wall, zone)


def first_instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first instant at which the local clock shows `wall` or, where it skips it, a later time."""
    instant = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == wall:
        return instant
    minute = instant - timedelta(hours=3)
    while minute.astimezone(zone).replace(tzinfo=None) < wall:
        minute += timedelta(minutes=1) - timedelta(seconds=minute.second, microseconds=minute.microsecond)
    return minute
