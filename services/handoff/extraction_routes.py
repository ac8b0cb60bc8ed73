"""HTTP of runs and lists: `/v1/extractions`."""

import time
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Body, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from services.handoff.core.due_runs import RUNNING, hot_list
from services.handoff.core.rows import COLUMNS
from services.handoff.core.rules import Rulebook
from services.handoff.extraction_reading import ExtractionReader
from services.handoff.extraction_repository import ExtractionRepository
from services.handoff.runs import Runs
from services.handoff.views import ExtractionPage, ExtractionView
from shared.backend import prepared
from shared.clock import from_rfc3339
from shared.errors import FieldFault, ProblemError
from shared.spreadsheet import Encoding, charset, header, lines
from shared.web import PageQuery, paginate, require

ANSWER_WITHIN_S = 5.0
"""A list that takes longer is finished in the background."""

router = APIRouter(tags=["extractions"])
MayRead = Depends(require("handoffs:read"))
MayWrite = Depends(require("handoffs:write"))


class Asked(BaseModel):
    """Which list is asked for. The same `key` again is the same list, with the same rows."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"example": {"key": "monday-call"}})

    key: Annotated[str | None, Field(min_length=1, max_length=200, description="Default: the Idempotency-Key.")] = None


@router.get(
    "/v1/extractions",
    summary="Runs of scheduled rules and lists of who was hot, the latest first",
    dependencies=[MayRead],
    responses={200: {"model": ExtractionPage}},
)
async def list_extractions(
    request: Request, page: PageQuery, rule: Annotated[str | None, Query(max_length=100)] = None
) -> Response:
    """A page of them."""
    found = await _reader(request).page(rule, page.place(from_rfc3339, UUID), page.limit)
    shown = found[: page.limit]
    more = len(found) > page.limit
    return paginate(request, shown, (shown[-1]["at"], shown[-1]["id"]) if more else None)


@router.get(
    "/v1/extractions/{extraction_id}.csv",
    summary="The rows of a run or list",
    dependencies=[MayRead],
    responses={
        200: {
            "content": {"text/csv": {}},
            "description": "The same rows whenever it is asked for, save those of people erased since.",
        }
    },
)
async def get_rows(
    request: Request,
    extraction_id: str,
    encoding: Annotated[Encoding, Query(description="`utf-8-sig` has a byte order mark.")] = "utf-8-sig",
) -> Response:
    """CSV with a header, one lead a row. A text that spreadsheets take for a formula has an apostrophe before it."""
    found = await _found(request, extraction_id)
    if found["state"] == RUNNING:
        raise ProblemError(409, "extraction_running", "It is not complete yet.", headers={"Retry-After": "1"})
    name = f"{found['kind']}-{found['at'][:10]}-{found['id'][:8]}.csv"
    return StreamingResponse(
        _written(_reader(request), UUID(found["id"]), encoding),
        media_type=f"text/csv; charset={charset(encoding)}",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@router.get(
    "/v1/extractions/{extraction_id}",
    summary="One run or list",
    dependencies=[MayRead],
    responses={200: {"model": ExtractionView}},
)
async def get_extraction(request: Request, extraction_id: str) -> dict[str, Any]:
    """Where it stands."""
    return await _found(request, extraction_id)


@router.post(
    "/v1/extractions/{name}/run",
    summary="List who meets a rule now",
    dependencies=[MayWrite],
    responses={200: {"model": ExtractionView}, 202: {"model": ExtractionView, "description": "Still being written."}},
)
async def list_hot(
    request: Request,
    response: Response,
    name: str,
    asked: Annotated[Asked | None, Body()] = None,
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> dict[str, Any]:
    """Everybody who meets the rule now, as a list: nobody is handed over by it. The same key again is the same list."""
    state, pool = request.app.state, prepared(request, "pool")
    book: Rulebook = prepared(request, "book")
    rule = book.rule(name)
    if rule is None:
        raise ProblemError(404, "rule_not_found", "There is no rule of this name in handoff.yaml.")
    key = (asked.key if asked is not None else None) or idempotency_key or str(uuid4())
    if "\x00" in key:
        raise ProblemError(422, "invalid_fields", "The key holds U+0000.", [FieldFault("/key", "holds U+0000")])
    wanted = hot_list(rule, key, state.clock())
    async with pool.acquire() as conn, conn.transaction():
        await ExtractionRepository(conn).begin([wanted], state.clock())
    runs: Runs = prepared(request, "runs")
    until = time.monotonic() + ANSWER_WITHIN_S
    while time.monotonic() < until and await runs.step(wanted.id):
        pass
    found = await _found(request, wanted.id)
    response.status_code = 202 if found["state"] == RUNNING else 200
    return found


async def _written(reader: ExtractionReader, extraction_id: UUID, encoding: Encoding) -> AsyncIterator[bytes]:
    yield header(COLUMNS, encoding)
    async for rows in reader.rows(extraction_id):
        yield lines(rows, encoding)


def _reader(request: Request) -> ExtractionReader:
    reader: ExtractionReader = prepared(request, "extractions")
    return reader


async def _found(request: Request, extraction_id: str) -> dict[str, Any]:
    try:
        found = await _reader(request).one(UUID(extraction_id))
    except ValueError:
        found = None
    if found is None:
        raise ProblemError(404, "extraction_not_found", "There is no run or list with this id.")
    return found
