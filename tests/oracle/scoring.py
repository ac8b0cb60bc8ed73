"""The score, worked out as slowly and plainly as the written rules allow, to compare the engine with.

It takes the model as plain data (what the YAML says) and activities as plain mappings, and shares no code with what
it judges. Every step starts from the whole set of activities; nothing is remembered, cached or dropped.
"""

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import re2

NEVER_ACTIVE = {"email_delivered", "email_bounced", "call_missed", "profile_updated", "card_exchanged"}


@dataclass
class Act:
    """An activity, as far as scores look at it."""

    id: str
    source: str
    type: str
    at: datetime
    properties: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    email: str | None = None
    verdict: str | None = None


@dataclass
class Answer:
    """Sums in points; reasons as (rule, points, count)."""

    score: Fraction | None
    engagement: Fraction | None
    fit: Fraction | None
    grade: str | None
    level: str | None
    stage: str | None
    coverage: float | None
    reasons: list[tuple[str, Fraction, int]]


def score(
    model: Mapping[str, Any], acts: Sequence[Act], t: datetime, attributes: Mapping[str, Any] | None = None
) -> Answer:
    """The lead with these activities at `t`; of two with one (source, id) the first given counts."""
    return _Lead(model, acts, t, attributes or {}).answer()


def span(text: str) -> timedelta:
    """45m, 12h, 30d."""
    units = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
    return timedelta(**{units[text[-1]]: int(text[:-1])})


def points_of(number: float) -> Fraction:
    """The decimal number that was written."""
    return Fraction(Decimal(repr(number)))


def half_even(value: Fraction) -> Fraction:
    """To 0.01, a tie to the even cent."""
    return Fraction(round(value * 100), 100)


def folded(text: str) -> str:
    """The form in which texts are compared."""
    return unicodedata.normalize("NFKC", text).casefold()


