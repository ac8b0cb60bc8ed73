"""A model's sentences in English."""

from collections.abc import Sequence
from datetime import timedelta
from fractions import Fraction
from typing import Any

from services.scoring.core.model import Consent, Inactivity
from services.scoring.core.rules import (
    Accounts,
    CellsRule,
    Decay,
    FitRule,
    HalfLife,
    MaxPer,
    OncePer,
    PointsRule,
    Repeat,
    Signal,
    Stage,
    Window,
)
from services.scoring.core.values import Clamp
from services.scoring.core.wording.words import ACTIVITIES, FIELDS, points, span_parts
from shared.conditions import Block, DidCondition, FieldCondition

_VERBS = {
    "equals": "is {}",
    "not_equals": "is known and not {}",
    "in": "is one of {}",
    "not_in": "is known and none of {}",
    "contains": "contains {}",
    "starts_with": "begins with {}",
    "ends_with": "ends with {}",
    "matches": "matches the pattern {}",
    "gt": "is more than {}",
    "gte": "is {} or more",
    "lt": "is less than {}",
    "lte": "is {} or less",
}


class English:
    """See Wording."""

    def engagement_rule(self, rule: PointsRule | CellsRule) -> str:
        kind, when = _types(rule.activity), _when(rule)
        if isinstance(rule, CellsRule):
            cells = [
                f"{_signed(cell.points)} while there are at least {cell.at_least} of them within {_span(cell.within)}"
                for cell in rule.cells
            ]
            first = f"Counting every {kind}{when}: {', else '.join(cells)}"
            return f"{first}{_own_bounds(rule)}{_grouped(rule.group)}."
        what = f"Each {kind}{when} {'takes' if rule.points < 0 else 'gives'} {_amount(rule.points)}"
        parts = [what, _repeat(rule.repeat), _decay(rule.decay)]
        return ", ".join(part for part in parts if part) + _own_bounds(rule) + _grouped(rule.group) + "."

    def fit_rule(self, rule: FitRule) -> str:
        if not rule.conditions():
            return f"Every lead {'loses' if rule.points < 0 else 'gets'} {_amount(rule.points)}."
        return (
            f"A lead {'loses' if rule.points < 0 else 'gets'} {_amount(rule.points)} if {_block(rule)}"
            f"{_own_bounds(rule)}."
        )

    def group(self, name: str, clamp: Clamp) -> str:
        return f"All rules of the group “{name}” together give {_range(clamp)}." if _range(clamp) else ""

    def bounds(self, section: str, clamp: Clamp) -> str:
        return f"The {section} score as a whole is {_range(clamp)}." if _range(clamp) else ""

    def inactivity(self, rule: Inactivity) -> str:
        return (
            f"For every {_span(rule.every)} in which a lead does nothing that a rule is about, {_amount(rule.points)}"
            f" are taken off, down to {_amount(rule.floor, signed=True)}."
        )

    def daily_max(self, count: int, zone: str) -> str:
        return f"One rule pays a lead at most {count} activities a calendar day ({zone})."

    def bands(self, kind: str, bounds: Sequence[tuple[str, int]]) -> str:
        of = "fit" if kind == "grade" else "engagement"
        listed = ", ".join(f"{name} from {_number(cents)}" for name, cents in bounds[:-1])
        return f"The {kind} follows from the {of} score: {listed}, below that {bounds[-1][0]}."

    def stage(self, stage: Stage) -> str:
        name = stage.name.get("en")
        called = f"“{name}” ({stage.id})" if name else f"“{stage.id}”"
        if not stage.conditions():
            return f"Every lead has reached the stage {called}."
        return f"A lead has reached the stage {called} if {_block(stage)}."

    def signal(self, signal: Signal) -> str:
        return f"Each {_types(signal.activity)}{_when(signal)} is announced at once as “{signal.id}”."

    def exclude(self, condition: FieldCondition | DidCondition) -> str:
        return f"A lead is not scored at all if {_condition(condition)}."

    def watch(self, marks: Sequence[int]) -> str:
        return f"When time alone takes the score past {_listed([_number(mark) for mark in marks], 'or')}, it is told."

    def recycle(self, left: Fraction) -> str:
        when = "When sales sends a lead back,"
        if left == 1:
            return f"{when} it keeps the points of everything it did before."
        if left == 0:
            return f"{when} what it did before gives no points any more."
        return f"{when} what it did before gives {float(left * 100):g}% of its points from then on."

    def consent(self, consent: Consent) -> str:
        if consent.profiling == "optional":
            return "Activities count whether or not the lead has agreed to profiling."
        rest = {"store": "stored, but give nothing", "drop": "not kept"}[consent.without]
        return f"Activities count only while the lead agrees to profiling; others are {rest}."

    def accounts(self, accounts: Accounts) -> str:
        named = {"id": "a given account id", "domain": "the domain of their addresses", "name": "the company's name"}
        how = {
            "damped": "the sum of its five best contacts, each next one counting half as much as the one before",
            "max": "that of its best contact",
            "average": f"the average of its contacts active within {_span(accounts.active_within)}",
            "sum": "the sum of its contacts",
        }
        besides = f", but not by {_listed(accounts.ignore_domains, 'or')}" if accounts.ignore_domains else ""
        by = ", else by ".join(named[one] for one in accounts.by)
        return f"Leads belong to an account by {by}{besides}; its score is {how[accounts.score]}."


