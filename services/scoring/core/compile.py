"""A model made ready to run: conditions as closures, spans in microseconds, per activity type only its own rules."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from services.scoring.core.calendar import Calendar, micros_of
from services.scoring.core.decay import Decay, HalfLifeDecay, NoDecay, compile_decay
from services.scoring.core.model import Inactivity, Model
from services.scoring.core.repeat import Repeat, compile_repeat
from services.scoring.core.rules import CellsRule, PointsRule
from services.scoring.core.sides import ATTRIBUTES, DOMAIN, Sides, about_lead, sides_of
from services.scoring.core.values import Clamp
from shared.conditions import (
    Block,
    DidCondition,
    FieldCondition,
    Test,
    any_of,
    compile_block,
    compile_condition,
    keys_of,
)
from shared.conditions.operators import is_number

NEVER_ACTIVE = frozenset({"email_delivered", "email_bounced", "call_missed", "profile_updated", "card_exchanged"})
"""What happens to a lead without its doing: no sign of life, whatever it earns."""


@dataclass(frozen=True, slots=True)
class CompiledCell:
    """At least so many within the span (microseconds) pay so many cents."""

    at_least: int
    span: int
    points: int


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """One engagement rule. With `cells`, the fields about paying mean nothing; `test` is None where all match. No
    entry, or activity counted by a cell, matters when it is `lifetime` microseconds old.
    """

    index: int
    id: str
    test: Test | None
    sensitive: bool
    points: int
    repeat: Repeat
    decay: Decay
    keeps_times: bool
    cells: tuple[CompiledCell, ...]
    lifetime: int
    clamp: Clamp
    clamped: bool
    sides: Sides | None
    """Only where the rule asks about the lead (`sensitive`)."""
    pays: str
    """Equal for rules that pay the same activities, whatever these are worth."""


@dataclass(frozen=True, slots=True)
class CompiledGroup:
    """A group of engagement rules, which stand at the places `rules`."""

    name: str
    clamp: Clamp
    rules: tuple[int, ...]

    @property
    def reason(self) -> str:
        """What the correction by its clamp is called."""
        return f"cap:{self.name}"

    def sum(self, points: Sequence[int]) -> int:
        """The sum of its rules, of what all rules are worth in cents, before its clamp."""
        return sum([points[index] for index in self.rules])


@dataclass(frozen=True, slots=True)
class TypePlan:
    """What an activity of one type can do: rules it may earn, whether it is a sign of life, whether stages count it.

    `did_span` is the longest span in which it is counted, 0 if only ever, None if never. `sensitive` tells that some
    rule asks about the lead's attributes or domain.
    """

    rules: tuple[CompiledRule, ...]
    sensitive: bool
    active: bool
    did_span: int | None
    signals: tuple[tuple[str, Test], ...]


@dataclass(frozen=True, slots=True)
class CompiledFit:
    """One fit rule: its points with its own clamp already applied."""

    id: str
    test: Test
    points: int


@dataclass(frozen=True, slots=True)
class CompiledModel:
    """Everything fold and evaluate need; made once per model version. `first_stage` is where everybody stands before
    anything is known; `excluded_for_good` tells that time alone never ends (or begins) an exclusion; `fades` and
    `jumps` are the rules whose worth time alone changes, all the while or at once.
    """

    model: Model
    calendar: Calendar
    daily_max: int
    rules: tuple[CompiledRule, ...]
    groups: tuple[CompiledGroup, ...]
    inactivity: Inactivity | None
    idle_span: int
    plans: dict[str, TypePlan]
    other: TypePlan
    fit: tuple[CompiledFit, ...]
    fit_paths: tuple[str, ...]
    stages: tuple[tuple[str, Test], ...]
    first_stage: str | None
    excluded: Test | None
    excluded_for_good: bool
    did: tuple[DidCondition, ...]
    attributes: frozenset[str]
    engagement_attributes: frozenset[str]
    engagement_domain: bool
    fades: tuple[CompiledRule, ...]
    jumps: tuple[CompiledRule, ...]
    grades: tuple[tuple[str, int], ...]
    levels: tuple[tuple[str, int], ...]
    total_marks: tuple[int, ...]
    engagement_marks: tuple[int, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        """In a pickle it is the model, compiled again where it is read: closures do not travel."""
        return compile_model, (self.model,)

    def plan(self, activity_type: str) -> TypePlan:
        """What is to be done about activities of this type."""
        return self.plans.get(activity_type, self.other)


def compile_model(model: Model) -> CompiledModel:
    """Compile a valid model; never fails."""
    calendar = Calendar(model.timezone)
    rules = tuple(_compile_rule(index, rule, model, calendar) for index, rule in enumerate(model.engagement.rules))
    of_groups = [(rule, schema.group) for rule, schema in zip(rules, model.engagement.rules, strict=True)]
    did = tuple(condition for condition in _state_conditions(model) if isinstance(condition, DidCondition))
    engagement = _fields(rule for rule in model.engagement.rules)
    plans = {name: _plan(name, model, rules, did) for name in _named_types(model, did)}
    return CompiledModel(
        model=model,
        calendar=calendar,
        daily_max=model.daily_max,
        rules=rules,
        groups=tuple(
            CompiledGroup(name, clamp, tuple(rule.index for rule, own in of_groups if own == name))
            for name, clamp in model.engagement.groups.items()
        ),
        inactivity=model.engagement.inactivity,
        idle_span=micros_of(model.engagement.inactivity.every) if model.engagement.inactivity else 0,
        plans=plans,
        other=_plan("", model, rules, ()),
        fit=tuple(CompiledFit(rule.id, compile_block(rule), rule.apply(rule.points)) for rule in model.fit.rules),
        fit_paths=tuple(dict.fromkeys(_attribute_paths(_fields(model.fit.rules)))),
        stages=tuple((stage.id, compile_block(stage)) for stage in model.stages),
        first_stage=next((stage.id for stage in reversed(model.stages) if not stage.conditions()), None),
        excluded=any_of([compile_condition(condition) for condition in model.exclude]) if model.exclude else None,
        excluded_for_good=not any(_varies(condition) for condition in model.exclude),
        did=did,
        attributes=_attribute_keys(_all_fields(model)),
        engagement_attributes=_attribute_keys(engagement),
        engagement_domain=DOMAIN in engagement,
        fades=tuple(rule for rule in rules if isinstance(rule.decay, HalfLifeDecay)),
        jumps=tuple(
            rule for rule in rules if rule.cells or (rule.keeps_times and not isinstance(rule.decay, HalfLifeDecay))
        ),
        grades=tuple(model.grade.items()),
        levels=tuple(model.level.items()),
        total_marks=(*model.watch, *_marks(model, "score.total")),
        engagement_marks=_marks(model, "score.engagement"),
    )


def _compile_rule(index: int, rule: PointsRule | CellsRule, model: Model, calendar: Calendar) -> CompiledRule:
    cells: tuple[CompiledCell, ...] = ()
    points, repeat, decay = 0, Repeat(), compile_decay(None, calendar)
    if isinstance(rule, CellsRule):
        cells = tuple(CompiledCell(cell.at_least, micros_of(cell.within), cell.points) for cell in rule.cells)
    else:
        points, repeat = rule.points, compile_repeat(rule.repeat)
        decay = compile_decay(rule.decay, calendar)
    sensitive = any(map(about_lead, _fields([rule])))
    return CompiledRule(
        index=index,
        id=rule.id,
        test=compile_block(rule) if rule.conditions() else None,
        sensitive=sensitive,
        points=points,
        repeat=repeat,
        decay=decay,
        keeps_times=not isinstance(decay, NoDecay),
        cells=cells,
        lifetime=max(cell.span for cell in cells) if cells else decay.lifetime(points),
        clamp=Clamp.model_construct(min=rule.min, max=rule.max),
        clamped=rule.min is not None or rule.max is not None,
        sides=sides_of(rule) if sensitive else None,
        pays=_pays(rule, repeat, model),
    )


def _pays(rule: PointsRule | CellsRule, repeat: Repeat, model: Model) -> str:
    asked = [
        [kind, one.field, *one.operator]
        for kind, conditions in (("all", rule.all), ("any", rule.any), ("none", rule.none))
        for one in conditions or ()
        if isinstance(one, FieldCondition)
    ]
    policy = None if isinstance(rule, CellsRule) else [repeat.by_object, repeat.limit, repeat.span]
    paying = [rule.activity, asked, policy, model.daily_max, model.timezone.key, model.needs_consent]
    return hashlib.blake2b(json.dumps(paying, sort_keys=True).encode(), digest_size=6).hexdigest()


def _plan(name: str, model: Model, rules: tuple[CompiledRule, ...], did: tuple[DidCondition, ...]) -> TypePlan:
    def about(types: list[str] | None) -> bool:
        return types is None or name in types

    spans = [micros_of(one.within or timedelta()) for one in did if one.did == name]
    own = tuple(rule for rule, schema in zip(rules, model.engagement.rules, strict=True) if about(schema.activity))
    return TypePlan(
        rules=own,
        sensitive=any(rule.sensitive for rule in own),
        active=name not in NEVER_ACTIVE,
        did_span=max(spans, default=None),
        signals=tuple((signal.id, compile_block(signal)) for signal in model.signals if about(signal.activity)),
    )


def _named_types(model: Model, did: Iterable[DidCondition]) -> set[str]:
    named = set(NEVER_ACTIVE).union(one.did for one in did)
    for types in [*(rule.activity for rule in model.engagement.rules), *(one.activity for one in model.signals)]:
        named.update(types or ())
    return named


def _state_conditions(model: Model) -> list[FieldCondition | DidCondition]:
    return [*(condition for stage in model.stages for condition in stage.conditions()), *model.exclude]


def _varies(condition: FieldCondition | DidCondition) -> bool:
    """Whether time alone can change the answer."""
    return isinstance(condition, DidCondition) or not condition.field.startswith((ATTRIBUTES, DOMAIN))


def _marks(model: Model, field: str) -> tuple[int, ...]:
    """Values in cents with which stages and exclusions compare this sum."""
    conditions = [one for one in _state_conditions(model) if isinstance(one, FieldCondition) and one.field == field]
    constants = [constant for one in conditions for constant in _as_list(one.operator[1])]
    return tuple(round(constant * 100) for constant in constants if is_number(constant))


def _as_list(constant: Any) -> list[Any]:
    return constant if isinstance(constant, list) else [constant]


def _fields(blocks: Iterable[Block]) -> list[str]:
    return [
        condition.field for block in blocks for condition in block.conditions() if isinstance(condition, FieldCondition)
    ]


def _all_fields(model: Model) -> list[str]:
    blocks: list[Block] = [*model.engagement.rules, *model.fit.rules, *model.signals]
    state = [one.field for one in _state_conditions(model) if isinstance(one, FieldCondition)]
    return _fields(blocks) + state


def _attribute_paths(fields: Iterable[str]) -> list[str]:
    return [field.removeprefix(ATTRIBUTES) for field in fields if field.startswith(ATTRIBUTES)]


def _attribute_keys(fields: Iterable[str]) -> frozenset[str]:
    """The top-level attributes that have to be kept to answer for these fields."""
    return frozenset[str]().union(*map(keys_of, _attribute_paths(fields)))
