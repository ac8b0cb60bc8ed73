"""Scoring models as the API shows them, for its documents; and what it takes."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_TREE: dict[str, Any] = {
    "model": "minimal",
    "watch": [45, 50],
    "engagement": {"rules": [{"id": "document-downloaded", "activity": "document_downloaded", "points": 5}]},
}
_VERSION: dict[str, Any] = {
    "name": "minimal",
    "version": 2,
    "state": "published",
    "in_force": True,
    "origin": "api",
    "note": "seminars count more",
    "changed_at": "2026-11-20T01:15:00.000000Z",
    "changed_by": "marketing",
    "published_at": "2026-11-20T01:16:00.000000Z",
}
_REFOLD: dict[str, Any] = {
    "leads": 12_000,
    "done": 12_000,
    "switched": 11_930,
    "release_per_minute": 10,
    "released": 70,
    "waiting": 0,
    "started_at": "2026-11-20T01:15:00.000000Z",
    "folded_at": "2026-11-20T01:17:00.000000Z",
    "finished_at": "2026-11-20T01:24:00.000000Z",
}
State = Literal["draft", "shadow", "published", "retired"]


class RefoldView(BaseModel):
    """How far all leads have been switched to a version."""

    leads: int | None = Field(description="How many there were when it began.")
    done: int = Field(description="How many were looked at.")
    switched: int
    release_per_minute: int | None = Field(description="Null: switched silently.")
    released: int
    waiting: int = Field(description="How many wait for their release.")
    started_at: datetime
    folded_at: datetime | None = Field(description="When only releases were left.")
    finished_at: datetime | None


class VersionView(BaseModel):
    """A version of a scoring model."""

    model_config = ConfigDict(json_schema_extra={"example": _VERSION})

    name: str
    version: int
    state: State
    in_force: bool = Field(description="Whether leads are scored by it.")
    origin: Literal["file", "api"]
    note: str | None
    changed_at: datetime
    changed_by: str = Field(description="The name of the key, or `file`.")
    published_at: datetime | None = Field(description="When it was last put in force.")


class DoubtView(BaseModel):
    """What a valid model probably does not mean."""

    pointer: str
    detail: str


class VersionWithModel(VersionView):
    """A version and what it says."""

    model_config = ConfigDict(
        json_schema_extra={"example": {**_VERSION, "model": _TREE, "doubts": [], "refold": _REFOLD}}
    )

    model: dict[str, Any]
    doubts: list[DoubtView]
    refold: RefoldView | None


class VersionPage(BaseModel):
    """A page of versions; the next one stands in the `Link` header."""

    model_config = ConfigDict(json_schema_extra={"example": {"items": [_VERSION]}})

    items: list[VersionView]


class SentenceView(BaseModel):
    """A rule in words."""

    section: str
    id: str
    sentence: str


class SentencePage(BaseModel):
    """A model in words."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "items": [
                    {
                        "section": "engagement",
                        "id": "document-downloaded",
                        "sentence": "Each document download gives 5 points, once for the same thing.",
                    }
                ]
            }
        }
    )

    items: list[SentenceView]


class AuditView(BaseModel):
    """Who changed what."""

    id: int
    at: datetime
    by: str
    name: str
    version: int | None
    action: Literal["created", "edited", "deleted", "published", "shadowed", "retired"]
    detail: dict[str, Any]


class AuditPage(BaseModel):
    """A page of changes, the latest first; the next one stands in the `Link` header."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "items": [
                    {
                        "id": 7,
                        "at": "2026-11-20T01:15:00.000000Z",
                        "by": "marketing",
                        "name": "minimal",
                        "version": 2,
                        "action": "published",
                        "detail": {"replaces": 1, "release_per_minute": 10, "note": "seminars count more"},
                    }
                ]
            }
        }
    )

    items: list[AuditView]


class Publication(BaseModel):
    """How a version is put in force."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"release_per_minute": 10}})

    release_per_minute: Annotated[int, Field(ge=1, le=60_000)] | None = Field(
        None,
        description="Leads that may qualify by it are switched at this rate, best first, and are handed over as usual."
        " Null: all are switched at once, and nobody is handed over because of it.",
    )
    note: Annotated[str, Field(max_length=500)] | None = None


class Note(BaseModel):
    """Why."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"note": "compare until Friday"}})

    note: Annotated[str, Field(max_length=500)] | None = None
