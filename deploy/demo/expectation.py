"""What the sample must lead to, computed by a plain program that shares nothing with the services.

`python -m deploy.demo.expectation` writes it to `expected.json` again, for after a change of the sample or of
`config/scoring.yaml`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from deploy.demo.grouping import Group, group, in_order, when
from deploy.demo.plain_model import PlainModel, PlainRule, holds, read_model

FILE = Path(__file__).with_name("expected.json")
MODEL = Path(__file__).resolve().parents[2] / "config" / "scoring.yaml"
ENTER = 5_000
"""Where the shipped rule hands a lead over, in cents."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason of a score; points in cents."""

    rule: str
    points: int
    count: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """One lead at the end; `lead` is its strongest identifier, points in cents."""

    lead: str
    score: int
    engagement: int
    fit: int
    grade: str
    level: str
    stage: str | None
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Expectation:
    """How many activities there are without repetitions, how many leads, and those that are handed over."""

    activities: int
    leads: int
    qualified: tuple[Outcome, ...]


def expect(activities: Iterable[dict[str, Any]], model: PlainModel) -> Expectation:
    """What the whole feed must lead to."""
    ordered = in_order(activities)
    outcomes = [score(found, model) for found in group(ordered)]
    qualified = sorted((one for one in outcomes if one.score >= ENTER), key=lambda one: one.lead)
    return Expectation(len(ordered), len(outcomes), tuple(qualified))


def score(found: Group, model: PlainModel) -> Outcome:
    """The score of one lead with all its activities."""
    activities = found.activities
    earned = [_earned(rule, activities, model) for rule in model.rules]
    reasons = [reason for reason in earned if reason.points]
    caps = _caps(model, earned)
    raw = sum(reason.points for reason in (*earned, *caps))
    engagement = raw if model.floor is None else max(raw, model.floor)
    if engagement != raw:
        caps.append(Reason("cap:engagement", engagement - raw, 1))
    attributes = _attributes(activities)
    fits = [Reason(name, points, 1) for name, points, block in model.fit if holds(block, attributes, {})]
    fit = sum(reason.points for reason in fits)
    return Outcome(
        lead=found.label,
        score=engagement + fit,
        engagement=engagement,
        fit=fit,
        grade=_band(model.grade, fit),
        level=_band(model.level, engagement),
        stage=_stage(model, activities, {**attributes, "score.engagement": engagement / 100}),
        reasons=(*reasons, *fits, *caps),
    )


def _earned(rule: PlainRule, activities: list[dict[str, Any]], model: PlainModel) -> Reason:
    paid: list[datetime] = []
    objects: set[str] = set()
    per_day: dict[Any, int] = defaultdict(int)
    for activity in activities:
        if activity["type"] not in rule.types or not holds(rule.block, _properties(activity), {}):
            continue
        at, day, thing = when(activity), when(activity).astimezone(model.zone).date(), object_of(activity)
        refused = _REFUSED[rule.repeat](rule, at, paid, thing in objects)
        if not refused and per_day[day] < model.daily_max:
            paid.append(at)
            objects.add(thing)
            per_day[day] += 1
    return Reason(rule.id, rule.cents * len(paid), len(paid))


_REFUSED: dict[str, Callable[[PlainRule, datetime, list[datetime], bool], bool]] = {
    "every": lambda _rule, _at, _paid, _again: False,
    "once": lambda _rule, _at, paid, _again: bool(paid),
    "once_per_object": lambda _rule, _at, _paid, again: again,
    "limited": lambda rule, at, paid, _again: sum(at - earlier < rule.span for earlier in paid) >= rule.limit,
}


def object_of(activity: Mapping[str, Any]) -> str:
    """Which thing an activity was about, empty where it is about none in particular."""
    said, kind = activity.get("properties", {}), activity["type"].split("_")[0]
    if activity["type"] == "email_clicked":
        return f"{said['email_id']} {said['link']}"
    if kind == "page":
        return str(said["url"]).split("?", maxsplit=1)[0].split("#", maxsplit=1)[0]
    names = {"document": "document", "form": "form", "email": "email_id"}
    names |= dict.fromkeys(("webinar", "seminar", "exhibition"), "event")
    return str(said.get(names.get(kind, ""), ""))


def _caps(model: PlainModel, earned: list[Reason]) -> list[Reason]:
    sums: dict[str, int] = defaultdict(int)
    for rule, reason in zip(model.rules, earned, strict=True):
        if rule.group:
            sums[rule.group] += reason.points
    over = {name: model.caps[name] - sums[name] for name in model.caps if sums[name] > model.caps[name]}
    return [Reason(f"cap:{name}", difference, 1) for name, difference in over.items()]


def _attributes(activities: list[dict[str, Any]]) -> dict[str, Any]:
    known: dict[str, Any] = {}
    for activity in activities:
        said = {f"attributes.{name}": value for name, value in activity.get("attributes", {}).items()}
        known |= {name: value for name, value in said.items() if value not in {None, ""}}
    return known


def _properties(activity: Mapping[str, Any]) -> dict[str, Any]:
    return {f"properties.{name}": value for name, value in activity.get("properties", {}).items()}


def _stage(model: PlainModel, activities: list[dict[str, Any]], values: Mapping[str, Any]) -> str | None:
    counts: dict[str, int] = defaultdict(int)
    for activity in activities:
        counts[activity["type"]] += 1
    reached = [name for name, block in model.stages if holds(block, values, counts)]
    return reached[-1] if reached else None


def _band(bounds: Mapping[str, int], value: int) -> str:
    return next((name for name, bound in bounds.items() if value >= bound), list(bounds)[-1])


def to_json(expectation: Expectation) -> bytes:
    """The content of `expected.json`: points in cents."""
    return orjson.dumps(asdict(expectation), option=orjson.OPT_INDENT_2) + b"\n"


def read_expected(path: Path = FILE) -> Expectation:
    """The committed expectation."""
    raw = orjson.loads(path.read_bytes())
    qualified = (
        Outcome(**{**one, "reasons": tuple(Reason(**item) for item in one["reasons"])}) for one in raw["qualified"]
    )
    return Expectation(raw["activities"], raw["leads"], tuple(qualified))


def main() -> None:
    """Write the expectation of the shipped sample and model."""
    from deploy.demo.sample import generate  # noqa: PLC0415 - readers of the file need no sample

    FILE.write_bytes(to_json(expect(generate(), read_model(MODEL))))


if __name__ == "__main__":
    main()
