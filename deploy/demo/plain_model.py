"""The few things of a scoring model that the expectation understands. Anything else is refused, never passed over."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ruamel.yaml import YAML

_TOP = {"model", "timezone", "daily_max", "watch", "engagement", "fit", "grade", "level", "stages"}
_RULE = {"id", "activity", "points", "repeat", "group", "all", "any"}
_BLOCK = {"all", "any"}


class NotUnderstood(ValueError):
    """The model file says something that the expectation cannot compute."""


@dataclass(frozen=True, slots=True)
class PlainRule:
    """A rule for activities. `limit` payments younger than `span`; `repeat` is the word where it is one."""

    id: str
    types: frozenset[str]
    cents: int
    repeat: str
    limit: int
    span: timedelta
    group: str | None
    block: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PlainModel:
    """The model as plain values; points in cents."""

    zone: ZoneInfo
    daily_max: int
    floor: int | None
    caps: Mapping[str, int]
    rules: tuple[PlainRule, ...]
    fit: tuple[tuple[str, int, Mapping[str, Any]], ...]
    grade: Mapping[str, int]
    level: Mapping[str, int]
    stages: tuple[tuple[str, Mapping[str, Any]], ...]


def read_model(path: Path) -> PlainModel:
    """Read a model file. Raises NotUnderstood for anything beyond what the shipped ones use."""
    raw = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    _only(raw, _TOP, "the model")
    engagement, fit = raw["engagement"], raw.get("fit", {"rules": []})
    _only(engagement, {"min", "groups", "rules"}, "engagement")
    _only(fit, {"rules"}, "fit")
    caps = engagement.get("groups", {})
    for name, clamp in caps.items():
        _only(clamp, {"max"}, f"group {name}")
    return PlainModel(
        zone=ZoneInfo(raw["timezone"]),
        daily_max=raw.get("daily_max", 20),
        floor=cents(engagement["min"]) if "min" in engagement else None,
        caps={name: cents(clamp["max"]) for name, clamp in caps.items()},
        rules=tuple(_rule(rule) for rule in engagement["rules"]),
        fit=tuple(_fit(rule) for rule in fit["rules"]),
        grade=_bounds(raw.get("grade", {"A": 75, "B": 50, "C": 25, "D": 0})),
        level=_bounds(raw.get("level", {1: 75, 2: 50, 3: 25, 4: 0})),
        stages=tuple(_stage(stage) for stage in raw.get("stages", [])),
    )


def cents(points: Any) -> int:
    """Points as written to whole cents. Raises NotUnderstood for more than two decimals."""
    exact = Fraction(str(points)) * 100
    if exact.denominator != 1:
        raise NotUnderstood(f"{points} has more than two decimals")
    return int(exact)


def holds(block: Mapping[str, Any], values: Mapping[str, Any], counts: Mapping[str, int]) -> bool:
    """Whether `all` and `any` of a block hold; `values` by field, `counts` by activity type for `did`."""
    everything = all(_true(condition, values, counts) for condition in block.get("all", []))
    return everything and (not block.get("any") or any(_true(item, values, counts) for item in block["any"]))


def _true(condition: Mapping[str, Any], values: Mapping[str, Any], counts: Mapping[str, int]) -> bool:
    if "did" in condition:
        _only(condition, {"did", "at_least"}, "a did")
        return bool(counts.get(condition["did"], 0) >= condition.get("at_least", 1))
    ((operator, wanted),) = [(name, value) for name, value in condition.items() if name != "field"]
    value = values.get(condition["field"])
    if value is None:
        return False
    if operator == "gte":
        return bool(value >= wanted)
    text = _folded(str(value))
    if operator == "contains":
        return _folded(str(wanted)) in text
    if operator == "in":
        return text in {_folded(item) for item in wanted}
    if operator == "matches":
        return re.search(wanted, unicodedata.normalize("NFKC", str(value)), re.IGNORECASE) is not None
    raise NotUnderstood(f"the operator {operator}")


def _rule(raw: Mapping[str, Any]) -> PlainRule:
    _only(raw, _RULE, f"rule {raw.get('id')}")
    repeat, limit, span = raw.get("repeat", "once_per_object"), 0, timedelta()
    if isinstance(repeat, dict):
        _only(repeat, {"once_per", "max", "per"}, f"repeat of {raw['id']}")
        limit = repeat.get("max", 1)
        span = _days(repeat.get("once_per") or repeat["per"])
        repeat = "limited"
    elif repeat not in {"every", "once", "once_per_object"}:
        raise NotUnderstood(f"repeat {repeat}")
    types = raw["activity"] if isinstance(raw["activity"], list) else [raw["activity"]]
    if any(not item["field"].startswith("properties.") for name in _BLOCK for item in raw.get(name, [])):
        raise NotUnderstood(f"rule {raw['id']} looks at more than properties")
    if "*" in types:
        raise NotUnderstood("a rule for every type")
    block = {name: raw[name] for name in _BLOCK if name in raw}
    return PlainRule(raw["id"], frozenset(types), cents(raw["points"]), repeat, limit, span, raw.get("group"), block)


def _fit(raw: Mapping[str, Any]) -> tuple[str, int, Mapping[str, Any]]:
    _only(raw, {"id", "points", *_BLOCK}, f"rule {raw.get('id')}")
    return raw["id"], cents(raw["points"]), raw


def _stage(raw: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    _only(raw, {"id", "name", *_BLOCK}, f"stage {raw.get('id')}")
    return raw["id"], raw


def _bounds(raw: Mapping[Any, Any]) -> dict[str, int]:
    return {str(name): cents(bound) for name, bound in raw.items()}


def _days(text: str) -> timedelta:
    if not re.fullmatch(r"[0-9]+d", text):
        raise NotUnderstood(f"the span {text}")
    return timedelta(days=int(text[:-1]))


def _only(raw: Mapping[str, Any], allowed: set[str], where: str) -> None:
    if unknown := set(raw) - allowed:
        raise NotUnderstood(f"{', '.join(sorted(map(str, unknown)))} of {where}")


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
