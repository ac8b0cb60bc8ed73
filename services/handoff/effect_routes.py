"""HTTP of the reports on what became of handoffs: `/v1/reports/handoffs`."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from services.handoff.core.effect import DIMENSIONS, Dimension, columns, effects, to_json, to_row
from services.handoff.effect_reading import EffectReader, Stretch
from shared.backend import prepared
from shared.clock import to_rfc3339
from shared.spreadsheet import Encoding, charset, header, lines
from shared.web import ShareView, instant_in, invalid_parameter, require

router = APIRouter(tags=["reports"], dependencies=[Depends(require("handoffs:read"))])

SHARE: dict[str, Any] = {"value": 0.6429, "hits": 27, "of": 42, "low": 0.4917, "high": 0.7701, "few": False}
EFFECT: dict[str, Any] = {
    "rule": "hot",
    "campaign": "autumn-expo",
    "qualified": 51,
    "accepted": 27,
    "rejected": 12,
    "recycled": 3,
    "converted": 9,
    "lost": 8,
    "expired": 4,
    "merged": 0,
    "waiting": 5,
    "rejected_by_reason": {"no budget": 7, "student": 5},
    "acceptance": SHARE,
    "conversion": {"value": 0.2812, "hits": 9, "of": 32, "low": 0.1556, "high": 0.4537, "few": False},
}


class EffectShare(ShareView):
    """A share of handoffs."""

    few: bool = Field(description="Below 25: too few to rely on.")


class EffectView(BaseModel):
    """One group of handoffs; the dimensions asked for stand beside the counts."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"example": EFFECT})

    qualified: int = Field(description="Handed over in the stretch of time.")
    accepted: int = Field(description="Accepted at some time.")
    rejected: int
    recycled: int
    converted: int
    lost: int
    expired: int
    merged: int
    waiting: int
    rejected_by_reason: dict[str, int]
    acceptance: EffectShare = Field(description="Accepted, of those that sales answered.")
    conversion: EffectShare = Field(description="Converted, of those of which the end is known.")


class EffectReport(BaseModel):
    """What became of those handed over."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "from": "2026-10-01T00:00:00Z",
                "to": "2026-11-01T00:00:00Z",
                "by": ["rule", "campaign"],
                "items": [EFFECT],
            }
        }
    )

    from_: datetime | None = Field(alias="from")
    to: datetime | None
    by: list[str]
    items: list[EffectView]


def dimensions_of(
    by: Annotated[
        str,
        Query(
            max_length=100,
            description=f"What to group by, comma-separated: {', '.join(DIMENSIONS)}. Source and campaign are those of"
            " the last touch before the crossing; a band has ten points.",
        ),
    ] = "rule",
) -> tuple[Dimension, ...]:
    """Dependency: what to group by. Raises ProblemError 422."""
    known: dict[str, Dimension] = {name: name for name in DIMENSIONS}
    asked = [name.strip() for name in by.split(",")]
    if len(set(asked)) < len(asked) or not known.keys() >= set(asked):
        raise invalid_parameter("/query/by", f"expected some of {', '.join(DIMENSIONS)}, each once")
    return tuple(known[name] for name in asked)


def stretch_of(
    since: Annotated[
        str | None, Query(alias="from", max_length=64, description="RFC 3339; handed over at or after it.")
    ] = None,
    until: Annotated[
        str | None, Query(alias="to", max_length=64, description="RFC 3339; handed over before it.")
    ] = None,
) -> Stretch:
    """Dependency: the stretch of time. Raises ProblemError 422."""
    return Stretch(
        instant_in(since, "/query/from") if since is not None else None,
        instant_in(until, "/query/to") if until is not None else None,
    )


By = Annotated[tuple[Dimension, ...], Depends(dimensions_of)]
Within = Annotated[Stretch, Depends(stretch_of)]


@router.get(
    "/v1/reports/handoffs",
    summary="What became of those handed over",
    responses={200: {"model": EffectReport}},
)
async def get_report(request: Request, by: By, stretch: Within) -> dict[str, Any]:
    """Counts, reasons of rejection, and shares with their uncertainty, the largest group first."""
    return {
        "from": to_rfc3339(stretch.start) if stretch.start else None,
        "to": to_rfc3339(stretch.end) if stretch.end else None,
        "by": list(by),
        "items": await _items(request, by, stretch),
    }


@router.get(
    "/v1/reports/handoffs.csv",
    summary="The same as a table",
    responses={200: {"content": {"text/csv": {}}, "description": "A header and one group a line."}},
)
async def get_table(
    request: Request,
    by: By,
    stretch: Within,
    encoding: Annotated[Encoding, Query(description="`utf-8-sig` has a byte order mark.")] = "utf-8-sig",
) -> Response:
    """For a spreadsheet."""
    rows = [to_row(item) for item in await _items(request, by, stretch)]
    return Response(
        header(columns(by), encoding) + lines(rows, encoding),
        media_type=f"text/csv; charset={charset(encoding)}",
        headers={"Content-Disposition": 'attachment; filename="handoffs.csv"'},
    )


async def _items(request: Request, by: tuple[Dimension, ...], stretch: Stretch) -> list[dict[str, Any]]:
    reader: EffectReader = prepared(request, "effects")
    return [to_json(by, group, effect) for group, effect in effects(await reader.standings(by, stretch)).items()]
