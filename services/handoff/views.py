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
    "mode": "immediate",
    "crossed_at": "2026-11-20T01:15:00.000000Z",
    "handed_over_at": "2026-11-20T01:15:00.250000Z",
    "respond_by": "2026-11-20T05:15:00.000000Z",
}
HISTORY: list[Any] = [
    {"state": "qualified", "at": "2026-11-20T01:15:00.250000Z", "by": "kizashi"},
    {"state": "accepted", "at": "2026-11-20T02:00:00.000000Z", "by": "sato"},
]


class StepView(BaseModel):
    """One step of a handoff: where it went, when, by whom, why."""

    state: str
    at: datetime
    by: str | None = None
    reason: str | None = None
    until: datetime | None = Field(default=None, description="Until when a recycled lead rests.")


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


class HandoffWithHistory(HandoffView):
    """A handoff with every step it has taken."""

    model_config = ConfigDict(json_schema_extra={"example": {**ONE, "history": HISTORY}})

    history: list[StepView]


class HandoffPage(BaseModel):
    """A page of handoffs; the next one stands in the `Link` header."""

    model_config = ConfigDict(json_schema_extra={"example": {"items": [ONE]}})

    items: list[HandoffView]
