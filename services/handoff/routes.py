"""HTTP of the handoff service: thin, each route reads its parameters and calls one function."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Query, Request, Response

from services.handoff.core.answers import Answer
from services.handoff.outcomes import give_answer, not_found
from services.handoff.reading import HandoffFilter, HandoffReader
from services.handoff.tables import SCHEMA
from services.handoff.views import HandoffPage, HandoffWithHistory
from shared import outbox
from shared.backend import prepared
from shared.clock import from_rfc3339
from shared.codec import has_nul
from shared.errors import FieldFault, ProblemError
from shared.keys import ApiKey
from shared.web import PageQuery, paginate, require

router = APIRouter(tags=["handoffs"])

State = Literal[
    "qualified",
    "assigned",
    "accepted",
    "rejected",
    "recycled",
    "converted",
    "lost",
    "expired",
    "merged",
    "lapsed",
]
MayRead = Depends(require("handoffs:read"))
Writer = Annotated[ApiKey, Depends(require("handoffs:write"))]


@router.get(
    "/v1/handoffs",
    summary="Handoffs, the latest crossing first",
    dependencies=[MayRead],
    responses={200: {"model": HandoffPage}},
)
async def list_handoffs(
    request: Request,
    page: PageQuery,
    state: Annotated[State | None, Query(description="Where they stand.")] = None,
    queue: Annotated[str | None, Query(max_length=100)] = None,
    lead: Annotated[str | None, Query(max_length=200, description="Handoffs of one lead, by its id.")] = None,
) -> Response:
    """A page of handoffs without their history."""
    _check_texts(queue=queue, lead=lead)
    wanted = HandoffFilter(state, queue, lead, _place(page.after), page.limit)
    found = await _reader(request).page(wanted)
    shown = found[: page.limit]
    more = len(found) > page.limit
    return paginate(request, shown, (shown[-1]["crossed_at"], shown[-1]["id"]) if more else None)


@router.get(
    "/v1/handoffs/{handoff_id}",
    summary="One handoff with its history",
    dependencies=[MayRead],
    responses={200: {"model": HandoffWithHistory}},
)
async def get_handoff(request: Request, handoff_id: str) -> dict[str, Any]:
    """Where the handoff stands and how it came there."""
    return await _found(request, _id(handoff_id))


@router.post(
    "/v1/handoffs/{handoff_id}/outcome",
    summary="What sales answers",
    responses={200: {"model": HandoffWithHistory}},
)
async def post_outcome(
    request: Request, handoff_id: str, answer: Annotated[Answer, Body()], key: Writer
) -> dict[str, Any]:
    """Accepted, rejected, recycled, converted or lost. The same answer again changes nothing."""
    state, pool = request.app.state, prepared(request, "pool")
    wanted = _id(handoff_id)
    async with pool.acquire() as conn, conn.transaction():
        published = await give_answer(conn, wanted, answer, key.name, state.clock())
        await outbox.append(conn, SCHEMA, published, state.settings.kafka.partitions)
    return await _found(request, wanted)


def _reader(request: Request) -> HandoffReader:
    reader: HandoffReader = prepared(request, "reader")
    return reader


async def _found(request: Request, handoff_id: UUID) -> dict[str, Any]:
    found = await _reader(request).one(handoff_id)
    if found is None:
        raise not_found()
    return found


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise not_found() from None


def _check_texts(**texts: str | None) -> None:
    faults = [FieldFault(f"/query/{name}", "holds U+0000") for name, text in texts.items() if has_nul(text)]
    if faults:
        raise ProblemError(422, "invalid_fields", "Some fields are not as expected.", faults)


def _place(after: Sequence[Any] | None) -> tuple[datetime, UUID] | None:
    if after is None:
        return None
    try:
        crossed_at, handoff_id = after
        return from_rfc3339(crossed_at), UUID(handoff_id)
    except (ValueError, TypeError, AttributeError):
        fault = FieldFault("/query/after", "expected the value of a page's `next` link")
        raise ProblemError(422, "invalid_cursor", "The cursor is not one of this list.", [fault]) from None
