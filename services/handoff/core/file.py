"""How queues and rules stand in `handoff.yaml`."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag

from services.handoff.core.states import STATES
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
    SpanOrNone,
    Within,
    Zone,
)
from shared.conditions import Block, Duration, Schema
from shared.conditions.faults import TAG

IMMEDIATELY = "immediately"


def _state(value: Any) -> str:
    if value not in STATES:
        raise ValueError(f"expected one of {', '.join(STATES)}")
    return str(value)


State = Annotated[str, BeforeValidator(_state)]


class _WithZone(Schema):
    model_config = ConfigDict(arbitrary_types_allowed=True)


class Absence(Schema):
    """Days on which a member takes nothing, both included."""

    from_: Annotated[Day, Field(alias="from")]
    to: Day


class Member(Schema):
    """Somebody who takes leads from a queue: `weight` is the share beside the others, `languages` and `regions` are
    whose leads it takes; without them any. `email` is where mail destinations write to.
    """

    name: Name
    email: Email | None = None
    capacity_per_day: Annotated[int, Field(ge=0, le=100_000)] | None = None
    weight: Annotated[float, Field(gt=0, le=1_000)] = 1.0
    languages: list[Name] = Field(default_factory=list)
    regions: list[Name] = Field(default_factory=list)
    absences: list[Absence] = Field(default_factory=list)


class Calendar(_WithZone):
    """When a queue works."""

    timezone: Zone
    country: Country | None = None
    hours: Hours = "00:00-24:00"
    days: Days = "MON-SUN"
    holidays: list[Day] = Field(default_factory=list)


class Queue(_WithZone):
    """A team that leads are handed to. `head` is told of what is overdue; `owners` names who has an account, by e-mail
    domain or account id; `language`, `region` and `account` are the attributes of the lead that tell these.
    """

    members: list[Member] = Field(default_factory=list)
    head: Name | None = None
    owners: dict[Name, Name] = Field(default_factory=dict)
    language: Name = "language"
    region: Name = "region"
    account: Name = "account_id"
    calendar: Calendar | None = None
    respond_within: Within | None = None
    decide_within: Within | None = None


class Schedule(_WithZone):
    """When a rule hands over that collects its leads."""

    every: Every
    timezone: Zone
    country: Country | None = None
    holidays: list[Day] = Field(default_factory=list)
    if_holiday: Literal["previous_business_day", "next_business_day", "skip", "run"] = "run"
    missed: Literal["run_once", "skip"] = "run_once"


class After(Schema):
    """Where the lead's latest handoff of another rule must stand, so that one level follows another."""

    rule: Name
    state: Annotated[list[State], Field(min_length=1)]


class Increase(Schema):
    """A rise of the score: so many points within such a span."""

    points: Annotated[Cents, Field(gt=0)]
    within: Duration


class Factor(Schema):
    """What earlier activities of a recycled lead are worth afterwards."""

    factor: Annotated[float, Field(ge=0, le=1)]


class Require(Block):
    """What a lead must have beside the score. A list is fulfilled by any of its values, `attributes` and `consent`
    by all of them; `coverage` is the least known share of the attributes that the fit rules ask about.
    """

    handoff: After | None = None

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


def _kind_of_recycle(raw: Any) -> str:
    return f"{TAG}factor" if isinstance(raw, (dict, Factor)) else f"{TAG}word"


Recycle = Annotated[
    Annotated[Literal["reset", "keep"], Tag(f"{TAG}word")] | Annotated[Factor, Tag(f"{TAG}factor")],
    Discriminator(_kind_of_recycle),
]


class RuleEntry(Schema):
    """One rule. Points in cents; `leave` None means nine tenths of `enter`, `model` None the primary one. `instant`
    names activity types and signals that stand for the score, as does an `increase`; `settle` is how long a crossing
    waits whose last activity is a mail click; `cools_within` is how long before a lead falls below `leave` it is told;
    `recycle` is what scoring does with earlier activities.
    """

    id: Name
    enter: Cents
    leave: Cents | None = None
    cooldown: SpanOrNone = timedelta(days=30)
    close_after: Duration = timedelta(days=90)
    require: Require = Require()
    model: Name | None = None
    instant: list[Name] = Field(default_factory=list)
    increase: Increase | None = None
    settle: SpanOrNone = timedelta(seconds=15)
    cools_within: Duration | None = None
    recycle: Recycle | None = None
    to: Name
    when: When

    @property
    def scheduled(self) -> bool:
        """Whether the rule collects its leads instead of handing them over at once."""
        return self.when != IMMEDIATELY


class AccountRequire(Block):
    """What an account must have beside the score. Conditions may ask about `score.total`, `attributes.name`,
    `attributes.domains` and `attributes.active_contacts`.
    """

    active_contacts: Annotated[int, Field(ge=0)] = 0


class AccountEntry(Schema):
    """One rule on accounts; as of a rule on leads, points in cents, `leave` None means nine tenths of `enter`."""

    id: Name
    enter: Cents
    leave: Cents | None = None
    cooldown: SpanOrNone = timedelta(days=30)
    require: AccountRequire = AccountRequire()
    model: Name | None = None


def _empty_if_null(raw: Any) -> Any:
    return {} if raw is None else raw


class HandoffFile(Schema):
    """The whole file."""

    queues: dict[Name, Annotated[Queue, BeforeValidator(_empty_if_null)]] = Field(default_factory=dict)
    rules: list[RuleEntry]
    account_rules: list[AccountEntry] = Field(default_factory=list)
