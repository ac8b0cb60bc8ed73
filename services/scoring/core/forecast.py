"""When a lead's score will fall below the totals its model watches, if nothing else happens.

Exclusions are not foreseen: an excluded lead has no forecast, and of another it is told what its points will do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.scoring.core.calendar import NEVER
from services.scoring.core.compile import CompiledModel, CompiledRule
from services.scoring.core.earned import combine
from services.scoring.core.evaluate import fit_sums, idle_periods, manual_in_force
from services.scoring.core.evaluation import Evaluation, ManualPoints, as_points
from services.scoring.core.next_change import Search, highest_sum, steps
from services.scoring.core.state import State
from shared.clock import from_micros, to_micros, to_rfc3339

MINUTE = 60_000_000
FAR = 10 * 366 * 1_440 * MINUTE
"""Microseconds; what lies further ahead is not told of."""
SOON = 32 * 1_440 * MINUTE
_MOST_STEPS = 2_000
_MOST_PROBES = 5_000


@dataclass(frozen=True, slots=True)
class Fall:
    """The score is below `mark` (cents) at `at`, the first such whole minute after it was asked for."""

    mark: int
    at: datetime

    def to_json(self) -> dict[str, object]:
        """As events carry it."""
        return {"below": as_points(self.mark), "at": to_rfc3339(self.at)}


def forecast(
    model: CompiledModel, state: State, at: datetime, now: Evaluation, manual: Sequence[ManualPoints] = ()
) -> tuple[Fall, ...]:
    """A fall for each watched total that the score has reached and will lose by time alone, the highest first.

    `now` is the evaluation at `at`, which lies at or after the last folded activity. The answer does not depend on
    when it is asked for, as long as nothing was added and the fall is still to come. What dips and comes back within a
    minute is passed over, as nobody publishes it.
    """
    if now.score is None:
        return ()
    marks = sorted({mark for mark in model.model.watch if mark <= now.score}, reverse=True)
    if not marks:
        return ()
    falls = _Falls(model, state, manual)
    return tuple(Fall(mark, from_micros(found)) for mark, found in falls.below(marks, to_micros(at)))


class _Falls(Search):
    """Searches for falls as `Search` does for changes."""

    def below(self, marks: Sequence[int], at: int) -> Iterator[tuple[int, int]]:
        """Each mark with the first instant after `at` at which the total is below it, if there is one."""
        self.end = _whole_minute(at + FAR)
        only_falls = self._only_falls(at)
        for mark in marks:
            if only_falls and self.total(self.end) >= mark:
                return
            found = self._narrowed(mark, at) if only_falls else self._walked(mark, at)
            if found >= self.end:
                return  # a lower mark is not reached before a higher one
            yield mark, found
            at = max(at, found - MINUTE)

    def _only_falls(self, at: int) -> bool:
        """Whether nothing can raise the total again: losses that fade, cells that rise, points to come."""
        if self.state.recyclings:
            return False
        for rule, entries in zip(self.model.rules, self.state.entries, strict=True):
            if entries is not None and not _falls(rule):
                return False
        return not any(
            to_micros(one.given_at) > at or (one.points < 0 and one.expires_at is not None) for one in self.manual
        )

    def total(self, at: int) -> int:
        """The score in cents."""
        return self._total_of(self.points(at), at)

    def _total_of(self, points: Sequence[int], at: int) -> int:
        _, fit = fit_sums(self.model, self.state)
        given = sum(one.points for one in manual_in_force(self.manual, from_micros(at))) if self.manual else 0
        return combine(self.model, points, idle_periods(self.model, self.state, at)).total + fit + given

    def _narrowed(self, mark: int, at: int) -> int:
        """The total is at or above the mark at `at`, below it at the end, and rises nowhere in between.

        By turns halved and cut where a straight line would fall below: half-lives are nearly straight at their ends.
        """
        low, high = at // MINUTE, _whole_minute(at + SOON) // MINUTE
        above, straight = self.total(at), True
        while (under := self.total(high * MINUTE)) >= mark:
            low, high, above = high, min(8 * high - 7 * low, self.end // MINUTE), under
        while high - low > 1:
            cut = low + (high - low) * (above - mark) // max(above - under, 1) if straight else (low + high) // 2
            middle = min(max(cut, low + 1), high - 1)
            total = self.total(middle * MINUTE)
            if total < mark:
                high, under = middle, total
            else:
                low, above = middle, total
            straight = not straight
        return high * MINUTE

    def _walked(self, mark: int, at: int) -> int:
        """From jump to jump, and through what fades between two; NEVER where none is found in bearable time."""
        self.highest = highest_sum(self.model, self.state, at)
        for _ in range(_MOST_STEPS):
            step = min(self.inactive_next(at), *steps(self.model, self.state, at, self.manual))
            fading = min(step - 1, self.fading_until, self.end)
            found = self._faded(mark, at, fading) if at < fading else None
            if found is None and step < self.end and self.total(step) < mark:
                found = step
            if found is not None and self.total(_whole_minute(found)) < mark:
                return _whole_minute(found)
            if step >= self.end:
                return NEVER
            at = step if found is None else max(_whole_minute(found), step)
        return NEVER

    def _faded(self, mark: int, low: int, high: int) -> int | None:
        """The first instant in (low, high] below the mark, between which each rule's value moves one way only."""
        todo = [(low, self.points(low), high, self.points(high))]
        for _ in range(_MOST_PROBES):
            if not todo:
                return None
            first, before, last, after = todo.pop()
            if self._total_of(list(map(min, before, after)), last) >= mark:
                continue
            if last - first == 1:
                if self._total_of(after, last) < mark:
                    return last
                continue
            middle = (first + last) // 2
            between = self.points(middle)
            todo += [(middle, between, last, after), (first, before, middle, between)]
        return None


def _whole_minute(at: int) -> int:
    """The first one from then on."""
    return -(-at // MINUTE) * MINUTE


def _falls(rule: CompiledRule) -> bool:
    """Whether what the rule is worth never rises by time alone. A cell that is false stays so: the first true one moves
    down the list.
    """
    if rule.cells:
        worths = [*(cell.points for cell in rule.cells), 0]
        return worths == sorted(worths, reverse=True)
    return rule.points >= 0 or not rule.keeps_times
