"""The scoring model: one file, one value, or every fault of it."""

from fractions import Fraction
from itertools import pairwise
from typing import Annotated, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, ConfigDict, Field

from services.scoring.core.rules import Accounts, EngagementRule, FitRule, Signal, Stage
from services.scoring.core.values import Cents, Clamp, RecyclePolicy, Zone
from shared.conditions import Condition, Duration, Fault, Schema
from shared.errors import KizashiError


class ModelFaults(KizashiError):
    """A model that does not validate, refused whole.

    `faults` holds every fault; `lines` the line of each in the text it was read from, None where there is no text.
    """

    def __init__(self, name: str, faults: list[Fault], lines: list[int | None]) -> None:
        super().__init__("\n".join(_describe(name, fault, line) for fault, line in zip(faults, lines, strict=True)))
        self.name = name
        self.faults = tuple(faults)
        self.lines = tuple(lines)


def _describe(name: str, fault: Fault, line: int | None) -> str:
    place = f"{name}:{line}" if line else name
    return f"{place}: {fault.where}: {fault.expected}" if fault.path else f"{place}: {fault.expected}"


class Inactivity(Schema):
    """Points off for every whole period without an activity that matches a rule, down to `floor`."""

    every: Duration
    points: Cents
    floor: Cents = 0


class Engagement(Clamp):
    """Everything earned by activities."""

    inactivity: Inactivity | None = None
    groups: dict[str, Clamp] = Field(default_factory=dict)
    rules: list[EngagementRule] = Field(default_factory=list)


class Fit(Clamp):
    """Everything earned by attributes."""

    rules: list[FitRule] = Field(default_factory=list)


Grade = Literal["A", "B", "C", "D"]
Level = Literal["1", "2", "3", "4"]
Band = TypeVar("Band", Grade, Level)
GRADES: dict[Grade, int] = {"A": 7500, "B": 5000, "C": 2500, "D": 0}
LEVELS: dict[Level, int] = {"1": 7500, "2": 5000, "3": 2500, "4": 0}


def _grades(named: dict[Grade, int]) -> dict[Grade, int]:
    return _falling(GRADES | named)


def _levels(named: dict[Level, int]) -> dict[Level, int]:
    return _falling(LEVELS | named)


def _falling(bounds: dict[Band, int]) -> dict[Band, int]:
    values = list(bounds.values())
    if any(after >= before for before, after in pairwise(values)):
        given = ", ".join(f"{name}: {cents / 100:g}" for name, cents in bounds.items())
        raise ValueError(f"expected falling lower bounds, the defaults filling what is not named, got {given}")
    return bounds


class Consent(Schema):
    """Whether activities count only while the lead agrees to profiling; `without` is what becomes of the others."""

    profiling: Literal["required", "optional"] = "optional"
    without: Literal["store", "drop"] = "store"


class Model(Schema):
    """One scoring model, valid as a whole. Every number of points is in cents. With `forecast` a lead's state tells
    when it will fall below each total in `watch`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    model: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    timezone: Zone = ZoneInfo("UTC")
    daily_max: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    watch: list[Cents] = Field(default_factory=list)
    forecast: bool = False
    engagement: Engagement = Engagement()
    fit: Fit = Fit()
    grade: Annotated[dict[Grade, Cents], AfterValidator(_grades)] = Field(default=GRADES)
    level: Annotated[dict[Level, Cents], AfterValidator(_levels)] = Field(default=LEVELS)
    stages: list[Stage] = Field(default_factory=list)
    signals: list[Signal] = Field(default_factory=list)
    exclude: list[Condition] = Field(default_factory=list)
    recycle: RecyclePolicy = Fraction(1)
    consent: Consent = Consent()
    accounts: Accounts = Accounts()

    @property
    def needs_consent(self) -> bool:
        """Whether activities of a lead that has not agreed to profiling earn nothing."""
        return self.consent.profiling == "required"
