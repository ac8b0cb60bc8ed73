"""Rules of a scoring model as they stand in a file: what they are about, how often they pay, how they fade."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, Tag

from services.scoring.core.values import AtLeast, Cents, Clamp, Name, Percentage, Period, RuleId, Types
from shared.conditions import Block, Duration, Schema
from shared.conditions.faults import TAG
from shared.durations import Months
from shared.identity import fold_text


class OncePer(Schema):
    """No paid activity of the rule younger than this."""

    once_per: Duration


class MaxPer(Schema):
    """Fewer than `max` paid ones younger than `per`."""

    max: AtLeast
    per: Duration


def _kind_of_repeat(raw: Any) -> str:
    if isinstance(raw, dict):
        return f"{TAG}once_per" if "once_per" in raw else f"{TAG}max"
    return f"{TAG}{type(raw).__name__.lower()}" if isinstance(raw, (OncePer, MaxPer)) else f"{TAG}word"


Word = Literal["every", "once", "once_per_object"]
Repeat = Annotated[
    Annotated[Word, Tag(f"{TAG}word")]
    | Annotated[OncePer, Tag(f"{TAG}once_per")]
    | Annotated[MaxPer, Tag(f"{TAG}max")],
    Discriminator(_kind_of_repeat),
]


class Window(Schema):
    """Full points until this age, then none."""

    window: Duration


class HalfLife(Schema):
    """Half the points for every span of this length."""

    half_life: Duration


class Step(Schema):
    """A share less with every whole period, of the first value (linear) or of the last (compound)."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    step: Percentage
    every: Period
    curve: Literal["linear", "compound"] = "linear"

    @property
    def months(self) -> int | None:
        """The period in calendar months, None if its length is fixed."""
        return self.every.count if isinstance(self.every, Months) else None


def _kind_of_decay(raw: Any) -> str:
    if isinstance(raw, dict):
        return next((f"{TAG}{kind}" for kind in ("half_life", "step", "window") if kind in raw), f"{TAG}window")
    if isinstance(raw, HalfLife):
        return f"{TAG}half_life"
    return f"{TAG}step" if isinstance(raw, Step) else f"{TAG}window"


Decay = Annotated[
    Annotated[Window, Tag(f"{TAG}window")]
    | Annotated[HalfLife, Tag(f"{TAG}half_life")]
    | Annotated[Step, Tag(f"{TAG}step")],
    Discriminator(_kind_of_decay),
]


class Cell(Schema):
    """Points while at least so many matching activities lie within the span."""

    at_least: AtLeast
    within: Duration
    points: Cents


class _EngagementRule(Block, Clamp):
    id: RuleId
    activity: Types
    group: str | None = None


class PointsRule(_EngagementRule):
    """Each paid activity is an entry worth `points`, less by its decay."""

    points: Cents
    repeat: Repeat = "once_per_object"
    decay: Decay | None = None


class CellsRule(_EngagementRule):
    """The first true cell pays; the others do not add."""

    cells: Annotated[list[Cell], Field(min_length=1)]


def _kind_of_rule(raw: Any) -> str:
    cells = "cells" in raw if isinstance(raw, dict) else isinstance(raw, CellsRule)
    return f"{TAG}cells" if cells else f"{TAG}points"


EngagementRule = Annotated[
    Annotated[PointsRule, Tag(f"{TAG}points")] | Annotated[CellsRule, Tag(f"{TAG}cells")],
    Discriminator(_kind_of_rule),
]


class FitRule(Block, Clamp):
    """Points while the lead's attributes fulfil the conditions."""

    id: RuleId
    points: Cents


class Stage(Block):
    """A stage of the buying journey; without conditions everybody has reached it."""

    id: Name
    name: dict[str, str] = Field(default_factory=dict)


class Signal(Block):
    """An activity that makes the lead's state be published, points or not."""

    id: Name
    activity: Types


def _domain(text: str) -> str:
    return fold_text(text.strip().lstrip("@"))


GoesBy = Literal["id", "domain", "name"]
_GOES_BY: list[GoesBy] = ["id", "domain", "name"]


class Accounts(Schema):
    """How leads become accounts: what an account goes by, and what its people's scores make together.

    `active_within` tells which contacts count as active; `ignore_domains` are taken for no company's, as free mail is.
    """

    score: Literal["damped", "max", "average", "sum"] = "damped"
    active_within: Duration = timedelta(days=90)
    by: Annotated[list[GoesBy], Field(min_length=1)] = Field(default_factory=_GOES_BY.copy)
    ignore_domains: list[Annotated[str, AfterValidator(_domain)]] = Field(default_factory=list)
