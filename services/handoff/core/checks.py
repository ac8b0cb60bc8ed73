"""Faults of `handoff.yaml` that one value alone does not show; looked for in the raw tree."""

from collections.abc import Iterator, Mapping
from typing import Any

from shared.conditions import GATE, Fault, Path, block_faults


def structural_faults(tree: Mapping[str, Any]) -> Iterator[Fault]:
    """Every such fault, in file order."""
    taken: set[str] = set()
    queues = tree.get("queues")
    for path, rule in _rules(tree):
        yield from _unique(rule, path, taken)
        yield from _queue(rule, path, queues)
        yield from _thresholds(rule, path)
        yield from block_faults(rule.get("require"), (*path, "require"), GATE)


def _rules(tree: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    rules = tree.get("rules")
    for index, rule in enumerate(rules if isinstance(rules, list) else []):
        if isinstance(rule, Mapping):
            yield ("rules", index), rule


def _unique(rule: Mapping[str, Any], path: Path, taken: set[str]) -> Iterator[Fault]:
    known_as = rule.get("id")
    if isinstance(known_as, str):
        if known_as in taken:
            yield Fault((*path, "id"), f"expected an id used once in the file, {known_as} is taken")
        taken.add(known_as)


def _queue(rule: Mapping[str, Any], path: Path, queues: Any) -> Iterator[Fault]:
    """Without any `queues` the rules alone name them; with some, a name that is missing is a slip of the pen."""
    to = rule.get("to")
    if isinstance(queues, Mapping) and isinstance(to, str) and to not in queues:
        yield Fault((*path, "to"), f"expected a queue that stands in queues, {to} does not")


def _thresholds(rule: Mapping[str, Any], path: Path) -> Iterator[Fault]:
    enter, leave = rule.get("enter"), rule.get("leave")
    if isinstance(enter, bool) or not isinstance(enter, (int, float)):
        return
    if isinstance(leave, (int, float)) and leave > enter:
        yield Fault((*path, "leave"), "expected a number not above enter")
    if leave is None and enter < 0:
        yield Fault((*path, "leave"), "is missing: below zero nine tenths of enter lie above it")
