"""HTTP of previews, comparisons and backtests: one at a time, in processes of their own where there is much to read."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from services.scoring import judging
from services.scoring.judging_views import BacktestRequest, BacktestView, PreviewRequest, PreviewView
from services.scoring.model_repository import ModelRepository, VersionRow
from services.scoring.outcomes import topic_outcomes
from shared.backend import prepared
from shared.clock import to_rfc3339
from shared.codec import encode
from shared.durations import parse_duration
from shared.errors import FieldFault, KizashiError, ProblemError
from shared.web import require

router = APIRouter(prefix="/v1/models", tags=["models"])
RIGHTS = [Depends(require("models:write")), Depends(require("leads:read"))]
Name = Annotated[str, Path(max_length=64)]
Version = Annotated[int, Path(ge=1, le=2_147_483_647)]


@router.get(
    "/{name}/compare",
    summary="Two versions over all leads: counts, distribution, who moves",
    responses={200: {"model": PreviewView}},
    dependencies=RIGHTS,
)
async def compare_models(
    request: Request,
    name: Name,
    before: Annotated[int, Query(alias="from", ge=1, le=2_147_483_647)],
    after: Annotated[int, Query(alias="to", ge=1, le=2_147_483_647)],
    threshold: Annotated[float | None, Query(ge=-1_000_000, le=1_000_000, allow_inf_nan=False)] = None,
) -> Response:
    """As a preview, for any two versions."""
    rows = [await _version(request, name, version) for version in (before, after)]
    return await _preview(request, rows[0], rows[1], threshold)


@router.post(
    "/{name}/{version}/preview",
    summary="Who would newly qualify or drop out",
    responses={200: {"model": PreviewView}},
    dependencies=RIGHTS,
)
async def preview_model(
    request: Request, name: Name, version: Version, wanted: PreviewRequest | None = None
) -> Response:
    """All stored leads now, by this version and by the one in force. Nothing is changed."""
    wanted = wanted or PreviewRequest.model_validate({})
    after = await _version(request, name, version)
    before = await _version(request, name, wanted.against or await _in_force(request, name))
    return await _preview(request, before, after, wanted.threshold)


@router.post(
    "/{name}/{version}/backtest",
    summary="Judge a version by what became of leads",
    responses={200: {"model": BacktestView}},
    dependencies=RIGHTS,
)
async def backtest_model(
    request: Request, name: Name, version: Version, wanted: BacktestRequest | None = None
) -> Response:
    """By the outcomes on `handoff-outcomes`: precision, recall, lift, conversion per band, judged on later leads."""
    wanted = wanted or BacktestRequest.model_validate({})
    row = await _version(request, name, version)
    question = judging.BacktestQuestion(
        _cents(row, wanted.threshold), wanted.split, _before(wanted.before), wanted.per_week
    )
    settings = request.app.state.settings
    async with _alone(request):
        outcomes = await topic_outcomes(settings.kafka)
        try:
            found = await judging.backtest_stored(
                settings.database, row.body, outcomes, question, _nobody_watches, _processes()
            )
        except KizashiError as error:
            raise ProblemError(409, "no_outcomes", str(error)) from None
    return _json({"model": {"name": name, "version": version}, **found.to_json()})


async def _preview(request: Request, before: VersionRow, after: VersionRow, threshold: float | None) -> Response:
    at = request.app.state.clock()
    database = request.app.state.settings.database
    async with _alone(request):
        found = await judging.preview(
            database, before.body, after.body, at, _cents(after, threshold), _nobody_watches, _processes()
        )
    about: dict[str, Any] = {
        "model": {"name": after.name, "version": after.version},
        "against": {"name": before.name, "version": before.version},
        "at": to_rfc3339(at),
    }
    return _json({**about, **found.to_json()})


@asynccontextmanager
async def _alone(request: Request) -> AsyncIterator[None]:
    """One at a time: each would take the processors from the others, and from scoring. Raises ProblemError 409."""
    state = request.app.state
    lock: asyncio.Lock | None = getattr(state, "judging", None)
    if lock is None:
        lock = state.judging = asyncio.Lock()
    if lock.locked():
        raise ProblemError(
            409, "busy", "Another preview or backtest is running; try again after it.", headers={"Retry-After": "10"}
        )
    async with lock:
        yield


async def _version(request: Request, name: str, version: int) -> VersionRow:
    async with prepared(request, "pool").acquire() as conn:
        row = await ModelRepository(conn).version(name, version)
    if row is None:
        raise ProblemError(404, "model_not_found", "There is no such version of a model with this name.")
    return row


async def _in_force(request: Request, name: str) -> int:
    async with prepared(request, "pool").acquire() as conn:
        in_force = await ModelRepository(conn).in_force()
    if name not in in_force:
        raise ProblemError(409, "model_not_published", "No version of this model is in force to be compared with.")
    return in_force[name]


def _cents(row: VersionRow, threshold: float | None) -> int:
    return judging.threshold_of(row.body) if threshold is None else round(threshold * 100)


def _before(text: str | None) -> timedelta:
    try:
        return parse_duration(text) if text else timedelta()
    except ValueError as error:
        raise ProblemError(
            422, "invalid_fields", "Some fields are not as expected.", [FieldFault("/before", str(error))]
        ) from None


def _processes() -> int:
    return max((os.cpu_count() or 2) - 1, 2)


def _nobody_watches(done: int, of: int) -> None:
    """An answer over HTTP has no progress; the commands show theirs."""


def _json(body: Any) -> Response:
    return Response(encode(body), media_type="application/json")
