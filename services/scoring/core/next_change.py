"""When time alone changes a lead: the first instant at which its rounded score, grade, level or stage differs."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from services.scoring.core.calendar import NEVER, micros_of
from services.scoring.core.compile import CompiledModel, CompiledRule
from services.scoring.core.decay import HalfLifeDecay
from services.scoring.core.earned import combine, is_recycled, recycled_worths, worth, worths
from services.scoring.core.evaluate import fit_sums, idle_periods, judge, manual_in_force
from services.scoring.core.evaluation import ManualPoints
from services.scoring.core.state import Entries, State
from shared.clock import from_micros, to_micros

Signature = tuple[int, str | None, str | None, str | None, bool]
"""Score in cents, grade, level, stage, excluded."""
_MOST_STEPS = 10_000
# Where half-lives of both signs keep cancelling out, a search to the microsecond would not end in useful time.
_MOST_PROBES = 20_000


def next_change_at(
    model: CompiledModel, state: State, at: datetime, manual: Sequence[ManualPoints] = ()
) -> datetime | None:
    """The earliest instant after `at` at which time alone changes score, grade, level or stage; None if never.

    `at` lies at or after the last folded activity. Gives up on pathological models with an instant before which
    nothing changes.
    """
    search = Search(model, state, manual)
    found = search.first_after(to_micros(at))
    return None if found >= NEVER else from_micros(found)


class Search:
    """One lead under one model as time goes on."""

    def __init__(self, model: CompiledModel, state: State, manual: Sequence[ManualPoints]) -> None:
        self.model, self.state, self.manual = model, state, manual
        self.probes = 0
        self.fading_until = max(_ends_of_fading(model, state), default=0)
        self.highest: int | None = None
        self.estimates: dict[int, Callable[[int], int | None]] = {}

    def first_after(self, at: int) -> int:
        self.estimate_from(at)
        now = self.signature(at)
        for _ in range(_MOST_STEPS):
            step = min(self.inactive_next(at), *steps(self.model, self.state, at, self.manual))
            end = min(step - 1, self.fading_until)
            if at < end and (found := self.fade(at, end, now)) is not None:
                return found
            if step >= NEVER or self.signature(step) != now:
                return step
            at = step
            self.estimate_from(at)
        return at

    def inactive_next(self, at: int) -> int:
        """The next period of inactivity that can still take something: none once the floor is reached."""
        rule = self.model.inactivity
        if rule is None or not rule.points or self.state.last_active is None:
            return NEVER
        idle = idle_periods(self.model, self.state, at)
        if self.highest is None:
            self.highest = highest_sum(self.model, self.state, at)
        if self.highest - idle * abs(rule.points) <= rule.floor:
            return NEVER
        return self.state.last_active + (idle + 1) * self.model.idle_span

    def points(self, at: int) -> list[int]:
        """Per rule in cents, recycling included."""
        if self.state.recyclings and is_recycled(self.state, at):
            return [points for points, _ in recycled_worths(self.model, self.state, at)]
        rules = zip(self.model.rules, self.state.entries, strict=True)
        return [0 if entries is None else self.rule_points(rule, entries, at) for rule, entries in rules]

    def faded(self, points: Sequence[int], at: int) -> list[int]:
        """What `points` of an earlier instant are at `at`, where between the two only half-lives change anything."""
        if self.state.recyclings and is_recycled(self.state, at):
            return self.points(at)
        faded = list(points)
        for rule in self.model.fades:
            if (entries := self.state.entries[rule.index]) is not None:
                faded[rule.index] = self.rule_points(rule, entries, at)
        return faded

    def rule_points(self, rule: CompiledRule, entries: Entries, at: int) -> int:
        estimate = self.estimates.get(rule.index)
        points = None if estimate is None else estimate(at)
        return worth(rule, entries, at)[0] if points is None else rule.clamp.apply(points)

    def estimate_from(self, at: int) -> None:
        """Sums of half-lives at once, from `at` on; what an estimate cannot tell is still added up."""
        for rule in self.model.fades:
            entries = self.state.entries[rule.index]
            if entries is not None and entries.times and isinstance(rule.decay, HalfLifeDecay):
                self.estimates[rule.index] = rule.decay.estimate(rule.points, entries.times, at)

    def signature(self, at: int) -> Signature:
        return self.signature_of(self.points(at), at)

    def signature_of(self, points: Sequence[int], at: int) -> Signature:
        engagement = combine(self.model, points, idle_periods(self.model, self.state, at)).total
        _, fit = fit_sums(self.model, self.state)
        given = sum(one.points for one in manual_in_force(self.manual, from_micros(at)))
        total = engagement + fit + given
        grade, level, stage, excluded = judge(self.model, self.state, at, engagement, fit, total)
        return (0, None, None, None, True) if excluded else (total, grade, level, stage, False)

    def fade(self, low: int, high: int, now: Signature) -> int | None:
        """The first instant in (low, high] that differs from `now`; between the two only half-lives change anything.

        Each rule's value moves one way only, towards zero. So the values at the ends bound everything between, and an
        interval whose bounds give one sum is passed over.
        """
        at_low = self.points(low)
        todo = [(low, at_low, high, self.faded(at_low, high))]
        while todo:
            first, before, last, after = todo.pop()
            self.probes += 1
            if self.probes > _MOST_PROBES:
                return first + 1
            if before == after or self.same_between(before, after, last, excluded=now[-1]):
                continue
            if last - first == 1:
                if self.signature_of(after, last) != now:
                    return last
                continue
            middle = (first + last) // 2
            between = self.faded(before, middle)
            todo += [(middle, between, last, after), (first, before, middle, between)]
        return None

    def same_between(self, before: Sequence[int], after: Sequence[int], at: int, *, excluded: bool) -> bool:
        """Whether bounds tell that nothing differs in between; at the first of the two nothing differs yet."""
        idle = idle_periods(self.model, self.state, at)
        low = combine(self.model, list(map(min, before, after)), idle).total
        high = combine(self.model, list(map(max, before, after)), idle).total
        if low == high:
            return True
        # The score of an excluded lead is not seen; only a value that some condition asks for can bring it back.
        return excluded and not any(low <= mark <= high for mark in self.marks(at))

    def marks(self, at: int) -> list[int]:
        """Engagement sums in cents at which levels, stages and exclusion may change."""
        _, fit = fit_sums(self.model, self.state)
        others = fit + sum(one.points for one in manual_in_force(self.manual, from_micros(at)))
        levels = [bound for _, bound in self.model.levels]
        return [*levels, *self.model.engagement_marks, *(mark - others for mark in self.model.total_marks)]


def highest_sum(model: CompiledModel, state: State, at: int) -> int:
    """What the engagement sum can never exceed by time alone: gains only fade, losses at best vanish."""
    earned = worths(model, state, at)
    best = [
        max([points, 0, *(cell.points for cell in rule.cells)])
        for rule, (points, _) in zip(model.rules, earned, strict=True)
    ]
    sums = combine(model, best, 0)
    return sums.total - sums.clamp


def _ends_of_fading(model: CompiledModel, state: State) -> Iterator[int]:
    for rule in model.fades:
        entries = state.entries[rule.index]
        if entries is not None and entries.times and isinstance(rule.decay, HalfLifeDecay):
            yield min(entries.times[-1] + rule.lifetime, NEVER)


def steps(model: CompiledModel, state: State, at: int, manual: Sequence[ManualPoints]) -> Iterator[int]:
    """Instants after `at` at which something may jump, inactivity left out; ends with NEVER."""
    for rule in model.jumps:
        entries = state.entries[rule.index]
        if entries is not None:
            for cell in rule.cells:
                yield from _leaving(entries.times, cell.at_least, cell.span, at)
            yield rule.decay.next_step(rule.points, entries.times, at)
    for condition in model.did:
        if condition.within is not None and condition.did in state.did:
            yield from _leaving(state.did[condition.did][1], condition.at_least, micros_of(condition.within), at)
    instants = [to_micros(one.at) for one in state.recyclings]
    for one in manual:
        instants += [to_micros(instant) for instant in (one.given_at, one.expires_at) if instant is not None]
    yield from (instant for instant in instants if instant > at)
    yield NEVER


def _leaving(times: Sequence[int], at_least: int, span: int, at: int) -> Iterator[int]:
    """When too few will be left in the span: the activity that is the last one needed leaves it."""
    if len(times) >= at_least and times[-at_least] + span > at:
        yield times[-at_least] + span
