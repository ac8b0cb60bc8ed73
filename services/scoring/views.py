"""Leads as the API shows them, for its documents: the bodies themselves are made in `answers`."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared import schemas
from shared.events import ACTIVITY, SCORE_CHANGED

_CHANGED = schemas.examples(SCORE_CHANGED)["activity"]
_SCORE = {name: value for name, value in _CHANGED["models"]["b2b-standard"].items() if name != "version"}
_REASONS = _SCORE.pop("reasons")
_LEAD: dict[str, Any] = {
    "id": _CHANGED["lead_id"],
    "identifiers": _CHANGED["identifiers"],
    "attributes": _CHANGED["attributes"],
    **_SCORE,
    "version": _CHANGED["version"],
    "model": {"name": "b2b-standard", "version": 3},
    "first_activity_at": "2026-11-02T04:00:00.000000Z",
    "last_activity_at": "2026-11-20T01:15:00.000000Z",
    "next_change_at": "2026-12-02T04:00:00.000000Z",
}
_ACTIVITY = {**schemas.examples(ACTIVITY)["document-downloaded"], "recorded_at": "2026-11-20T01:15:00.730000Z"}


class IdentifiersView(BaseModel):
    """How a lead is known."""

    email: str | None = Field(description="The first address; a shared mailbox where there is no other.")
    emails: list[str]
    phone: str | None = Field(description="E.164.")
    anonymous_ids: list[str]
    external_ids: dict[str, str]


class ModelView(BaseModel):
    """The version of the model that scored."""

    name: str
    version: int


class ReasonView(BaseModel):
    """A rule or a correction, and what it gives."""

    rule: str
    points: float
    count: int = Field(description="How many activities pay.")


class LeadView(BaseModel):
    """A lead in a list. Numbers are null for a lead that the model excludes."""

    model_config = ConfigDict(json_schema_extra={"example": _LEAD})

    id: str
    identifiers: IdentifiersView
    attributes: dict[str, Any]
    score: float | None
    engagement: float | None
    fit: float | None
    manual: float
    grade: Literal["A", "B", "C", "D"] | None
    level: Literal["1", "2", "3", "4"] | None
    cell: str | None
    stage: str | None
    coverage: float | None = Field(description="Share of the attributes that fit rules ask for which are known.")
    version: int = Field(description="Rises with every change, for ever.")
    model: ModelView
    first_activity_at: datetime | None
    last_activity_at: datetime | None
    next_change_at: datetime | None = Field(description="When time alone will change the score next.")


class LeadWithReasons(LeadView):
    """A lead with the reasons of its score."""

    model_config = ConfigDict(json_schema_extra={"example": {**_LEAD, "reasons": _REASONS}})

    reasons: list[ReasonView] = Field(description="They add up to the score.")


class LeadPage(BaseModel):
    """A page of leads; the next one stands in the `Link` header."""

    model_config = ConfigDict(json_schema_extra={"example": {"items": [_LEAD]}})

    items: list[LeadView]


class ActivityView(BaseModel):
    """An activity as it was accepted."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"example": _ACTIVITY})

    id: str
    source: str
    type: str
    occurred_at: datetime
    received_at: datetime | None = None
    recorded_at: datetime = Field(description="When scoring stored it.")


class ActivityPage(BaseModel):
    """A page of activities; the next one stands in the `Link` header."""

    model_config = ConfigDict(json_schema_extra={"example": {"items": [_ACTIVITY]}})

    items: list[ActivityView]


class ErasedView(BaseModel):
    """A person that was erased."""

    model_config = ConfigDict(json_schema_extra={"example": {"lead_id": _CHANGED["lead_id"], "state": "erased"}})

    lead_id: str
    state: Literal["erased"]