class _Lead:
    def __init__(self, model: Mapping[str, Any], acts: Sequence[Act], t: datetime, given: Mapping[str, Any]) -> None:
        self.model, self.t = model, t
        distinct: dict[tuple[str, str], Act] = {}
        for act in acts:
            if (act.source, act.id) not in distinct:
                distinct[act.source, act.id] = act
        self.acts = sorted((a for a in distinct.values() if a.at <= t), key=lambda a: (a.at, a.id, a.source))
        self.attributes = {name: value for name, value in given.items() if value is not None and value != ""}
        for act in self.acts:
            for name, value in act.attributes.items():
                if value is not None and value != "":
                    self.attributes[name] = value
        emails = [act.email for act in self.acts if act.email]
        self.domain = emails[0].split("@")[1] if emails else None
        self.seen = [act for act in self.acts if act.verdict not in ("suspected", "scan")]
        self.zone = ZoneInfo(model.get("timezone", "UTC"))
        self.numbers: dict[str, Any] = {}

    # -- the whole ---------------------------------------------------------------------------------------------------

    def answer(self) -> Answer:
        reasons: list[tuple[str, Fraction, int]] = []
        engagement, caps = self.engagement(reasons)
        fit, cap_fit = self.fit(reasons)
        groups = [(name, cap) for name, cap in caps if name.startswith("cap:") and name != "cap:engagement"]
        others = dict(caps)
        tail = [*groups, ("cap:engagement", others["cap:engagement"]), ("cap:fit", cap_fit)]
        tail.append(("inactivity", others["inactivity"]))
        reasons += [(name, value, 1) for name, value in tail if value != 0]
        grade = self.band(self.model.get("grade"), {"A": 75, "B": 50, "C": 25, "D": 0}, fit)
        level = self.band(self.model.get("level"), {"1": 75, "2": 50, "3": 25, "4": 0}, engagement)
        self.numbers = {
            "score.total": float(engagement + fit),
            "score.engagement": float(engagement),
            "score.fit": float(fit),
            "grade": grade,
            "level": level,
            "stage": None,
        }
        for stage in self.model.get("stages", []):
            if self.holds(stage, None):
                self.numbers["stage"] = stage["id"]
        if any(self.condition(one, None) for one in self.model.get("exclude", [])):
            return Answer(None, None, None, None, None, None, self.coverage(), [("excluded", Fraction(0), 1)])
        stage = self.numbers["stage"]
        return Answer(engagement + fit, engagement, fit, grade, level, stage, self.coverage(), reasons)

    def coverage(self) -> float | None:
        rules = self.model.get("fit", {}).get("rules", [])
        asked = {c["field"] for r in rules for q in ("all", "any", "none") for c in r.get(q, [])}
        asked = {name for name in asked if name.startswith("attributes.")}
        known = [name for name in asked if self.value(name, None) not in (None, "")]
        return round(len(known) / len(asked), 4) if asked else None

    @staticmethod
    def band(named: Mapping[str, Any] | None, defaults: Mapping[str, int], value: Fraction) -> str:
        bounds = dict(defaults) | {str(name): bound for name, bound in (named or {}).items()}
        reached = [name for name in defaults if value >= points_of(bounds[name])]
        return reached[0] if reached else list(defaults)[-1]

    # -- engagement --------------------------------------------------------------------------------------------------

    def engagement(self, reasons: list[tuple[str, Fraction, int]]) -> tuple[Fraction, list[tuple[str, Fraction]]]:
        section = self.model.get("engagement", {})
        loose, grouped = Fraction(0), {name: Fraction(0) for name in section.get("groups", {})}
        for rule in section.get("rules", []):
            value, count = self.rule(rule)
            if value != 0:
                reasons.append((rule["id"], value, count))
            if rule.get("group"):
                grouped[rule["group"]] += value
            else:
                loose += value
        caps = []
        total = loose
        for name, value in grouped.items():
            inside = self.clamp(section["groups"][name], value)
            caps.append((f"cap:{name}", inside - value))
            total += inside
        after = self.inactivity(section, total)
        result = self.clamp(section, after)
        return result, [*caps, ("inactivity", after - total), ("cap:engagement", result - after)]

    @staticmethod
    def clamp(bounds: Mapping[str, Any], value: Fraction) -> Fraction:
        if bounds.get("max") is not None:
            value = min(value, points_of(bounds["max"]))
        if bounds.get("min") is not None:
            value = max(value, points_of(bounds["min"]))
        return value

    def inactivity(self, section: Mapping[str, Any], total: Fraction) -> Fraction:
        rule = section.get("inactivity")
        signs = [
            act.at
            for act in self.seen
            if act.type not in NEVER_ACTIVE and any(self.matches(r, act) for r in section.get("rules", []))
        ]
        if rule is None or not signs:
            return total
        periods = (self.t - max(signs)) // span(rule["every"])
        return max(min(total, points_of(rule.get("floor", 0))), total - periods * abs(points_of(rule["points"])))

    def matches(self, rule: Mapping[str, Any], act: Act) -> bool:
        types = rule["activity"] if isinstance(rule["activity"], list) else [rule["activity"]]
        return bool("*" in types or act.type in types) and self.holds(rule, act)

    def rule(self, rule: Mapping[str, Any]) -> tuple[Fraction, int]:
        matching = [act for act in self.seen if self.matches(rule, act)]
        value, count = self.cells(rule, matching) if "cells" in rule else self.entries(rule, matching)
        return self.clamp(rule, half_even(value)), count

    def cells(self, rule: Mapping[str, Any], matching: Sequence[Act]) -> tuple[Fraction, int]:
        for cell in rule["cells"]:
            inside = [act for act in matching if self.t - span(cell["within"]) < act.at <= self.t]
            if len(inside) >= cell["at_least"]:
                return points_of(cell["points"]), len(inside)
        return Fraction(0), 0

    def entries(self, rule: Mapping[str, Any], matching: Sequence[Act]) -> tuple[Fraction, int]:
        paid: list[Act] = []
        for act in matching:
            if self.repeat_allows(rule.get("repeat", "once_per_object"), act, paid):
                same_day = [one for one in paid if self.day(one) == self.day(act)]
                if len(same_day) < self.model.get("daily_max", 20):
                    paid.append(act)
        worth = [self.decayed(rule, act) for act in paid]
        return sum(worth, Fraction(0)), len([one for one in worth if one != 0])

    def day(self, act: Act) -> Any:
        return act.at.astimezone(self.zone).date()

    def repeat_allows(self, repeat: Any, act: Act, paid: Sequence[Act]) -> bool:
        if repeat == "every":
            return True
        if repeat == "once":
            return not paid
        if repeat == "once_per_object":
            return all(object_key(one) != object_key(act) for one in paid)
        if "once_per" in repeat:
            return all(act.at - one.at >= span(repeat["once_per"]) for one in paid)
        return bool(len([one for one in paid if act.at - one.at < span(repeat["per"])]) < repeat["max"])

    def decayed(self, rule: Mapping[str, Any], act: Act) -> Fraction:
        points, age, decay = points_of(rule["points"]), self.t - act.at, rule.get("decay")
        if decay is None:
            return points
        if "window" in decay:
            return points if age < span(decay["window"]) else Fraction(0)
        if "half_life" in decay:
            cents = float(points * 100) * 2.0 ** (-(age / span(decay["half_life"])))
            return Fraction(cents) / 100 if abs(cents) >= 1 else Fraction(0)
        share, k = Fraction(decay["step"].rstrip("%")) / 100, self.periods(act, decay["every"])
        if decay.get("curve", "linear") == "linear":
            return points * max(Fraction(0), 1 - k * share)
        return points * (1 - share) ** k

    def periods(self, act: Act, every: str) -> int:
        if not every.endswith("mo"):
            return (self.t - act.at) // span(every)
        months, k = int(every[:-2]), 0
        while self.plus_months(act.at, months * (k + 1)) <= self.t:
            k += 1
        return k

    def plus_months(self, start: datetime, months: int) -> datetime:
        local = start.astimezone(self.zone)
        month = local.year * 12 + local.month - 1 + months
        year, month = month // 12, month % 12 + 1
        day = local.day
        while True:
            try:
                wall = local.replace(year=year, month=month, day=day, tzinfo=None)
                break
            except ValueError:
                day -= 1
        return self.first_instant(wall)

    def first_instant(self, wall: datetime) -> datetime:
        """The first instant at which the local clock shows `wall` or, where it skips it, a later time."""
        instant = wall.replace(tzinfo=self.zone, fold=0).astimezone(UTC)
        if instant.astimezone(self.zone).replace(tzinfo=None) == wall:
            return instant
        minute = instant - timedelta(hours=3)
        while minute.astimezone(self.zone).replace(tzinfo=None) < wall:
            minute += timedelta(minutes=1) - timedelta(seconds=minute.second, microseconds=minute.microsecond)
        return minute

    # -- fit and conditions ------------------------------------------------------------------------------------------

    def fit(self, reasons: list[tuple[str, Fraction, int]]) -> tuple[Fraction, Fraction]:
        section = self.model.get("fit", {})
        total = Fraction(0)
        for rule in section.get("rules", []):
            value = self.clamp(rule, points_of(rule["points"])) if self.holds(rule, None) else Fraction(0)
            if value != 0:
                reasons.append((rule["id"], value, 1))
            total += value
        result = self.clamp(section, total)
        return result, result - total

    def holds(self, block: Mapping[str, Any], act: Act | None) -> bool:
        if "all" in block and not all(self.condition(one, act) for one in block["all"]):
            return False
        if "any" in block and not any(self.condition(one, act) for one in block["any"]):
            return False
        return not ("none" in block and any(self.condition(one, act) for one in block["none"]))

    def condition(self, condition: Mapping[str, Any], act: Act | None) -> bool:
        if "did" in condition:
            done = [one for one in self.seen if one.type == condition["did"]]
            if "within" in condition:
                done = [one for one in done if self.t - span(condition["within"]) < one.at <= self.t]
            return bool(len(done) >= condition.get("at_least", 1))
        value = self.value(condition["field"], act)
        if "exists" in condition:
            return bool((value is not None) == condition["exists"])
        if value is None:
            return False
        (operator,) = set(condition) - {"field"}
        return operate(operator, value, condition[operator])

    def value(self, name: str, act: Act | None) -> Any:
        if name == "source":
            return act.source if act else None
        if name == "identity.email_domain":
            return self.domain
        if name in self.numbers:
            return self.numbers[name]
        root, path = name.split(".", 1)
        return dig(self.attributes if root == "attributes" else act.properties if act else {}, path)


