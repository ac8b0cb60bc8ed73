"""Faults of a model file that one value alone does not show: what must be unique, what refers to what.

They are looked for in the raw tree, so that they are reported together with the faults of single values.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shared.conditions import ACTIVITY, LEAD, STATE, Fault, Path, Scope, block_faults, conditions_faults

_GROUPS_ARE_NOT = frozenset({"engagement", "fit"})


def structural_faults(tree: Mapping[str, Any]) -> Iterator[Fault]:
    """Every such fault, in file order per section."""
    engagement, fit = ("engagement", "rules"), ("fit", "rules")
    yield from _unique(tree, (engagement, fit))
    yield from _unique(tree, (("stages",),))
    yield from _unique(tree, (("signals",),))
    yield from _groups(tree)
    for place, scope in ((engagement, ACTIVITY), (fit, LEAD), (("stages",), STATE), (("signals",), ACTIVITY)):
        yield from _fields(tree, place, scope)
    yield from conditions_faults(_list(tree, ("exclude",)), ("exclude",), STATE)
    for path, raw in _mappings(tree):
        yield from _order(raw, path)


def _list(tree: Any, path: Sequence[str]) -> Sequence[Any]:
    for key in path:
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    return tree if isinstance(tree, list) else []


def _items(tree: Any, path: tuple[str, ...]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    for index, item in enumerate(_list(tree, path)):
        if isinstance(item, Mapping):
            yield (*path, index), item


def _unique(tree: Any, places: Sequence[tuple[str, ...]]) -> Iterator[Fault]:
    seen: set[str] = set()
    for place in places:
        for path, item in _items(tree, place):
            known_as = item.get("id")
            if isinstance(known_as, str):
                if known_as in seen:
                    yield Fault((*path, "id"), f"expected an id used once in the file, {known_as} is taken")
                seen.add(known_as)


def _groups(tree: Mapping[str, Any]) -> Iterator[Fault]:
    section = tree.get("engagement")
    groups = section.get("groups") if isinstance(section, Mapping) else None
    known = set(groups) if isinstance(groups, Mapping) else set()
    for name in known & _GROUPS_ARE_NOT:
        yield Fault(("engagement", "groups", name), "expected another name: cap:engagement and cap:fit have a meaning")
    for path, rule in _items(tree, ("engagement", "rules")):
        group = rule.get("group")
        if isinstance(group, str) and group not in known:
            yield Fault((*path, "group"), f"expected a group that stands in engagement.groups, {group} does not")


def _fields(tree: Any, place: tuple[str, ...], scope: Scope) -> Iterator[Fault]:
    for path, item in _items(tree, place):
        yield from block_faults(item, path, scope)


def _mappings(tree: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Rules with cells: the places where one span has to be compared with another."""
    for path, rule in _items(tree, ("engagement", "rules")):
        if "cells" in rule:
            yield path, rule


def _order(rule: Mapping[str, Any], path: Path) -> Iterator[Fault]:
    for name in ("points", "repeat", "decay"):
        if name in rule:
            yield Fault((*path, name), "a rule with cells has none: its cells pay")
