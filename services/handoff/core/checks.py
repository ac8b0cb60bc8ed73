"""Faults of `handoff.yaml` that one value alone does not show; looked for in the raw tree."""

from collections.abc import Iterator, Mapping
from typing import Any

from services.handoff.core.values import is_no_span
from shared.conditions import ACCOUNT, GATE, Fault, Path, block_faults


def structural_faults(tree: Mapping[str, Any]) -> Iterator[Fault]:
    """Every such fault, in file order."""
    taken: set[str] = set()
    queues = tree.get("queues")
    if isinstance(queues, Mapping):
        for name, queue in queues.items():
            yield from _people(queue, ("queues", name))
    ids = {rule.get("id") for _, rule in _rules(tree) if isinstance(rule.get("id"), str)}
    for path, rule in _rules(tree):
        yield from _unique(rule, path, taken)
        yield from _after(rule, path, ids)
        yield from _queue(rule, path, queues)
        yield from _thresholds(rule, path)
        yield from _instants(rule, path)
        yield from block_faults(rule.get("require"), (*path, "require"), GATE)
    of_accounts: set[str] = set()
    for path, rule in _rules(tree, "account_rules"):
        yield from _unique(rule, path, of_accounts)
        yield from _thresholds(rule, path)
        yield from block_faults(rule.get("require"), (*path, "require"), ACCOUNT)


def _rules(tree: Mapping[str, Any], key: str = "rules") -> Iterator[tuple[Path, Mapping[str, Any]]]:
    rules = tree.get(key)
    for index, rule in enumerate(rules if isinstance(rules, list) else []):
        if isinstance(rule, Mapping):
            yield (key, index), rule


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


def _people(queue: Any, path: Path) -> Iterator[Fault]:
    """Members stand once in a queue, account owners are members, absences do not end before they begin."""
    members = queue.get("members") if isinstance(queue, Mapping) else None
    known: set[str] = set()
    for index, member in enumerate(members if isinstance(members, list) else []):
        name = member.get("name") if isinstance(member, Mapping) else None
        if isinstance(name, str) and name in known:
            yield Fault((*path, "members", index, "name"), f"expected each member once, {name} stands there already")
        known |= {name} if isinstance(name, str) else set()
        yield from _absences(member, (*path, "members", index))
    owners = queue.get("owners") if isinstance(queue, Mapping) else None
    for account, owner in owners.items() if isinstance(owners, Mapping) else ():
        if isinstance(owner, str) and owner not in known:
            yield Fault((*path, "owners", account), f"expected a member of the queue, {owner} is none")


def _absences(member: Any, path: Path) -> Iterator[Fault]:
    absences = member.get("absences") if isinstance(member, Mapping) else None
    for index, absence in enumerate(absences if isinstance(absences, list) else []):
        first, last = (absence.get(end) if isinstance(absence, Mapping) else None for end in ("from", "to"))
        # Dates as texts sort as the days do.
        if isinstance(first, str) and isinstance(last, str) and last < first:
            yield Fault((*path, "absences", index, "to"), "expected a day not before `from`")


def _after(rule: Mapping[str, Any], path: Path, ids: set[Any]) -> Iterator[Fault]:
    require = rule.get("require")
    after = require.get("handoff") if isinstance(require, Mapping) else None
    other = after.get("rule") if isinstance(after, Mapping) else None
    if isinstance(other, str) and (other not in ids or other == rule.get("id")):
        yield Fault((*path, "require", "handoff", "rule"), f"expected another rule of this file, {other} is none")


def _instants(rule: Mapping[str, Any], path: Path) -> Iterator[Fault]:
    if rule.get("instant") and is_no_span(rule.get("cooldown")):
        yield Fault((*path, "cooldown"), "expected a span longer than zero: instant counts what is younger than it")


def _thresholds(rule: Mapping[str, Any], path: Path) -> Iterator[Fault]:
    enter, leave = rule.get("enter"), rule.get("leave")
    if isinstance(enter, bool) or not isinstance(enter, (int, float)):
        return
    if isinstance(leave, (int, float)) and leave > enter:
        yield Fault((*path, "leave"), "expected a number not above enter")
    if leave is None and enter < 0:
        yield Fault((*path, "leave"), "is missing: below zero nine tenths of enter lie above it")
