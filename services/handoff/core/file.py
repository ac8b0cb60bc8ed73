"""How queues and rules stand in `handoff.yaml`."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag

from services.handoff.core.values import (
    Cents,
    Country,
    Day,
    Days,
    Email,
    Every,
    Grade,
    Hours,
    Level,
    Name,
    Purpose,
    Zone,
)
from shared.conditions import Block, Duration, Schema
from shared.conditions.faults import TAG

IMMEDIATELY = "immediately"


class _WithZone(Schema):
    model_config = ConfigDict(arbitrary_types_allowed=True)


class Member(Schema):
    """Somebody who takes leads from a queue; `email` is where mail destinations write to."""

    name: Name
    email: Email | None = None
    capacity_per_day: Annotated[int, Field(ge=0, le=100_000)] | None = None


class Calendar(_WithZone):
    """When a queue works."""

    timezone: Zone
    country: Country | None = None
    hours: Hours = "00:00-23:59"
    days: Days = "MON-SUN"
    holidays: list[Day] = Field(default_factory=list)


class Queue(Schema):
    """A team that leads are handed to."""

    members: list[Member] = Field(default_factory=list)
    calendar: Calendar | None = None
    respond_within: Duration | None = None
    decide_within: Duration | None = None


class Schedule(_WithZone):
    """When a rule hands over that collects its leads."""

    every: Every
    timezone: Zone
    country: Country | None = None
    holidays: list[Day] = Field(default_factory=list)
    if_holiday: Literal["previous_business_day", "next_business_day", "skip", "run"] = "run"
    missed: Literal["run_once", "skip"] = "run_once"


class Require(Block):
    """What a lead must have beside the score. A list is fulfilled by any of its values, `attributes` and `consent`
    by all of them; `coverage` is the least known share of the attributes that the fit rules ask about.
    """

    grade: Annotated[list[Grade], Field(min_length=1)] | None = None
    level: Annotated[list[Level], Field(min_length=1)] | None = None
    stage: Annotated[list[Name], Field(min_length=1)] | None = None
    attributes: list[Name] = Field(default_factory=list)
    coverage: Annotated[float, Field(ge=0, le=1)] | None = None
    consent: list[Purpose] = Field(default_factory=list)


def _kind_of_when(raw: Any) -> str:
    return f"{TAG}schedule" if isinstance(raw, (dict, Schedule)) else f"{TAG}word"


When = Annotated[
    Annotated[Literal["immediately"], Tag(f"{TAG}word")] | Annotated[Schedule, Tag(f"{TAG}schedule")],
    Discriminator(_kind_of_when),
]


class RuleEntry(Schema):
    """One rule. Points in cents; `leave` None means nine tenths of `enter`, `model` None the primary one."""

    id: Name
    enter: Cents
    leave: Cents | None = None
    cooldown: Duration = timedelta(days=30)
    close_after: Duration = timedelta(days=90)
    require: Require = Require()
    model: Name | None = None
    to: Name
    when: When

    @property
    def scheduled(self) -> bool:
        """Whether the rule collects its leads instead of handing them over at once."""
        return self.when != IMMEDIATELY


def _empty_if_null(raw: Any) -> Any:
    return {} if raw is None else raw


class HandoffFile(Schema):
    """The whole file."""

    queues: dict[Name, Annotated[Queue, BeforeValidator(_empty_if_null)]] = Field(default_factory=dict)
    rules: list[RuleEntry]
