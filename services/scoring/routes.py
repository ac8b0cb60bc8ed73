"""HTTP of the scoring service: thin, each route reads its parameters and asks the reader."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from services.scoring.answers import activity_out, cursor_of, lead_out
from services.scoring.entering import not_found
from services.scoring.reading import LeadFilter, LeadReader, StoredLead
from services.scoring.views import ActivityPage, LeadPage, LeadWithReasons
from shared.backend import prepared
from shared.clock import from_rfc3339
from shared.identity import normalise_email
from shared.web import PageQuery, instant_in, invalid_parameter, paginate, require, text_in

router = APIRouter(tags=["leads"], dependencies=[Depends(require("leads:read"))])


def instant_of(
    request: Request,
    at: Annotated[
        str | None,
        Query(
            max_length=64,
            description="RFC 3339; the lead as of then. Default: now.",
            examples=["2026-11-20T10:15:00+09:00"],
        ),
    ] = None,
) -> datetime:
    """Dependency: the instant a request asks about. Raises ProblemError 422."""
    if at is None:
        now: datetime = request.app.state.clock()
        return now
    return instant_in(at, "/query/at")


AtQuery = Annotated[datetime, Depends(instant_of)]


@router.get("/v1/leads", summary="Leads, by identifier, text or least score", responses={200: {"model": LeadPage}})
async def list_leads(
    request: Request,
    page: PageQuery,
    at: AtQuery,
    email: Annotated[str | None, Query(max_length=512)] = None,
    q: Annotated[str | None, Query(max_length=200, description="Part of a name, company or address.")] = None,
    min_score: Annotated[float | None, Query(description="Least stored score.", allow_inf_nan=False)] = None,
) -> Response:
    """A page of leads, without reasons; of an instant that is named, under the model in force then."""
    reader = _reader(request)
    (after,) = page.place(UUID) or (None,)
    wanted = LeadFilter(_email(email), q, min_score, after, page.limit)
    found = await reader.leads(wanted, at, as_it_was=_is_asked(request))
    more = len(found) > page.limit
    shown = found[: page.limit]
    items = [lead_out(stored, at, reasons=False) for stored in shown]
    return paginate(request, items, (shown[-1].id,) if more else None)


@router.get(
    "/v1/leads/{lead_id}",
    summary="One lead, with reasons that add up to its score",
    responses={200: {"model": LeadWithReasons}},
)
async def get_lead(request: Request, lead_id: str, at: AtQuery) -> dict[str, Any]:
    """The lead as of an instant, under the model in force then; a merged id answers with the survivor."""
    return lead_out(await _found(request, lead_id, at), at, reasons=True)


@router.get(
    "/v1/leads/{lead_id}/activities",
    summary="A lead's activities, newest first",
    responses={200: {"model": ActivityPage}},
)
async def list_activities(request: Request, lead_id: str, page: PageQuery, at: AtQuery) -> Response:
    """A page of activities as posted."""
    reader = _reader(request)
    lead = await _found(request, lead_id, at)
    found = await reader.activities(lead.id, page.limit, page.place(from_rfc3339, text_in, text_in))
    more = len(found) > page.limit
    shown = found[: page.limit]
    return paginate(request, [activity_out(stored) for stored in shown], cursor_of(shown[-1]) if more else None)


def _is_asked(request: Request) -> bool:
    """Whether a request names its instant. Only that may lie before a publication: by our own clock, which may be
    behind the database's, the models are those of now.
    """
    return "at" in request.query_params


def _reader(request: Request) -> LeadReader:
    reader: LeadReader = prepared(request, "reader")
    return reader


async def _found(request: Request, lead_id: str, at: datetime) -> StoredLead:
    reader = _reader(request)
    found = await reader.lead(lead_id, at, as_it_was=_is_asked(request))
    if found is None:
        raise not_found()
    return found


def _email(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return normalise_email(text)
    except ValueError as error:
        raise invalid_parameter("/query/email", str(error)) from None
