"""An explanation as the API documents it: the body itself is made in `explanations`."""

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field

from services.scoring.views import ModelView, ReasonView

_EXAMPLE = orjson.loads(Path(__file__).with_name("explanation_example.json").read_bytes())


class ModelInForce(ModelView):
    """A version of a model and when it was published."""

    published_at: datetime


class ExplainedActivity(BaseModel):
    """The activity behind an entry; the list of activities has its whole body."""

    id: str
    source: str
    type: str
    occurred_at: datetime
    recorded_at: datetime | None = Field(description="When scoring stored it.")
    object: str | None = Field(description="Which thing it was about, as repeat policies compare it.")


class EntryView(BaseModel):
    """What one activity earned from one rule. Not rounded: the rule's sum is, once."""

    activity: ExplainedActivity
    points: float = Field(description="At the instant asked for.")
    points_at_start: float
    decay: float = Field(description="What time took: points - points_at_start.")
    factor: float = Field(description="What recycling leaves of it; 1 where nothing was recycled.")


class DeniedView(BaseModel):
    """An activity that matches the rule and was not paid."""

    activity: ExplainedActivity
    points: float = Field(description="What it would have earned.")
    policy: Literal["once", "once_per_object", "once_per", "max", "daily_max", "verdict", "consent"]
    verdict: str | None = Field(description="Of an activity that was no person's: suspected or scan.")
    paid_before: ExplainedActivity | None = Field(
        description="The paid activity that stood in the way of a repeat; null where it was removed for its age."
    )


class CellView(BaseModel):
    """One frequency or recency cell; the first true one pays."""

    at_least: int
    within: str
    points: float
    count: int = Field(description="Matching activities in the span.")
    pays: bool


class SummedEntries(BaseModel):
    """Entries summed up."""

    count: int
    points: float
    points_at_start: float


class Clamped(BaseModel):
    """A sum and what a clamp makes of it: raw + clamp = points."""

    raw: float
    min: float | None
    max: float | None
    clamp: float
    points: float


class RuleView(Clamped):
    """An engagement rule; `raw` is the sum of all its entries, rounded half-even to 0.01 once."""

    rule: str
    activity: list[str]
    group: str | None
    repeat: str | dict[str, Any] | None
    decay: dict[str, Any] | None
    count: int = Field(description="How many entries pay.")
    cells: list[CellView]
    entries: list[EntryView] = Field(description="In order of time; of a rule with cells what its cell counts.")
    older_entries: SummedEntries | None = Field(description="Those beyond the number asked for.")
    denied: list[DeniedView]
    older_denied: int
    opening: SummedEntries | None = Field(description="Entries of activities that were removed for their age.")


class GroupView(Clamped):
    """A group: `raw` is the sum of its rules."""

    group: str


class InactivityView(BaseModel):
    """Points off for whole periods without a sign of life."""

    every: str
    floor: float
    last_active_at: datetime | None
    periods: int
    points: float


class RecyclingView(BaseModel):
    """From `at` on, what was earned before counts `factor` times."""

    at: datetime
    factor: float


class EngagementSum(Clamped):
    """raw + inactivity + clamp + recycled = points."""

    inactivity: InactivityView | None
    recycled: float
    recyclings: list[RecyclingView]


class FitRuleView(BaseModel):
    """A fit rule and whether it holds."""

    rule: str
    holds: bool
    points: float
    points_if_it_holds: float


class FitSum(Clamped):
    """raw is the sum of the rules that hold."""

    rules: list[FitRuleView]


class ManualPointsView(BaseModel):
    """Points in force that a person gave or took."""

    points: float
    author: str
    reason: str
    given_at: datetime
    expires_at: datetime | None


class ReasonChangeView(BaseModel):
    """A reason at two instants."""

    rule: str
    before: float
    after: float
    change: float


class StandingView(BaseModel):
    """Where a lead stands at an instant."""

    at: datetime
    score: float | None
    grade: str | None
    level: str | None
    stage: str | None


class NextChangeView(StandingView):
    """The lead after the next change by time alone."""

    change: float | None
    reasons: list[ReasonChangeView]


class EntriesChangeView(BaseModel):
    """What moved the entries of a rule, before rounding and clamps."""

    rule: str
    earned: float = Field(description="Entries new since.")
    lost: float = Field(description="Entries no longer paid: something stored since denies them.")
    faded: float = Field(description="What time took from the others.")


class DifferenceView(BaseModel):
    """From the earlier instant to the later; the reasons' changes add up to `change`."""

    from_: StandingView = Field(alias="from")
    to: StandingView
    model_before: ModelInForce | None
    change: float | None = Field(description="Null where the lead is excluded at either instant.")
    reasons: list[ReasonChangeView]
    entries: list[EntriesChangeView]


class OpeningView(BaseModel):
    """Where the explanation ends: earlier activities were removed for their age, and what they earned is summed up."""

    until: datetime = Field(description="Nothing can be told of instants before this one.")
    activities: int = Field(description="How many were removed.")


class ExplanationView(BaseModel):
    """Everything behind a score. The reasons add up to it, and everything else adds up to the reasons."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    lead_id: str
    at: datetime
    knowledge: Literal["occurred", "recorded"]
    model: ModelInForce
    activities: int = Field(description="How many activities count at that instant.")
    opening: OpeningView | None = Field(description="Null where every activity is still stored.")
    excluded: bool = Field(description="The model does not score this lead; the sums say what it would have.")
    score: float | None
    engagement: float | None
    fit: float | None
    manual: float
    grade: Literal["A", "B", "C", "D"] | None
    level: Literal["1", "2", "3", "4"] | None
    cell: str | None
    stage: str | None
    coverage: float | None
    reasons: list[ReasonView]
    rules: list[RuleView]
    groups: list[GroupView]
    engagement_sum: EngagementSum
    fit_sum: FitSum
    manual_points: list[ManualPointsView]
    next_change: NextChangeView | None
    difference: DifferenceView | None = Field(description="Only with `from`.")
