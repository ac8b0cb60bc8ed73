"""Previews, comparisons and backtests as the API shows them, for its documents; and what it takes."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.web import ShareView


class NamedLead(BaseModel):
    """A lead that crosses the threshold from one version to the other."""

    lead_id: str
    name: str | None
    company: str | None
    email: str | None
    before: float | None
    after: float | None


class NamedLeads(BaseModel):
    """How many, and by name those that change most."""

    count: int
    leads: list[NamedLead] = Field(description="At most 1,000.")


class Sides(BaseModel):
    """A count under both versions."""

    before: int
    after: int


class BandCount(BaseModel):
    """How many leads have a score in a band."""

    model_config = ConfigDict(populate_by_name=True)

    low: float = Field(alias="from")
    high: float = Field(alias="to")
    before: int
    after: int


class Move(BaseModel):
    """How many leads get another grade, level or stage."""

    model_config = ConfigDict(populate_by_name=True)

    what: Literal["grade", "level", "stage"]
    was: str | None = Field(alias="from")
    becomes: str | None = Field(alias="to")
    leads: int


class ModelRef(BaseModel):
    """A version of a model."""

    name: str
    version: int


class PreviewView(BaseModel):
    """All leads under two versions."""

    model: ModelRef
    against: ModelRef
    at: datetime
    threshold: float
    leads: int
    at_or_above: Sides
    excluded: Sides
    qualify: NamedLeads
    drop_out: NamedLeads
    distribution: list[BandCount]
    moves: list[Move]
    warnings: list[str]


class PreviewRequest(BaseModel):
    """What a preview compares with, and at which threshold."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"threshold": 50}})

    against: Annotated[int, Field(ge=1)] | None = Field(None, description="A version; the one in force by default.")
    threshold: Annotated[float, Field(ge=-1_000_000, le=1_000_000, allow_inf_nan=False)] | None = Field(
        None, description="By default the highest total the model watches, else 50."
    )


class JudgedView(BaseModel):
    """Leads with an outcome, at the threshold."""

    leads: int
    converted: int
    too_few: str | None = Field(description="Said where fewer than 25 converted, or fewer than 25 did not.")
    base: ShareView
    precision: ShareView
    recall: ShareView
    lift: float | None


class BandConversion(BaseModel):
    """What share of a band of scores converts."""

    model_config = ConfigDict(populate_by_name=True)

    low: float | None = Field(alias="from")
    high: float | None = Field(alias="to")
    conversion: ShareView


class Volume(BaseModel):
    """The threshold at which so many leads come a week."""

    leads_per_week: float
    threshold: float | None


class BacktestView(BaseModel):
    """A version judged by recorded outcomes."""

    model: ModelRef
    threshold: float
    split_at: datetime | None = Field(description="Leads judged by sales from then on are what counts.")
    judged: JudgedView
    earlier: JudgedView
    bands: list[BandConversion]
    leads_per_week: float | None
    for_volume: Volume | None
    warnings: list[str]


class BacktestRequest(BaseModel):
    """What a backtest asks."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"threshold": 50, "per_week": 20}})

    threshold: Annotated[float, Field(ge=-1_000_000, le=1_000_000, allow_inf_nan=False)] | None = None
    split: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = Field(
        0.7, description="The share of outcomes that lie before the judged time."
    )
    per_week: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)] | None = Field(
        None, description="How many leads a week sales can take."
    )
    before: Annotated[str, Field(max_length=16)] | None = Field(
        None, description="Score a lead this long before its outcome, such as 7d; just before by default."
    )
