"""The score, worked out as slowly and plainly as the written rules allow, to compare the engine with.

It takes the model as plain data (what the YAML says) and activities as plain mappings, and shares no code with what
it judges. Every step starts from the whole set of activities; nothing is remembered, cached or dropped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from tests.oracle import bots
from tests.oracle.conditions import dig, object_key, operate
from tests.oracle.fading import decayed, points_of, span

SHARED_MAILBOXES = {"info", "sales", "contact"}
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
    signals: dict[str, Any] | None = None
    consent: dict[str, Any] | None = None
    names: tuple[str, ...] = ()
    """Its identifiers, the strongest first; only `tests.oracle.people` looks at them."""

    @property
    def place(self) -> tuple[datetime, str, str]:
        """In the order of the fold."""
        return (self.at, self.id, self.source)


@dataclass(frozen=True)
class Points:
    """Points given by hand at `at`, until `until`."""

    points: float
    at: datetime
    until: datetime | None = None


@dataclass(frozen=True)
class Returned:
    """Sales sent the lead back: `keep`, `reset`, `{"factor": f}`, or None for what the model says."""

    at: datetime
    policy: Any = None


Entry = Points | Returned


@dataclass
class Answer:
    """Sums in points; reasons as (rule, points, count)."""

    score: Fraction | None
    engagement: Fraction | None
    fit: Fraction | None
    manual: Fraction
    grade: str | None
    level: str | None
    stage: str | None
    coverage: float | None
    reasons: list[tuple[str, Fraction, int]]


def score(
    model: Mapping[str, Any],
    acts: Sequence[Act],
    t: datetime,
    attributes: Mapping[str, Any] | None = None,
    entries: Sequence[Entry] = (),
) -> Answer:
    """The lead with these activities and entries at `t`; of two with one (source, id) the first given counts."""
    return _Lead(model, acts, t, attributes or {}, entries).answer()


def half_even(value: Fraction) -> Fraction:
    """To 0.01, a tie to the even cent."""
    return Fraction(round(value * 100), 100)


def judged(model: Mapping[str, Any], acts: Sequence[Act], t: datetime) -> "_Lead":
    """The lead taken apart: `happened` is everything by `t`, `acts` are those that count under consent, `seen` those of
    them that no machine made.
    """
    return _Lead(model, acts, t, {})


class _Lead:
    def __init__(
        self,
        model: Mapping[str, Any],
        acts: Sequence[Act],
        t: datetime,
        given: Mapping[str, Any],
        entries: Sequence[Entry] = (),
    ) -> None:
        self.model, self.t, self.entered = model, t, entries
        distinct: dict[tuple[str, str], Act] = {}
        for act in acts:
            if (act.source, act.id) not in distinct:
                distinct[act.source, act.id] = act
        happened = sorted((a for a in distinct.values() if a.at <= t), key=lambda a: a.place)
        self.happened = happened
        self.acts = [act for act in happened if self.agreed(happened, act)]
        self.attributes = {name: value for name, value in given.items() if value is not None and value != ""}
        for act in self.acts:
            for name, value in act.attributes.items():
                if value is not None and value != "":
                    self.attributes[name] = value
        emails = [act.email for act in self.acts if act.email]
        own = [email for email in emails if email.split("@")[0] not in SHARED_MAILBOXES]
        self.domain = [*own, *emails][0].split("@")[1] if emails else None
        hits = [bots.Hit((a.source, a.id), a.type, a.at, a.properties, a.signals or {}) for a in happened]
        machines = bots.unpaid(hits)
        self.seen = [
            act
            for act in self.acts
            if act.verdict not in ("suspected", "scan") and (act.source, act.id) not in machines
        ]
        self.zone = ZoneInfo(model.get("timezone", "UTC"))
        self.numbers: dict[str, Any] = {}

    def agreed(self, happened: Sequence[Act], act: Act) -> bool:
        """Whether the last word about profiling whose instant had come at this activity said yes, if that is asked."""
        if self.model.get("consent", {}).get("profiling") != "required":
            return True
        words = []
        for one in happened:
            word = (one.consent or {}).get("profiling")
            at = datetime.fromisoformat(one.consent["at"]) if one.consent and one.consent.get("at") else one.at
            if word is not None and at <= act.at:
                words.append((at, one.place, word))
        return bool(words) and max(words)[2] is True

    # -- the whole ---------------------------------------------------------------------------------------------------

    def answer(self) -> Answer:
        reasons: list[tuple[str, Fraction, int]] = []
        earned, caps = self.engagement(reasons, {})
        engagement, _ = self.engagement([], self.factors())
        fit, cap_fit = self.fit(reasons)
        given = [one for one in self.entered if isinstance(one, Points) and self.in_force(one)]
        manual = sum((points_of(one.points) for one in given), Fraction(0))
        groups = [(name, cap) for name, cap in caps if name.startswith("cap:") and name != "cap:engagement"]
        others = dict(caps)
        tail = [*groups, ("cap:engagement", others["cap:engagement"]), ("cap:fit", cap_fit)]
        tail += [("inactivity", others["inactivity"]), ("recycled", engagement - earned)]
        reasons += [(name, value, 1) for name, value in tail if value != 0]
        if manual != 0:
            reasons.append(("manual", manual, len(given)))
        grade = self.band(self.model.get("grade"), {"A": 75, "B": 50, "C": 25, "D": 0}, fit)
        level = self.band(self.model.get("level"), {"1": 75, "2": 50, "3": 25, "4": 0}, engagement)
        self.numbers = {
            "score.total": float(engagement + fit + manual),
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
            nothing = Fraction(0)
            return Answer(None, None, None, nothing, None, None, None, self.coverage(), [("excluded", nothing, 1)])
        score, stage = engagement + fit + manual, self.numbers["stage"]
        return Answer(score, engagement, fit, manual, grade, level, stage, self.coverage(), reasons)

    def in_force(self, given: Points) -> bool:
        return given.at <= self.t and (given.until is None or self.t < given.until)

    def factors(self) -> dict[tuple[str, str], Fraction]:
        """What recycling has left of each activity."""
        left = {}
        for act in self.seen:
            left[act.source, act.id] = Fraction(1)
            for one in self.entered:
                if isinstance(one, Returned) and act.at < one.at <= self.t:
                    policy = self.model.get("recycle", "keep") if one.policy is None else one.policy
                    share = {"keep": 1, "reset": 0}[policy] if isinstance(policy, str) else policy["factor"]
                    left[act.source, act.id] *= points_of(share)
        return left

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

    def engagement(
        self, reasons: list[tuple[str, Fraction, int]], left: Mapping[tuple[str, str], Fraction]
    ) -> tuple[Fraction, list[tuple[str, Fraction]]]:
        """The sum, each activity weighed by what is left of it (all of it, where nothing is said)."""
        section = self.model.get("engagement", {})
        loose, grouped = Fraction(0), {name: Fraction(0) for name in section.get("groups", {})}
        for rule in section.get("rules", []):
            value, count = self.rule(rule, left)
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

    def rule(self, rule: Mapping[str, Any], left: Mapping[tuple[str, str], Fraction]) -> tuple[Fraction, int]:
        matching = [act for act in self.seen if self.matches(rule, act)]
        weighed = [(act, left.get((act.source, act.id), Fraction(1))) for act in matching]
        if "cells" in rule:
            _, count = self.cells(rule, matching)
            value = self.weighed_cells(rule, weighed)
        else:
            value, count = self.entries(rule, weighed)
        return self.clamp(rule, half_even(value)), count

    def cells(self, rule: Mapping[str, Any], matching: Sequence[Act]) -> tuple[Fraction, int]:
        for cell in rule["cells"]:
            inside = [act for act in matching if self.t - span(cell["within"]) < act.at <= self.t]
            if len(inside) >= cell["at_least"]:
                return points_of(cell["points"]), len(inside)
        return Fraction(0), 0

    def weighed_cells(self, rule: Mapping[str, Any], weighed: Sequence[tuple[Act, Fraction]]) -> Fraction:
        """Layer by layer: every share of the points is earned by the activities of which at least so much is left."""
        total, below = Fraction(0), Fraction(0)
        for share in sorted({share for _, share in weighed}):
            points, _ = self.cells(rule, [act for act, left in weighed if left >= share])
            total += (share - below) * points
            below = share
        return total

    def entries(self, rule: Mapping[str, Any], weighed: Sequence[tuple[Act, Fraction]]) -> tuple[Fraction, int]:
        paid: list[Act] = []
        for act, _ in weighed:
            if self.repeat_allows(rule.get("repeat", "once_per_object"), act, paid):
                same_day = [one for one in paid if self.day(one) == self.day(act)]
                if len(same_day) < self.model.get("daily_max", 20):
                    paid.append(act)
        worth = [(decayed(rule, act.at, self.t, self.zone), left) for act, left in weighed if act in paid]
        total = sum((points * left for points, left in worth), Fraction(0))
        return total, len([points for points, _ in worth if points != 0])

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
