"""Shares and their differences as APIs show them; the arithmetic is in `shared.shares`."""

from pydantic import BaseModel, Field


class ShareView(BaseModel):
    """A share, its sample, and its 95 % interval (Wilson)."""

    value: float | None = Field(description="Null of nothing.")
    hits: int
    of: int
    low: float
    high: float


class DifferenceView(BaseModel):
    """One share less another, with its 95 % interval (Newcombe's hybrid score)."""

    value: float | None = Field(description="Null where either is a share of nothing.")
    low: float
    high: float
