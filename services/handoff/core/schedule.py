"""When collected leads are handed over: the runs of a rule at fixed local times, with holidays and clock changes.

A run whose day is a holiday moves as the rule says; that its day lies on a weekend moves nothing. Where clocks are put
forward over a run's time it comes at the first instant after the gap, where they are put back at the first of the two.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from zoneinfo import ZoneInfo

from services.handoff.core.file import Schedule
from services.handoff.core.national import national_holidays

SATURDAY = 5
DAY = timedelta(days=1)
FARTHEST = 400
"""So many days a run may move. Who calls every day of more than a year a holiday gets no run."""


@dataclass(frozen=True, slots=True, order=True)
class Run:
    """One hand-over of what `rule` has collected. `at` is in the rule's zone; `key` names the run for ever."""

    at: datetime
    rule: str
    key: str


def runs(rule: str, schedule: Schedule, start: datetime, end: datetime) -> list[Run]:
    """The runs from `start` inclusive to `end` exclusive, earliest first. Two that fall on one instant are one."""
    closed = closed_days(schedule.country, schedule.holidays)
    found: dict[datetime, Run] = {}
    for day in _days(schedule, start, end):
        moved = _moved(day, schedule.if_holiday, closed)
        if moved is None:
            continue
        at = instant(moved, schedule.every.clock, schedule.timezone)
        if start <= at < end:
            found.setdefault(at, Run(at, rule, f"{rule}/{day.isoformat()}T{schedule.every.clock:%H:%M}"))
    return sorted(found.values())


class Timetable:
    """The runs of one rule, worked out a stretch at a time and kept: thousands of leads ask for the same run."""

    STRETCH = timedelta(days=FARTHEST)

    def __init__(self, rule: str, schedule: Schedule) -> None:
        self.rule = rule
        self.schedule = schedule
        self._known: dict[int, list[Run]] = {}

    @property
    def recurring(self) -> str:
        """The times it names, as a text: the same where nothing but holidays differ, and what they move."""
        every = self.schedule.every
        days = [*sorted(every.weekdays), "/", *sorted(every.month_days), *(["LAST"] if every.last else [])]
        return f"{' '.join(map(str, days))} {every.clock:%H:%M} {self.schedule.timezone.key}"

    @property
    def digest(self) -> str:
        """Of all that its runs follow from, holidays included: where it is the same, so are the runs."""
        schedule = self.schedule
        days = sorted(day.isoformat() for day in schedule.holidays)
        return sha256(f"{self.recurring} {schedule.country} {schedule.if_holiday} {days}".encode()).hexdigest()

    def between(self, start: datetime, end: datetime) -> list[Run]:
        """The runs from `start` inclusive to `end` exclusive."""
        return runs(self.rule, self.schedule, start, end)

    def after(self, at: datetime) -> Run | None:
        """The first run later than `at`; None if there is none within a year."""
        number = at.toordinal() // FARTHEST
        coming = (run for part in (number, number + 1) for run in self._part(part) if run.at > at)
        return next(coming, None)

    def _part(self, number: int) -> list[Run]:
        if number not in self._known:
            start = datetime.fromordinal(number * FARTHEST).replace(tzinfo=UTC)
            self._known[number] = self.between(start, start + self.STRETCH)
        return self._known[number]


def _days(schedule: Schedule, start: datetime, end: datetime) -> Iterator[date]:
    """The days that may give a run in the span, wherever it moves to."""
    zone = schedule.timezone
    first, last = _date_near(start, zone, -FARTHEST), _date_near(end, zone, FARTHEST)
    for number in range((last - first).days + 1):
        day = first + number * DAY
        if schedule.every.include(day):
            yield day


def _date_near(instant_: datetime, zone: ZoneInfo, days: int) -> date:
    """The local date so many days away, within what a calendar holds."""
    ordinal = instant_.astimezone(zone).toordinal() + days
    return date.fromordinal(min(max(ordinal, 400), date.max.toordinal() - 400))


def closed_days(country: str | None, holidays: Iterable[date]) -> Callable[[date], bool]:
    """Which days are holidays: those of the country, and the company's own."""
    own = frozenset(holidays)
    if country is None:
        return own.__contains__
    national = national_holidays(country)
    return lambda day: day in own or national(day)


def _moved(day: date, if_holiday: str, closed: Callable[[date], bool]) -> date | None:
    """The day a run takes place; None where it is left out."""
    if not closed(day) or if_holiday == "run":
        return day
    step = {"previous_business_day": -DAY, "next_business_day": DAY}.get(if_holiday)
    if step is None:
        return None
    for _ in range(FARTHEST):
        day += step
        if day.weekday() < SATURDAY and not closed(day):
            return day
    return None


def instant(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """A local time as an instant, in its zone."""
    local = datetime.combine(day, clock, zone)
    before, after = local.utcoffset(), local.replace(fold=1).utcoffset()
    assert before is not None
    assert after is not None
    if after <= before:  # the same, or put back: fold 0 is the first of the two
        return local
    naive = datetime.combine(day, clock, UTC)
    return _first_after_change(naive - after, naive - before, zone).astimezone(zone)


def _first_after_change(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """The second at which the offset changes; `low` lies before the change, `high` at or after it."""
    offset = low.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
        if middle.astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high
