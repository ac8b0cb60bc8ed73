"""Days and months of a model's time zone, on instants as microseconds since 1970."""

from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from shared.clock import EPOCH, from_micros, to_micros
from shared.durations import add_months

NEVER = to_micros(datetime.max.replace(tzinfo=EPOCH.tzinfo))
"""Stands for an instant past the calendar's range."""
_QUARTER = 900_000_000
_SHORTEST_MONTH = 26 * 86_400_000_000
"""Microseconds: 28 days less two, by which clocks that are changed or a date line that is crossed may shorten it."""
_MICROSECOND = timedelta(microseconds=1)


def micros_of(span: timedelta) -> int:
    """The length of a span in microseconds."""
    return span // _MICROSECOND


class Calendar:
    """The calendar of one zone. It remembers what it worked out, which changes no answer."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self._days: dict[int, int] = {}

    def day(self, micros: int) -> int:
        """The local calendar day as its proleptic ordinal."""
        quarter = micros // _QUARTER
        day = self._days.get(quarter)
        if day is None:
            day = self._day_of_quarter(quarter)
        return day if day else self._local_day(micros)

    def _day_of_quarter(self, quarter: int) -> int:
        """The day that a whole quarter of an hour belongs to, 0 where midnight falls inside it."""
        first, last = self._local_day(quarter * _QUARTER), self._local_day((quarter + 1) * _QUARTER - 1)
        if len(self._days) > 50_000:
            self._days.clear()
        day = self._days[quarter] = first if first == last else 0
        return day

    def _local_day(self, micros: int) -> int:
        return from_micros(micros).astimezone(self.zone).toordinal()

    def whole_months(self, start: int, at: int, every: int) -> int:
        """How many whole periods of `every` months have passed from `start` to `at`, counted on the local clock."""
        if at - start < every * _SHORTEST_MONTH:
            return 0
        begin, end = from_micros(start), from_micros(at)
        guess = ((end.year - begin.year) * 12 + end.month - begin.month) // every + 1
        while guess > 0 and after_months(start, guess * every, self.zone) > at:
            guess -= 1
        return guess


@lru_cache(maxsize=8_192)
def after_months(start: int, months: int, zone: ZoneInfo) -> int:
    """The instant `months` calendar months after `start` in microseconds, NEVER past the calendar's range."""
    try:
        return to_micros(add_months(from_micros(start), months, zone))
    except OverflowError:
        return NEVER
