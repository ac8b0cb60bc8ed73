"""How the entries of a rule fade. Sums are exact: integers and fractions of a cent, floats only for half-lives."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil, floor, log2
from typing import Protocol

from typing_extensions import override

from services.scoring.core.calendar import NEVER, Calendar, after_months, micros_of
from services.scoring.core.rules import HalfLife, Step, Window

Exact = int | float | Fraction
"""An amount of cents before it is rounded; `round` is half-even on each of them."""

# A sum of n doubles of one sign, each the result of a power, is wrong by less than n + 100 times this share of itself,
# and so is an estimate of it; with some room.
_ROUNDING = 2.0**-50
# Microseconds: before its calculated end less this, an entry is surely worth a cent, whatever the rounding.
_WIDE = 3


class Decay(Protocol):
    """Values the entries of one rule, all worth `points` cents at first; `times` are instants in fold order."""

    def value(self, points: int, times: Sequence[int], at: int) -> tuple[Exact, int]:
        """The unrounded sum in cents at `at`, and how many entries still pay."""
        ...

    def each(self, points: int, times: Sequence[int], at: int) -> list[Exact]:
        """The unrounded cents of every entry at `at`; they add up to `value`."""
        return [self.value(points, (time,), at)[0] for time in times]

    def lifetime(self, points: int) -> int:
        """An age in microseconds at which an entry is surely nothing, NEVER if it always keeps something."""
        ...

    def next_step(self, points: int, times: Sequence[int], at: int) -> int:
        """The first instant after `at` at which the sum jumps, NEVER if it does not."""
        ...


class NoDecay(Decay):
    """Entries keep their points."""

    @override
    def value(self, points: int, times: Sequence[int], at: int) -> tuple[Exact, int]:
        return points * len(times), len(times)

    @override
    def lifetime(self, points: int) -> int:
        return NEVER

    @override
    def next_step(self, points: int, times: Sequence[int], at: int) -> int:
        return NEVER


class WindowDecay(Decay):
    """Full points while younger than the window."""

    def __init__(self, schema: Window) -> None:
        self.span = micros_of(schema.window)

    @override
    def value(self, points: int, times: Sequence[int], at: int) -> tuple[Exact, int]:
        count = len(times) - bisect_right(times, at - self.span)
        return points * count, count

    @override
    def lifetime(self, points: int) -> int:
        return self.span

    @override
    def next_step(self, points: int, times: Sequence[int], at: int) -> int:
        first = bisect_right(times, at - self.span)
        return times[first] + self.span if first < len(times) else NEVER


class HalfLifeDecay(Decay):
    """points x 2^(-age / half-life); an entry below one cent is nothing."""

    def __init__(self, schema: HalfLife) -> None:
        self.span = micros_of(schema.half_life)

    @override
    def value(self, points: int, times: Sequence[int], at: int) -> tuple[Exact, int]:
        span = self.span
        worths = [worth for time in times if (worth := points * 2.0 ** ((time - at) / span)) >= 1.0 or worth <= -1.0]
        return sum(worths, 0.0), len(worths)

    @override
    def each(self, points: int, times: Sequence[int], at: int) -> list[Exact]:
        span = self.span
        worths = [points * 2.0 ** ((time - at) / span) for time in times]
        return [worth if worth >= 1.0 or worth <= -1.0 else 0.0 for worth in worths]

    def estimate(self, points: int, times: Sequence[int], base: int) -> Callable[[int], int | None]:
        """The rounded sum at an instant from `base` on, at once instead of by adding up every entry.

        None near a tie, or where an entry may have become nothing since `base`: then only `value` can tell.
        """
        total, paying = self.value(points, times, base)
        oldest = times[-paying] if paying else base
        span, unsure = self.span, (paying + 100) * abs(float(total)) * _ROUNDING
        ends = oldest + int(span * log2(abs(points) or 1) * (1 - 1e-9)) - _WIDE

        def at(instant: int) -> int | None:
            worth = float(total) * 2.0 ** ((base - instant) / span)
            near = abs(worth - floor(worth) - 0.5) <= unsure
            return None if near or instant >= ends else round(worth)

        return at

    @override
    def lifetime(self, points: int) -> int:
        return ceil(self.span * log2(abs(points) or 1) * (1 + 1e-9)) + 2

    @override
    def next_step(self, points: int, times: Sequence[int], at: int) -> int:
        """It fades all the time: the search for its next change is another one."""
        return NEVER


class StepDecay(Decay):
    """A share less with every whole period since the entry: of the first value, or of the one before (compound)."""

    def __init__(self, schema: Step, calendar: Calendar) -> None:
        self.share, self.calendar = schema.step, calendar
        self.kept = self.share.denominator - self.share.numerator
        self.months = schema.months
        self.span = 0 if self.months else micros_of(schema.every)
        self.compound = schema.curve == "compound"
        fades = self.share == 1 or not self.compound
        self.last = ceil(1 / self.share) if fades else None
        # No month is longer than 31 days, a change of clocks or of the date line shifts it by two days at most.
        longest = self.span or 33 * 86_400_000_000 * (self.months or 1)
        self._lifetime = self.last * longest if self.last else NEVER

    def periods(self, time: int, at: int) -> int:
        """Whole periods from `time` to `at`."""
        return self.calendar.whole_months(time, at, self.months) if self.months else (at - time) // self.span

    @override
    def value(self, points: int, times: Sequence[int], at: int) -> tuple[Exact, int]:
        start = bisect_right(times, at - self._lifetime)
        paying: dict[int, int] = {}
        for time in times[start:]:
            periods = self.periods(time, at)
            if self.last is None or periods < self.last:
                paying[periods] = paying.get(periods, 0) + 1
        over, under = self._compounded(paying) if self.compound else self._linear(paying)
        whole, rest = divmod(points * over, under)
        return Fraction(points * over, under) if rest else whole, sum(paying.values())

    # Both as numerator and denominator: fractions that are kept in lowest terms on the way cost ten times as much.
    def _linear(self, paying: dict[int, int]) -> tuple[int, int]:
        step, whole = self.share.numerator, self.share.denominator
        return sum([(whole - periods * step) * many for periods, many in paying.items()]), whole

    def _compounded(self, paying: dict[int, int]) -> tuple[int, int]:
        """Horner's scheme over the ages, oldest first, so that no power is taken twice."""
        whole, oldest = self.share.denominator, max(paying, default=0)
        total, age = 0, oldest
        for periods in sorted(paying, reverse=True):
            total = total * self.kept ** (age - periods) + paying[periods] * whole ** (oldest - periods)
            age = periods
        return total * self.kept**age, whole**oldest

    @override
    def lifetime(self, points: int) -> int:
        return self._lifetime

    @override
    def next_step(self, points: int, times: Sequence[int], at: int) -> int:
        if self.compound and not round(self.value(points, times, at)[0]):
            return NEVER  # it never reaches zero, but what is left rounds to nothing and only gets less
        start = bisect_right(times, at - self._lifetime)
        return min((self._next(time, at) for time in times[start:]), default=NEVER)

    def _next(self, time: int, at: int) -> int:
        periods = self.periods(time, at)
        if self.last is not None and periods >= self.last:
            return NEVER
        if self.months:
            return after_months(time, (periods + 1) * self.months, self.calendar.zone)
        return time + (periods + 1) * self.span


def compile_decay(schema: Window | HalfLife | Step | None, calendar: Calendar) -> Decay:
    """The decay a rule names."""
    if isinstance(schema, Window):
        return WindowDecay(schema)
    if isinstance(schema, HalfLife):
        return HalfLifeDecay(schema)
    return StepDecay(schema, calendar) if schema else NoDecay()
