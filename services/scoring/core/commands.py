"""What people ask scoring to do with one lead, as the API takes it."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from services.scoring.core.evaluation import ManualPoints
from services.scoring.core.values import Cents
from shared.clock import from_rfc3339


def _instant(value: Any) -> Any:
    if value is None or isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise ValueError("expected an RFC 3339 instant with an offset")
    return from_rfc3339(value)


def _something(cents: int) -> int:
    if not cents:
        raise ValueError("expected a number other than 0")
    return cents


Instant = Annotated[datetime, BeforeValidator(_instant)]


class GivePoints(BaseModel):
    """Points that a person gives or takes; `points` are held in cents."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        str_strip_whitespace=True,
        json_schema_extra={
            "example": {
                "id": "fair-2026-0017",
                "points": 15,
                "reason": "展示会で詳しく話した",
                "expires_at": "2027-02-18T11:00:00+09:00",
            }
        },
    )

    id: Annotated[
        str | None,
        Field(min_length=1, max_length=200, description="The same id again changes nothing. Default: a new one."),
    ] = None
    points: Annotated[
        Cents,
        AfterValidator(_something),
        Field(description="At most two decimals, not 0.", json_schema_extra={"type": "number"}),
    ]
    reason: Annotated[str, Field(min_length=1, max_length=500)]
    expires_at: Annotated[Instant | None, Field(description="RFC 3339; from then on they count no more.")] = None

    def given(self, author: str, now: datetime) -> ManualPoints:
        """The points as of `now`."""
        return ManualPoints(self.points, now, author, self.reason, self.expires_at)


class OtherLead(BaseModel):
    """The other one of two leads that somebody says something about."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        json_schema_extra={"example": {"with": "0b7c2a4e-5d1f-8a60-a9d4-3e1f5c7b9d20"}},
    )

    with_: Annotated[UUID, Field(alias="with")]
