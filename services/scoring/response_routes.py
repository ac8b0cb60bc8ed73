"""HTTP of the report on responses: `/v1/reports/responses`."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from services.scoring.core.responses import NO_EXPERIMENT, ResponseQuestion, report
from services.scoring.response_reading import ResponseReader
from shared.backend import prepared
from shared.durations import parse_duration
from shared.shares import Difference, Share
from shared.web import DifferenceView, ShareView, instant_in, invalid_parameter, require

router = APIRouter(tags=["reports"], dependencies=[Depends(require("leads:read"))])

_RESPONDED, _SILENT = Share(31, 140), Share(42, 610)
REPORT: dict[str, Any] = {
    "email_id": "autumn-2",
    "campaign": "autumn-expo",
    "link": "/price",
    "appointments": ["meeting_booked", "meeting_held"],
    "within": "30d",
    "from": "2026-10-01T00:00:00.000000Z",
    "to": "2026-11-01T00:00:00.000000Z",
    "responded": _RESPONDED.to_json(),
    "not_responded": _SILENT.to_json(),
    "difference": Difference(_RESPONDED, _SILENT).to_json(),
    "warnings": [NO_EXPERIMENT],
}
Text = Annotated[str | None, Query(min_length=1, max_length=512)]
Instant = Annotated[str | None, Query(max_length=64)]


class ResponseReport(BaseModel):
    """Appointments of those who clicked in a mail, beside those who got it and did not."""

    model_config = ConfigDict(json_schema_extra={"example": REPORT})

    email_id: str | None
    campaign: str | None
    link: str | None
    appointments: list[str]
    within: str
    from_: datetime | None = Field(alias="from")
    to: datetime | None
    responded: ShareView = Field(description="Leads with an appointment, of all who clicked.")
    not_responded: ShareView = Field(description="The same of those who did not.")
    difference: DifferenceView = Field(description="Responded less not responded.")
    warnings: list[str] = Field(description="What the figures do not say, and whether they rest on too little.")


def question_of(
    email_id: Text = None,
    campaign: Text = None,
    link: Annotated[str | None, Query(min_length=1, max_length=512, description="Part of the clicked link.")] = None,
    appointments: Annotated[
        str, Query(max_length=512, description="Activity types that count, comma-separated.")
    ] = "meeting_booked,meeting_held",
    within: Annotated[str, Query(max_length=32, description="How long after the delivery.")] = "30d",
    since: Annotated[Instant, Query(alias="from", description="RFC 3339; delivered at or after it.")] = None,
    until: Annotated[Instant, Query(alias="to", description="RFC 3339; delivered before it.")] = None,
) -> ResponseQuestion:
    """Dependency: what is asked. Raises ProblemError 422."""
    if email_id is None and campaign is None:
        raise invalid_parameter("/query/email_id", "expected email_id, campaign, or both")
    for name, value in (("email_id", email_id), ("campaign", campaign), ("link", link), ("appointments", appointments)):
        if value is not None and "\x00" in value:
            raise invalid_parameter(f"/query/{name}", "holds U+0000")
    try:
        span = parse_duration(within)
    except ValueError as error:
        raise invalid_parameter("/query/within", str(error)) from None
    return ResponseQuestion(
        email_id=email_id,
        campaign=campaign,
        link=link,
        appointments=tuple(name.strip() for name in appointments.split(",") if name.strip()),
        within=span,
        start=instant_in(since, "/query/from") if since is not None else None,
        end=instant_in(until, "/query/to") if until is not None else None,
    )


@router.get(
    "/v1/reports/responses",
    summary="What a mail seems to have changed",
    responses={200: {"model": ResponseReport}},
)
async def get_responses(
    request: Request, question: Annotated[ResponseQuestion, Depends(question_of)]
) -> dict[str, Any]:
    """The share of leads with an appointment among those who clicked and among the other recipients."""
    reader: ResponseReader = prepared(request, "responses")
    return report(question, await reader.responses(question))