def _types(types: list[str] | None) -> str:
    if types is None:
        return "activity of any type"
    return _listed([ACTIVITIES[name].en if name in ACTIVITIES else name for name in types], "or")


def _when(block: Block) -> str:
    return f" for which {_block(block)}" if block.conditions() else ""


def _block(block: Block) -> str:
    parts = []
    if block.all:
        parts.append(" and ".join(map(_condition, block.all)))
    if block.any:
        inner = " or ".join(map(_condition, block.any))
        parts.append(f"({inner})" if len(block.any) > 1 and (block.all or block.none) else inner)
    if block.none:
        parts.append(f"it is not so that {' or '.join(map(_condition, block.none))}")
    return " and ".join(parts)


def _condition(condition: FieldCondition | DidCondition) -> str:
    if isinstance(condition, DidCondition):
        kind = _types([condition.did])
        often = f"at least one {kind}" if condition.at_least == 1 else f"at least {condition.at_least} × {kind}"
        span = f" within the last {_span(condition.within)}" if condition.within is not None else ""
        return f"there was {often}{span}"
    field = FIELDS[condition.field].en if condition.field in FIELDS else condition.field
    name, constant = condition.operator
    if name == "exists":
        return f"{field} is {'known' if constant else 'not known'}"
    if name in ("in", "not_in") and len(constant) == 1:
        name, constant = {"in": "equals", "not_in": "not_equals"}[name], constant[0]
    return f"{field} {_VERBS[name].format(_constant(constant))}"


def _constant(value: Any) -> str:
    if isinstance(value, list):
        return _listed([_constant(item) for item in value], "or")
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"“{value}”" if isinstance(value, str) else "nothing" if value is None else f"{value:g}"


def _repeat(repeat: Repeat) -> str:
    if isinstance(repeat, OncePer):
        return f"at most once in {_span(repeat.once_per)}"
    if isinstance(repeat, MaxPer):
        return f"at most {_times(repeat.max)} in {_span(repeat.per)}"
    return {"every": "every time", "once": "once per lead", "once_per_object": "once for the same thing"}[repeat]


def _decay(decay: Decay | None) -> str:
    if decay is None:
        return ""
    if isinstance(decay, Window):
        return f"in full for {_span(decay.window)} and then no longer"
    if isinstance(decay, HalfLife):
        return f"halving every {_span(decay.half_life)}"
    period = _span(decay.every) if decay.months is None else _months(decay.months)
    of = "of its first value" if decay.curve == "linear" else "of what is left"
    return f"losing {float(decay.step * 100):g}% {of} every {period}"


def _months(count: int) -> str:
    return "month" if count == 1 else f"{count} months"


def _own_bounds(clamp: Clamp) -> str:
    return f"; this rule alone is {_range(clamp)}" if _range(clamp) else ""


def _grouped(group: str | None) -> str:
    return f" (group “{group}”)" if group else ""


def _range(clamp: Clamp) -> str:
    parts = []
    if clamp.min is not None:
        parts.append(f"at least {_amount(clamp.min, signed=True)}")
    if clamp.max is not None:
        parts.append(f"at most {_amount(clamp.max)}")
    return " and ".join(parts)


def _amount(cents: int, *, signed: bool = False) -> str:
    number = _number(cents) if signed else points(cents)
    return f"{number} point{'' if number == '1' else 's'}"


def _number(cents: int) -> str:
    return f"{'−' if cents < 0 else ''}{points(cents)}"


def _signed(cents: int) -> str:
    return f"{'−' if cents < 0 else '+'}{points(cents)} point{'' if points(cents) == '1' else 's'}"


def _times(count: int) -> str:
    return "once" if count == 1 else "twice" if count == 2 else f"{count} times"


def _span(span: timedelta) -> str:
    count, unit = span_parts(span)
    return f"{count} {unit}{'' if count == 1 else 's'}"


def _listed(items: Sequence[str], word: str) -> str:
    return f" {word} ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)
