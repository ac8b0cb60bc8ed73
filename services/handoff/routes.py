"""HTTP of the handoff service: thin, each route reads its parameters and calls one function."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Query, Request, Response

from services.handoff.assignments import Assignment, assign
from services.handoff.core.answers import Answer
from services.handoff.effect_routes import router as effects
from services.handoff.extraction_routes import router as extractions
from services.handoff.outcomes import give_answer, not_found
from services.handoff.reading import HandoffFilter, HandoffReader
from services.handoff.tables import SCHEMA
from services.handoff.views import HandoffPage, HandoffWithHistory
from shared import outbox
from shared.backend import prepared
from shared.clock import from_rfc3339
from shared.keys import ApiKey
from shared.telemetry import QUALIFIED
from shared.web import PageQuery, paginate, require

router = APIRouter()
handoffs = APIRouter(tags=["handoffs"])

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


@handoffs.get(
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
    wanted = HandoffFilter(state, queue, lead, page.place(from_rfc3339, UUID), page.limit)
    found = await _reader(request).page(wanted)
    shown = found[: page.limit]
    more = len(found) > page.limit
    return paginate(request, shown, (shown[-1]["crossed_at"], shown[-1]["id"]) if more else None)


@handoffs.get(
    "/v1/handoffs/{handoff_id}",
    summary="One handoff with its history",
    dependencies=[MayRead],
    responses={200: {"model": HandoffWithHistory}},
)
async def get_handoff(request: Request, handoff_id: str) -> dict[str, Any]:
    """Where the handoff stands and how it came there."""
    return await _found(request, _id(handoff_id))


@handoffs.post(
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
    book = prepared(request, "book")
    async with pool.acquire() as conn, conn.transaction():
        done = await give_answer(conn, book, wanted, answer, key.name, state.clock())
        await outbox.append(conn, SCHEMA, done.published, state.settings.kafka.partitions)
    for labels in done.qualified:
        QUALIFIED.labels(*labels).inc()
    return await _found(request, wanted)


@handoffs.post(
    "/v1/handoffs/{handoff_id}/assignment",
    summary="Give a handoff to somebody else",
    responses={200: {"model": HandoffWithHistory}},
)
async def post_assignment(
    request: Request, handoff_id: str, assignment: Annotated[Assignment, Body()], key: Writer
) -> dict[str, Any]:
    """To a named owner, to the next member of the queue who has not had it, or back to the queue. The time to answer
    begins anew. The same owner again changes nothing.
    """
    state, pool, wanted = request.app.state, prepared(request, "pool"), _id(handoff_id)
    async with pool.acquire() as conn, conn.transaction():
        published = await assign(conn, prepared(request, "book"), wanted, assignment, key.name, state.clock())
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


router.include_router(handoffs)
router.include_router(extractions)
router.include_router(effects)
