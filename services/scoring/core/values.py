"""Kinds of values in a scoring model, and how they are read.

Points become integer cents here, once, so that sums and ties are exact everywhere else.
"""

from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field, WithJsonSchema

from shared.conditions import ActivityType, Schema, activity_type
from shared.conditions.schema import ACTIVITY_TYPE_IN_FILES
from shared.durations import parse_period

MAX_POINTS = 1_000_000
ANY_TYPE = "*"
RESERVED_REASONS = frozenset({"inactivity", "recycled", "manual", "excluded"})


def _cents(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("expected a number")
    if not abs(value) <= MAX_POINTS:
        raise ValueError(f"expected a number between -{MAX_POINTS} and {MAX_POINTS}")
    cents = Decimal(repr(value)) * 100
    if cents != int(cents):
        raise ValueError("expected a number with at most 2 decimals")
    return int(cents)


def _not_above_zero(cents: int) -> int:
    if cents > 0:
        raise ValueError("expected a number not above 0")
    return cents


def _not_below_zero(cents: int) -> int:
    if cents < 0:
        raise ValueError("expected a number not below 0")
    return cents


def _percentage(value: Any) -> Fraction:
    number = value.removesuffix("%") if isinstance(value, str) and value.endswith("%") else ""
    plain = number.replace(".", "", 1)
    if not (plain.isascii() and plain.isdigit()) or len(number) > 8 or not 0 < Fraction(number) <= 100:
        raise ValueError("expected a percentage above 0% and up to 100%, such as 25%")
    return Fraction(number) / 100


def _recycle(value: Any) -> Fraction:
    if isinstance(value, Fraction):
        return value
    if value in ("keep", "reset"):
        return Fraction(value == "keep")
    factor = value.get("factor") if isinstance(value, dict) and value.keys() == {"factor"} else None
    if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 0 <= factor <= 1:
        raise ValueError("expected keep, reset or {factor: f} with f from 0 to 1")
    return Fraction(repr(factor))


def _period(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("expected a span of time such as 30d or 1mo")
    return parse_period(value)


def _zone(value: Any) -> ZoneInfo:
    try:
        return ZoneInfo(value)
    except (OSError, ValueError, TypeError, ZoneInfoNotFoundError):
        raise ValueError("expected an IANA time zone, such as Asia/Tokyo") from None


def _types(value: Any) -> Any:
    if value == []:
        raise ValueError("expected at least one activity type")
    types = value if isinstance(value, list) else [value if value == ANY_TYPE else activity_type(value)]
    return None if ANY_TYPE in types else types


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 100 or not value.isprintable():
        raise ValueError("expected a name of 1 to 100 printable characters")
    return value


def _rule_id(value: Any) -> str:
    name = _name(value)
    if name in RESERVED_REASONS or name.startswith("cap:"):
        raise ValueError("expected an id that is no reason of its own (inactivity, recycled, manual, excluded, cap:…)")
    return name


def _below(value: Any) -> int:
    return _not_above_zero(_cents(value))


def _above(value: Any) -> int:
    return _not_below_zero(_cents(value))


def _in_files(about: str, **schema: Any) -> WithJsonSchema:
    """How a value is written in a file, for editors: what is read differs from what is kept."""
    return WithJsonSchema({**schema, "description": about})


_POINTS = _in_files(
    "Points, with at most 2 decimals.", type="number", minimum=-MAX_POINTS, maximum=MAX_POINTS, examples=[5]
)
_SHORT = {"type": "string", "minLength": 1, "maxLength": 100}

Cents = Annotated[int, BeforeValidator(_cents), _POINTS]
"""Points in hundredths."""
Name = Annotated[str, BeforeValidator(_name), _in_files("A name, unique in its list.", **_SHORT)]
RuleId = Annotated[
    str, BeforeValidator(_rule_id), _in_files("The name under which the rule appears among the reasons.", **_SHORT)
]
Types = Annotated[
    list[ActivityType] | None,
    BeforeValidator(_types),
    _in_files(
        'One activity type, a list of them, or "*" for every type.',
        anyOf=[
            {"const": ANY_TYPE},
            ACTIVITY_TYPE_IN_FILES,
            {"type": "array", "minItems": 1, "items": {"anyOf": [{"const": ANY_TYPE}, ACTIVITY_TYPE_IN_FILES]}},
        ],
    ),
]
"""Activity types a rule is about; None is every type."""
Percentage = Annotated[
    Fraction,
    BeforeValidator(_percentage),
    _in_files("A percentage, such as 25%.", type="string", pattern=r"^[0-9]+(\.[0-9]+)?%$", examples=["25%"]),
]
Period = Annotated[
    Any,
    BeforeValidator(_period),
    _in_files(
        "A span of time, calendar months included: 30d, 1mo.",
        type="string",
        pattern="^[0-9]{1,9}(s|m|h|d|w|mo)$",
        examples=["1mo"],
    ),
]
"""A timedelta or Months."""
RecyclePolicy = Annotated[
    Fraction,
    BeforeValidator(_recycle),
    _in_files(
        "What a recycled handoff leaves of earlier points, where its rule does not say: all, none, or a share.",
        anyOf=[
            {"enum": ["keep", "reset"]},
            {
                "type": "object",
                "required": ["factor"],
                "properties": {"factor": {"type": "number", "minimum": 0, "maximum": 1}},
                "additionalProperties": False,
            },
        ],
    ),
]
"""A Fraction: `keep` is 1, `reset` 0."""
Zone = Annotated[
    ZoneInfo,
    BeforeValidator(_zone),
    _in_files("An IANA time zone.", type="string", examples=["Asia/Tokyo", "UTC"]),
]
AtLeast = Annotated[int, Field(ge=1, le=1_000_000)]


class Clamp(Schema):
    """Bounds in cents; a bound exists only where named."""

    min: Annotated[int, BeforeValidator(_below), _in_files("A floor.", type="number", maximum=0)] | None = None
    max: Annotated[int, BeforeValidator(_above), _in_files("A ceiling.", type="number", minimum=0)] | None = None

    def apply(self, cents: int) -> int:
        """`cents` inside the bounds."""
        if self.max is not None and cents > self.max:
            return self.max
        if self.min is not None and cents < self.min:
            return self.min
        return cents
