"""Thresholds that time alone may cross without anybody being told."""

from collections.abc import Iterator, Mapping
from fractions import Fraction

from services.handoff.core.rules import Rule


def unwatched(rules: tuple[Rule, ...], watched: Mapping[str, frozenset[Fraction]], primary: str) -> Iterator[str]:
    """A warning for each `enter` or `leave` (in points) that its model's `watch` does not hold.

    Scoring publishes what time changes only where a watched total is crossed; a rule without it would be judged late.
    """
    for rule in rules:
        model = rule.model or primary
        for name, cents in (("enter", Fraction(rule.enter)), ("leave", rule.leave)):
            if model in watched and cents / 100 not in watched[model]:
                yield f"rule {rule.id}: {name} {float(cents / 100):g} does not stand in watch of model {model}"
