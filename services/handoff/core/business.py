"""Business time: when a queue works, and when so much of that has passed.

Hours are the queue's local ones; a clock change makes its day shorter or longer, as it does for the people there.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from services.handoff.core.file import Calendar
from services.handoff.core.schedule import closed_days, instant
from services.handoff.core.values import WorkSpan, hours_of, weekdays_of

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
FARTHEST = 4_000
"""So many days are looked through for business time; who is closed for longer gets plain time."""
FIRST, LAST = datetime(1, 1, 3, tzinfo=UTC), datetime(9999, 12, 29, tzinfo=UTC)
"""Between these every zone has a local time, of the day after too; what lies beyond is taken for the nearer one."""


@dataclass(frozen=True, slots=True, eq=False)
class BusinessCalendar:
    """When a queue works: on `weekdays` (Monday 0) that are not `closed`, in `spans` of minutes of the local day."""

    zone: ZoneInfo
    weekdays: frozenset[int]
    spans: tuple[tuple[int, int], ...]
    closed: Callable[[date], bool]

    def add(self, start: datetime, within: WorkSpan) -> datetime:
        """The instant at which so much business time has passed since `start`, in UTC."""
        return _add(self, start, within)

    def working_day(self, at: datetime) -> date:
        """The local day on which work that comes in at `at` is done: that day, or the next one that is not over."""
        return next((day for day, _, end in self._openings(at) if end > at), _inside(at).astimezone(self.zone).date())

    def opening(self, day: date) -> datetime:
        """When the first working day after `day` begins."""
        after = self._midnight(day + DAY)
        return next((begin for _, begin, _ in self._openings(after) if begin >= after), after)

    def in_business(self, within: WorkSpan) -> timedelta:
        """How much business time a configured span means."""
        working_day = sum((timedelta(minutes=end - begin) for begin, end in self.spans), timedelta())
        return within.span // DAY * working_day if within.in_days else within.span

    def _openings(self, start: datetime) -> Iterator[tuple[date, datetime, datetime]]:
        first = _inside(start).astimezone(self.zone).date()
        for number in range(min(FARTHEST, (LAST.date() - first).days + 1)):
            day = first + number * DAY
            if day.weekday() in self.weekdays and not self.closed(day):
                for since, until, midnight in self._even_parts(day):
                    for begin, end in self.spans:
                        opens = max(midnight + timedelta(minutes=begin), since)
                        closes = min(midnight + timedelta(minutes=end), until)
                        if opens < closes:
                            yield day, opens, closes

    def _even_parts(self, day: date) -> Iterator[tuple[datetime, datetime, datetime]]:
        """The parts of a local day between clock changes, each with the instant that its clock calls midnight.

        An hour that a change repeats is worked twice, one that it skips not at all.
        """
        since, end = self._midnight(day), self._midnight(day + DAY)
        while since < end:
            offset = self._offset(since)
            until = end if self._offset(end - MINUTE) == offset else self._change(since, end, offset)
            yield since, until, datetime.combine(day, time(), UTC) - offset
            since = until

    def _change(self, since: datetime, end: datetime, offset: timedelta) -> datetime:
        """The first minute of another offset than that at `since`; there is one before `end`."""
        minutes = range((end - since) // MINUTE)
        return since + MINUTE * bisect_left(minutes, True, key=lambda one: self._offset(since + one * MINUTE) != offset)

    def _offset(self, at: datetime) -> timedelta:
        return at.astimezone(self.zone).utcoffset() or timedelta()

    def _midnight(self, day: date) -> datetime:
        return instant(day, time(), self.zone).astimezone(UTC)


@lru_cache(maxsize=4_096)
def _add(calendar: BusinessCalendar, start: datetime, within: WorkSpan) -> datetime:
    """Kept, as a run hands thousands of leads over at one instant."""
    # Sums of instants in a local zone would go by its wall clock.
    start, left = _inside(start).astimezone(UTC), calendar.in_business(within)
    for _, begin, end in calendar._openings(start):
        begin = max(begin, start)  # noqa: PLW2901
        if end - begin >= left:
            return begin + left
        left -= max(end - begin, timedelta())
    return plainly_after(start, within.span)


def plainly_after(start: datetime, span: timedelta) -> datetime:
    """So much plain time after `start`, as far as the calendar goes."""
    start = _inside(start)
    return start + span if span <= LAST - start else LAST


def _inside(at: datetime) -> datetime:
    return min(max(at, FIRST), LAST)


def calendar_of(calendar: Calendar) -> BusinessCalendar:
    """A queue's calendar, ready to reckon with."""
    return BusinessCalendar(
        calendar.timezone,
        weekdays_of(calendar.days),
        hours_of(calendar.hours),
        closed_days(calendar.country, calendar.holidays),
    )
