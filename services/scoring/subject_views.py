"""What is stored of one person, as the API shows it, for its documents."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from services.scoring.views import LeadWithReasons


class ActivityName(BaseModel):
    """What makes an activity unique."""

    source: str
    id: str


class AgreedView(BaseModel):
    """One word about one purpose; the activity that brought it is the proof."""

    purpose: str
    granted: bool
    at: datetime = Field(description="From when on it holds.")
    source: str = Field(description="Where it was said.")
    text: str | None = Field(description="What was agreed to, in the words shown.")
    activity: ActivityName
    recorded_at: datetime


class PurposesView(BaseModel):
    """Per purpose the word in force; null where nothing was said."""

    profiling: bool | None
    email: bool | None
    phone: bool | None


class ConsentView(BaseModel):
    """What a lead agreed to and withdrew."""

    lead_id: str
    purposes: PurposesView
    history: list[AgreedView]


class ExportedConsent(BaseModel):
    """As under `/consent`."""

    purposes: PurposesView
    history: list[AgreedView]


class ExportView(BaseModel):
    """Everything stored of one person."""

    exported_at: datetime
    lead: LeadWithReasons
    scores: dict[str, Any] = Field(description="Under every model.")
    activities: list[dict[str, Any]] = Field(description="As posted, with when they were stored and their verdict.")
    consent: ExportedConsent
    entries: list[dict[str, Any]] = Field(description="Points given by hand, and that sales sent the lead back.")
    merges: list[dict[str, Any]]
    words: list[dict[str, Any]] = Field(description="Who joined this lead with others, or took them apart.")
