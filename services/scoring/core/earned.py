"""What every engagement rule is worth at an instant, and how the worths become the engagement sum."""

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from services.scoring.core.compile import CompiledGroup, CompiledModel, CompiledRule
from services.scoring.core.decay import Exact
from services.scoring.core.state import Entries, State
from shared.clock import to_micros

Worth = tuple[int, int]
"""One rule's sum in cents, its own clamp applied, and the number of entries that pay."""


class Sums(NamedTuple):
    """The engagement sum in cents, and what each correction on the way changed."""

    total: int
    groups: tuple[int, ...]
    inactivity: int
    clamp: int


NOTHING: Worth = (0, 0)


def worths(model: CompiledModel, state: State, at: int) -> list[Worth]:
    """Per rule in model order, before anything is recycled."""
    return [
        NOTHING if entries is None else worth(rule, entries, at)
        for rule, entries in zip(model.rules, state.entries, strict=True)
    ]


def worth(rule: CompiledRule, entries: Entries, at: int) -> Worth:
    """One rule at one instant."""
    if rule.keeps_times:
        exact, paying = rule.decay.value(rule.points, entries.times, at)
        points = round(exact)
    elif rule.cells:
        points, paying = first_cell(rule, entries.times, at)
    else:
        paying = entries.count
        points = rule.points * paying
    return (rule.clamp.apply(points) if rule.clamped else points, paying)


def first_cell(rule: CompiledRule, times: Sequence[int], at: int) -> tuple[int, int]:
    """The first true cell: its points and the number of activities it counted."""
    for cell in rule.cells:
        count = len(times) - bisect_right(times, at - cell.span)
        if count >= cell.at_least:
            return cell.points, count
    return 0, 0


def is_recycled(state: State, at: int) -> bool:
    """Whether anything recycled is in force."""
    return any(to_micros(recycling.at) <= at for recycling in state.recyclings)


def recycled_worths(model: CompiledModel, state: State, at: int) -> list[Worth]:
    """As `worths`, each entry multiplied by the factors of all recyclings in force that came after it."""
    spans = weighted_spans(state, at)
    return [
        NOTHING if entries is None else _recycled(rule, entries, spans, at)
        for rule, entries in zip(model.rules, state.entries, strict=True)
    ]


def weighted_spans(state: State, at: int) -> list[tuple[int, int, Fraction]]:
    """(from, before, factor): every stretch of time between recyclings, oldest first."""
    in_force = [(to_micros(one.at), one.factor) for one in state.recyclings if to_micros(one.at) <= at]
    spans, factor, end = [], Fraction(1), at + 1
    for start, own in reversed(in_force):
        spans.append((start, end, factor))
        factor, end = factor * own, start
    spans.append((0, end, factor))
    return spans[::-1]


def _recycled(rule: CompiledRule, entries: Entries, spans: list[tuple[int, int, Fraction]], at: int) -> Worth:
    if rule.cells:
        return _recycled_cells(rule, entries.times, spans, at)
    total: Exact = 0
    count = 0
    for start, end, factor in spans:
        if factor:
            times = [time for time in entries.times if start <= time < end]
            exact, paying = rule.decay.value(rule.points, times, at)
            total += float(factor) * exact if isinstance(exact, float) else factor * exact
            count += paying
    return (rule.clamp.apply(round(total)), count)


def _recycled_cells(rule: CompiledRule, times: Sequence[int], spans: list[tuple[int, int, Fraction]], at: int) -> Worth:
    """Counts cannot be multiplied: the points are, each share of them by what the later activities reach alone."""
    total, count, before = Fraction(0), 0, Fraction(0)
    for start, _, factor in spans:
        later = [time for time in times if time >= start]
        points, counted = first_cell(rule, later, at)
        total += (factor - before) * points
        count = count or (counted if factor else 0)
        before = factor
    return (rule.clamp.apply(round(total)), count)


def combine(model: CompiledModel, points: Sequence[int], idle: int) -> Sums:
    """Rule sums to the engagement sum: groups, then `idle` periods of inactivity, then engagement's own clamp.

    Never falls when one of `points` rises.
    """
    caps: tuple[int, ...] = ()
    total = sum(points)
    if model.groups:
        caps = tuple([_cap(group, points) for group in model.groups])
        total += sum(caps)
    active = total
    inactivity = model.inactivity
    if idle and inactivity is not None:
        active = max(min(total, inactivity.floor), total - idle * abs(inactivity.points))
    clamped = model.model.engagement.apply(active)
    return Sums(clamped, caps, active - total, clamped - active)


def _cap(group: CompiledGroup, points: Sequence[int]) -> int:
    """What the group's clamp changes."""
    cents = group.sum(points)
    return group.clamp.apply(cents) - cents
