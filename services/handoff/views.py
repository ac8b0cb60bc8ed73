"""Handoffs as the API shows them."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

ONE: dict[str, Any] = {
    "id": "8a0b4c1e-4d0f-5f59-9a35-0a5b1f2a6a11",
    "lead_id": "6f1d9c52-0f0c-8f4e-b1f3-2b6f5d0c7e21",
    "rule": "hot",
    "cycle": 1,
    "state": "accepted",
    "queue": "inside-sales",
    "owner": "sato",
    "mode": "scheduled",
    "crossed_at": "2026-11-20T01:15:00.000000Z",
    "handed_over_at": "2026-11-20T01:15:00.250000Z",
    "respond_by": "2026-11-20T05:15:00.000000Z",
    "decide_by": "2026-11-26T02:00:00.000000Z",
    "breaches": 0,
    "routing": "owns the account example.co.jp (seed 8a0b4c1e-4d0f-5f59-9a35-0a5b1f2a6a11:1)",
    "extraction": "1f6e0a57-5f0a-5b8c-8c1c-6c1f0e7a9b21",
    "rules_version": 3,
}
HISTORY: list[Any] = [
    {"state": "qualified", "at": "2026-11-20T01:15:00.250000Z", "by": "kizashi", "event": "step", "owner": "sato"},
    {"state": "accepted", "at": "2026-11-20T02:00:00.000000Z", "by": "sato", "event": "step", "owner": "sato"},
]


class StepView(BaseModel):
    """One line of a handoff's history: where it stood then, when, by whom, why."""

    state: str
    at: datetime
    by: str | None = None
    reason: str | None = None
    until: datetime | None = Field(default=None, description="Until when a recycled lead rests.")
    event: str = Field(description="`step`, `assignment` (another owner, or none) or `breach` (a deadline passed).")
    owner: str | None = Field(default=None, description="Whose it was from then on.")


class HandoffView(BaseModel):
    """A handoff in a list."""

    model_config = ConfigDict(json_schema_extra={"example": ONE})

    id: str
    lead_id: str = Field(description="The lead that crossed; if it was merged since, scoring answers for this id too.")
    rule: str
    cycle: int
    state: str
    queue: str
    owner: str | None
    mode: str
    crossed_at: datetime
    handed_over_at: datetime | None
    respond_by: datetime | None
    decide_by: datetime | None = Field(description="When an accepted handoff is to be decided.")
    breaches: int = Field(description="How many times the deadline in force was missed.")
    routing: str | None = Field(description="Why the owner is the owner, with the seed of the choice.")
    extraction: str | None = Field(description="The run that handed it over.")
    rules_version: int = Field(description="The version of handoff.yaml that raised it.")


class HandoffWithHistory(HandoffView):
    """A handoff with every step it has taken."""

    model_config = ConfigDict(json_schema_extra={"example": {**ONE, "history": HISTORY}})

    history: list[StepView]


EXTRACTION: dict[str, Any] = {
    "id": "1f6e0a57-5f0a-5b8c-8c1c-6c1f0e7a9b21",
    "rule": "weekly",
    "key": "weekly/2026-11-27T09:00",
    "kind": "records",
    "queue": "inside-sales",
    "state": "completed",
    "at": "2026-11-27T00:00:00.000000Z",
    "count": 42,
    "lapsed": 3,
    "created_at": "2026-11-27T00:00:02.000000Z",
    "completed_at": "2026-11-27T00:00:03.000000Z",
}


class ExtractionView(BaseModel):
    """A run of a scheduled rule, or a list of who is hot now. Once it is completed its rows stay as they are, but
    for those of people who were erased; `count` counts them too.
    """

    model_config = ConfigDict(json_schema_extra={"example": EXTRACTION})

    id: str
    rule: str
    key: str = Field(description="Names the run or the list for ever.")
    kind: str = Field(description="`records`: handed over, one record a lead; `list`: a list alone.")
    queue: str
    state: str = Field(description="`running`, `completed` or `missed`.")
    at: datetime = Field(description="When it was due, or asked for.")
    count: int
    lapsed: int = Field(description="How many waiting leads had cooled.")
    created_at: datetime
    completed_at: datetime | None


class ExtractionPage(BaseModel):
    """A page of extractions; the next one stands in the `Link` header."""

    model_config = ConfigDict(json_schema_extra={"example": {"items": [EXTRACTION]}})

    items: list[ExtractionView]


class HandoffPage(BaseModel):
    """A page of handoffs; the next one stands in the `Link` header."""

    model_config = ConfigDict(json_schema_extra={"example": {"items": [ONE]}})

    items: list[HandoffView]