def dig(values: Mapping[str, Any], path: str) -> Any:
    """A whole key first, else into objects."""
    if path in values:
        return values[path]
    head, _, rest = path.partition(".")
    return dig(values[head], rest) if rest and isinstance(values.get(head), dict) else None


def same(one: Any, other: Any) -> bool:
    """Equal without coercion."""
    if isinstance(one, str) and isinstance(other, str):
        return folded(one) == folded(other)
    if isinstance(one, bool) or isinstance(other, bool):
        return isinstance(one, bool) and isinstance(other, bool) and one == other
    return number(one) and number(other) and bool(one == other)


def number(value: Any) -> bool:
    """A JSON number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def operate(operator: str, value: Any, constant: Any) -> bool:
    """One operator on a value that is there."""
    if operator in ("not_equals", "not_in"):
        return not operate(operator.removeprefix("not_"), value, constant)
    if operator == "equals":
        return same(value, constant)
    if operator == "in":
        elements = value if isinstance(value, list) else [value]
        return any(same(element, one) for element in elements for one in constant)
    if operator == "contains" and isinstance(value, list):
        return any(same(element, constant) for element in value)
    if operator in ("gt", "gte", "lt", "lte"):
        return number(value) and number(constant) and compare(operator, value, constant)
    if not (isinstance(value, str) and isinstance(constant, str)):
        return False
    if operator == "matches":
        options = re2.Options()
        options.case_sensitive = False
        pattern = re.sub("[（）．＋＊？［］｜＾＄]", lambda m: "\\" + unicodedata.normalize("NFKC", m[0]), constant)
        return bool(
            re2.compile(unicodedata.normalize("NFKC", pattern), options).search(unicodedata.normalize("NFKC", value))
        )
    text, part = folded(value), folded(constant)
    return {"contains": part in text, "starts_with": text.startswith(part), "ends_with": text.endswith(part)}[operator]


def compare(operator: str, value: float, constant: float) -> bool:
    """Numbers."""
    return {"gt": value > constant, "gte": value >= constant, "lt": value < constant, "lte": value <= constant}[
        operator
    ]


def object_key(act: Act) -> tuple[str, ...]:
    """Which thing it was about."""
    given = act.properties.get("object_key")
    if given is not None:
        return (text(given),)
    kind = act.type.split("_")[0]
    if kind == "document":
        return (text(act.properties.get("document")),)
    if kind == "page":
        return (re.split(r"[?#]", text(act.properties.get("url")))[0],)
    if kind == "form":
        return (text(act.properties.get("form")),)
    if act.type == "email_clicked" and text(act.properties.get("link")):
        return (text(act.properties.get("email_id")), text(act.properties.get("link")))
    if kind == "email":
        return (text(act.properties.get("email_id")),)
    if kind in ("webinar", "seminar", "exhibition"):
        return (text(act.properties.get("event")),)
    return ("",)


def text(value: Any) -> str:
    """A text, or the JSON text of a number or boolean."""
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)
