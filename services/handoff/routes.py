"""HTTP of the handoff service."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Query, Request, Response

from services.handoff.answers import AnswerBody, give_answer
from services.handoff.reading import HandoffFilter, HandoffReader
from services.handoff.tables import SCHEMA
from shared import outbox
from shared.clock import from_rfc3339
from shared.errors import ProblemError
from shared.web import PageQuery, paginate, require

router = APIRouter(tags=["handoffs"])
READ, WRITE = Depends(require("handoffs:read")), Depends(require("handoffs:write"))


@router.get("/v1/handoffs", summary="Handoffs, the latest first", dependencies=[READ])
async def list_handoffs(
    request: Request,
    page: PageQuery,
    state: Annotated[str | None, Query(max_length=64)] = None,
    queue: Annotated[str | None, Query(max_length=64)] = None,
    lead: Annotated[UUID | None, Query(description="Handoffs of one lead.")] = None,
) -> Response:
    """A page of handoffs without their history."""
    after = (from_rfc3339(page.after[0]), UUID(page.after[1])) if page.after else None
    wanted = HandoffFilter(state, queue, str(lead) if lead else None, after, page.limit)
    found = await _reader(request).page(wanted)
    shown = found[: page.limit]
    more = len(found) > page.limit
    return paginate(request, shown, (shown[-1]["crossed_at"], shown[-1]["id"]) if more else None)


@router.get("/v1/handoffs/{handoff_id}", summary="One handoff with its history", dependencies=[READ])
async def get_handoff(request: Request, handoff_id: str) -> dict[str, Any]:
    """Where the handoff stands and how it came there."""
    return await _found(request, handoff_id)


@router.post("/v1/handoffs/{handoff_id}/outcome", summary="What sales answers", dependencies=[WRITE])
async def post_outcome(request: Request, handoff_id: str, body: Annotated[AnswerBody, Body()]) -> dict[str, Any]:
    """Accepted, rejected, recycled, converted or lost. The same answer again changes nothing."""
    answer = AnswerBody.read(body.model_dump(), with_id=False)
    pool = getattr(request.app.state, "pool", None)
    if pool is None:
        raise _not_ready()
    async with pool.acquire() as conn, conn.transaction():
        given = await give_answer(conn, handoff_id, answer, request.app.state.clock())
        await outbox.append(conn, SCHEMA, given.published, request.app.state.settings.kafka.partitions)
    return await _found(request, given.handoff.id)


async def _found(request: Request, handoff_id: str) -> dict[str, Any]:
    found = await _reader(request).one(handoff_id)
    if found is None:
        raise ProblemError(404, "handoff_not_found", "There is no handoff with this id.")
    return found


def _reader(request: Request) -> HandoffReader:
    reader: HandoffReader | None = getattr(request.app.state, "reader", None)
    if reader is None:
        raise _not_ready()
    return reader


def _not_ready() -> ProblemError:
    return ProblemError(503, "not_ready", "The service is starting.", headers={"Retry-After": "1"})
