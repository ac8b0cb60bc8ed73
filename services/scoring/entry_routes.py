"""HTTP of what people do to one lead: thin, each route reads its parameters and calls one function."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Annotated, Any
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Body, Depends, Request

from services.scoring.answers import lead_out
from services.scoring.core.commands import GivePoints, OtherLead
from services.scoring.entering import Work, give_points, not_found
from services.scoring.erasing import erase
from services.scoring.erasures import Erasures
from services.scoring.handlers import MAX_RACES
from services.scoring.merging import merge, unmerge
from services.scoring.reading import LeadReader
from services.scoring.repository import LostRaceError
from services.scoring.tables import SCHEMA
from services.scoring.views import ErasedView, LeadWithReasons
from shared import outbox
from shared.backend import prepared
from shared.errors import ProblemError
from shared.events import OutboxRow
from shared.identity import lead_id_for
from shared.keys import ApiKey
from shared.web import require

router = APIRouter(tags=["leads"])

Writer = Annotated[ApiKey, Depends(require("leads:write"))]


@router.post(
    "/v1/leads/{lead_id}/points",
    summary="Give or take points by hand",
    responses={200: {"model": LeadWithReasons}},
)
async def post_points(request: Request, lead_id: str, wanted: Annotated[GivePoints, Body()], key: Writer) -> Any:
    """Points beside all rules, under the reason `manual`, until they expire; answers with the lead. The same id again
    changes nothing; with another content it is refused (409).
    """
    await _do(request, lambda work: give_points(work, _id(lead_id), wanted, key.name))
    return await _lead(request, lead_id)


@router.post("/v1/leads/{lead_id}/merge", summary="Make two leads one", responses={200: {"model": LeadWithReasons}})
async def post_merge(request: Request, lead_id: str, other: Annotated[OtherLead, Body()], key: Writer) -> Any:
    """Whatever their e-mails. The identified one survives, else the older; answers with it, and the other id leads to
    it for ever.
    """
    await _do(request, lambda work: merge(work, _id(lead_id), str(other.with_), key.name))
    return await _lead(request, lead_id)


@router.post(
    "/v1/leads/{lead_id}/unmerge",
    summary="Take a merged lead out again",
    responses={200: {"model": LeadWithReasons}},
)
async def post_unmerge(request: Request, lead_id: str, other: Annotated[OtherLead, Body()], key: Writer) -> Any:
    """The lead named in `with` stands for itself again, with what came under its own identifiers, and no activity
    joins the two again. Answers with the lead it is taken out of.
    """
    await _do(request, lambda work: unmerge(work, _id(lead_id), str(other.with_), key.name))
    return await _lead(request, lead_id)


@router.delete("/v1/leads/{lead_id}", summary="Erase a person", status_code=202, responses={202: {"model": ErasedView}})
async def delete_lead(request: Request, lead_id: str, _: Writer) -> Any:
    """Activities, identifiers, entries and scores leave the database at once, the topics with their retention; what
    was recorded before is dropped wherever it still comes from.
    """
    await _do(request, lambda work: erase(work, _id(lead_id)), alone=True)
    return {"lead_id": _id(lead_id), "state": "erased"}


async def _do(request: Request, change: Callable[[Work], Awaitable[list[OutboxRow]]], *, alone: bool = False) -> None:
    """Run a change in a transaction of its own, published with it; again where the consumer was faster."""
    state, pool = request.app.state, prepared(request, "pool")
    named = partial(lead_id_for, state.settings.identity_key)
    erasures = Erasures(named)
    for _ in range(MAX_RACES):
        with suppress(LostRaceError, asyncpg.DeadlockDetectedError):
            async with pool.acquire() as conn, conn.transaction():
                models = await state.models.pin(conn)
                if not alone:
                    await erasures.refresh(conn)
                published = await change(Work(conn, models, erasures.lead_id_for, named, state.clock()))
                await outbox.append(conn, SCHEMA, published, state.settings.kafka.partitions)
            return
    raise ProblemError(503, "busy", "The lead is changing all the time.", headers={"Retry-After": "1"})


async def _lead(request: Request, lead_id: str) -> dict[str, Any]:
    """The lead as it is now."""
    reader: LeadReader = prepared(request, "reader")
    now = request.app.state.clock()
    found = await reader.lead(lead_id, now)
    if found is None:
        raise not_found()
    return lead_out(found, now, reasons=True)


def _id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise not_found() from None
