"""How conditions stand in a file: `{field: …, OPERATOR: …}` or `{did: TYPE, at_least: N, within: W}`."""

import re
from datetime import timedelta
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema, model_validator

from shared.conditions.faults import TAG
from shared.conditions.operators import NAMES, Scalar
from shared.conditions.patterns import compile_pattern
from shared.durations import parse_duration

_TYPE = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*", re.ASCII)


class Schema(BaseModel):
    """Base of everything read from a configuration: strict, closed, immutable."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


def _duration(value: Any) -> timedelta:
    if not isinstance(value, str):
        raise ValueError("expected a span of time such as 45m, 12h or 30d")
    return parse_duration(value)


def activity_type(value: Any) -> str:
    """The name of an activity type. Raises ValueError for anything else."""
    if not isinstance(value, str) or not _TYPE.fullmatch(value) or len(value) > 64:
        raise ValueError("expected an activity type in snake_case, such as document_downloaded")
    return value


def _pattern(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("expected a pattern as a text")
    compile_pattern(value)
    return value


def _scalar(value: Any) -> Any:
    if isinstance(value, (list, dict)):
        raise ValueError("expected a text, a number, true or false")
    return value


DURATION_IN_FILES: dict[str, Any] = {
    "type": "string",
    "pattern": "^[0-9]{1,9}(s|m|h|d|w)$",
    "examples": ["30d"],
    "description": "A span of time: 45m, 12h, 30d. A day is 24 hours.",
}
ACTIVITY_TYPE_IN_FILES: dict[str, Any] = {
    "type": "string",
    "pattern": "^[a-z][a-z0-9]*(_[a-z0-9]+)*$",
    "maxLength": 64,
    "examples": ["document_downloaded"],
    "description": "An activity type.",
}
"""How these stand in a file, for editors."""


def _exactly_one_operator(schema: dict[str, Any]) -> None:
    """Defaults stand for what is absent and are no values of a file."""
    for name in NAMES:
        schema["properties"][name].pop("default", None)
    schema["oneOf"] = [{"required": [name]} for name in NAMES]


Duration = Annotated[timedelta, BeforeValidator(_duration), WithJsonSchema(DURATION_IN_FILES)]
ActivityType = Annotated[str, BeforeValidator(activity_type), WithJsonSchema(ACTIVITY_TYPE_IN_FILES)]
Pattern = Annotated[str, BeforeValidator(_pattern)]
Constant = Annotated[Scalar, BeforeValidator(_scalar)]
Constants = list[Constant]


class FieldCondition(Schema):
    """One field and exactly one operator; the operator's constant stands under the operator's name."""

    model_config = ConfigDict(json_schema_extra=_exactly_one_operator)

    field: str
    equals: Constant = None
    not_equals: Constant = None
    in_: Constants = Field(default=[], alias="in")
    not_in: Constants = []
    contains: Constant = None
    starts_with: Constant = None
    ends_with: Constant = None
    matches: Pattern = ""
    gt: Constant = None
    gte: Constant = None
    lt: Constant = None
    lte: Constant = None
    exists: bool = True

    @property
    def operator(self) -> tuple[str, Any]:
        """The operator and its constant."""
        name = next(iter(self.model_fields_set - {"field"}))
        return name.rstrip("_"), getattr(self, name)

    @model_validator(mode="before")
    @classmethod
    def _one_operator(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and sum(name in raw for name in NAMES) != 1:
            raise ValueError(f"expected exactly one of {', '.join(NAMES)}")
        return raw


class DidCondition(Schema):
    """The lead did something at least so often, ever or within a span before the instant of evaluation."""

    did: ActivityType
    at_least: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    within: Duration | None = None


def _kind_of_condition(raw: Any) -> str:
    did = "did" in raw if isinstance(raw, dict) else isinstance(raw, DidCondition)
    return f"{TAG}did" if did else f"{TAG}field"


Condition = Annotated[
    Annotated[FieldCondition, Tag(f"{TAG}field")] | Annotated[DidCondition, Tag(f"{TAG}did")],
    Discriminator(_kind_of_condition),
]
SomeConditions = Annotated[list[Condition], Field(min_length=1)]


class Block(Schema):
    """`all`, `any` and `none`; given together they must all hold, given none of them it always holds."""

    all: SomeConditions | None = None
    any: SomeConditions | None = None
    none: SomeConditions | None = None

    @model_validator(mode="after")
    def _no_null(self) -> Self:
        for name in ("all", "any", "none"):
            if name in self.model_fields_set and getattr(self, name) is None:
                raise ValueError(f"expected conditions under {name}")
        return self

    def conditions(self) -> list[FieldCondition | DidCondition]:
        """Every condition of the block."""
        return [*(self.all or ()), *(self.any or ()), *(self.none or ())]
