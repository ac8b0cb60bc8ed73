"""Thresholds that time alone may cross without anybody being told."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from services.handoff.core.rules import Rule


@dataclass(frozen=True, slots=True)
class Watched:
    """What a model tells of itself: totals (points) whose crossing by time is published, and whether it is foretold."""

    totals: frozenset[Fraction]
    forecast: bool = False


def unwatched(rules: tuple[Rule, ...], watched: Mapping[str, Watched], primary: str) -> Iterator[str]:
    """A warning for each `enter` or `leave` (in points) that its model's `watch` does not hold, and for `cools_within`
    where the model foretells nothing.

    Scoring publishes what time changes only where a watched total is crossed; a rule without it would be judged late.
    """
    for rule in rules:
        model = rule.model or primary
        for name, cents in (("enter", Fraction(rule.enter)), ("leave", rule.leave)):
            if model in watched and cents / 100 not in watched[model].totals:
                yield f"rule {rule.id}: {name} {float(cents / 100):g} does not stand in watch of model {model}"
        if rule.cools_within is not None and model in watched and not watched[model].forecast:
            yield f"rule {rule.id}: cools_within needs `forecast: true` in model {model}"
