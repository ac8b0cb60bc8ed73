"""HTTP of destinations, attempts and redelivery."""

from datetime import timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Header, Query, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from services.handoff.core.destination import FolderSpec, MailSpec, SlackSpec, WebhookSpec
from services.handoff.destination_repository import DestinationRepository
from services.handoff.destination_views import (
    AttemptPage,
    AttemptView,
    DestinationMade,
    DestinationPage,
    DestinationView,
    RotatedView,
    attempt_view,
)
from services.handoff.managing import FORMER_KEPT, FORMER_KEPT_AT_MOST, Destinations, check_match, etag, found
from shared.backend import prepared
from shared.clock import from_rfc3339, to_rfc3339
from shared.codec import encode
from shared.durations import parse_duration
from shared.errors import ProblemError
from shared.web import PageQuery, paginate, require

router = APIRouter(tags=["destinations"])

MayRead = Depends(require("handoffs:read"))
MayWrite = Depends(require("handoffs:write"))
IfMatch = Annotated[str | None, Header(description="The ETag of the destination as you know it.")]
SPECS = [kind.model_json_schema() for kind in (WebhookSpec, SlackSpec, MailSpec, FolderSpec)]
EXAMPLE = {"kind": "webhook", "name": "crm", "url": "https://crm.example.com/kizashi", "events": ["lead.qualified.v1"]}


def _body(schema: dict[str, Any], example: Any) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}}


def _span(text: str) -> timedelta:
    return parse_duration(text) if text else FORMER_KEPT


def _is_short(text: str) -> str:
    if _span(text) > FORMER_KEPT_AT_MOST:
        raise ValueError("expected a span of 7d at most")
    return text


class Rotate(BaseModel):
    """A change of the signing secret."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"keep_former_for": "24h"}})

    secret: str | None = Field(default=None, max_length=200, description="Made if none is given.")
    keep_former_for: Annotated[
        str, Field(max_length=20, description="A span such as 24h, 7d at most."), AfterValidator(_is_short)
    ] = "24h"

    @property
    def span(self) -> timedelta:
        """How long the former secret stays valid."""
        return _span(self.keep_former_for)


class Redelivery(BaseModel):
    """A delivery that was put back to the beginning of its schedule."""

    delivery_id: str
    webhook_id: str
    destination_id: str
    state: str


@router.get(
    "/v1/destinations",
    summary="Destinations in the order of their making",
    dependencies=[MayRead],
    responses={200: {"model": DestinationPage}},
)
async def list_destinations(request: Request, page: PageQuery) -> Response:
    """A page of destinations, without secrets."""
    pool = prepared(request, "pool")
    async with pool.acquire() as conn:
        repository = DestinationRepository(conn)
        rows = await repository.page(page.place(from_rfc3339, UUID), page.limit)
        waiting = await repository.counts([row["id"] for row in rows])
    shown = rows[: page.limit]
    items = [_destinations(request).view(row, waiting.get(row["id"], 0)) for row in shown]
    more = len(rows) > page.limit
    return paginate(request, items, (to_rfc3339(shown[-1]["created_at"]), str(shown[-1]["id"])) if more else None)


@router.post(
    "/v1/destinations",
    summary="Make a destination",
    status_code=201,
    dependencies=[MayWrite],
    responses={201: {"model": DestinationMade}},
    openapi_extra=_body({"oneOf": SPECS}, EXAMPLE),
)
async def make_destination(request: Request, body: Annotated[dict[str, Any], Body()]) -> Response:
    """A webhook, mail, Slack or folder. The answer is the one time that a webhook's secret is shown."""
    view, tag = await _destinations(request).make(body)
    return _json(view, 201, {"ETag": tag, "Location": f"/v1/destinations/{view['id']}"})


@router.get(
    "/v1/destinations/{destination_id}",
    summary="One destination",
    dependencies=[MayRead],
    responses={200: {"model": DestinationView}},
)
async def get_destination(request: Request, destination_id: str) -> Response:
    """A destination with its ETag."""
    id_ = _id(destination_id)
    async with prepared(request, "pool").acquire() as conn:
        repository = DestinationRepository(conn)
        row, waiting = found(await repository.one(id_)), await repository.counts([id_])
    return _json(_destinations(request).view(row, waiting.get(id_, 0)), 200, {"ETag": etag(row)})


@router.patch(
    "/v1/destinations/{destination_id}",
    summary="Change a destination",
    dependencies=[MayWrite],
    responses={200: {"model": DestinationView}},
    openapi_extra=_body({"type": "object"}, {"state": "disabled"}),
)
async def change_destination(
    request: Request, destination_id: str, body: Annotated[dict[str, Any], Body()], if_match: IfMatch = None
) -> Response:
    """A JSON merge patch; needs If-Match. `{"state": "active"}` enables it again: what waited is sent."""
    view, tag = await _destinations(request).change(_id(destination_id), body, if_match)
    return _json(view, 200, {"ETag": tag})


@router.delete(
    "/v1/destinations/{destination_id}",
    summary="Remove a destination",
    status_code=204,
    dependencies=[MayWrite],
)
async def remove_destination(request: Request, destination_id: str, if_match: IfMatch = None) -> Response:
    """With all its deliveries and attempts."""
    id_ = _id(destination_id)
    async with prepared(request, "pool").acquire() as conn, conn.transaction():
        repository = DestinationRepository(conn)
        check_match(found(await repository.one(id_, lock=True)), if_match)
        await repository.delete(id_)
    return Response(status_code=204)


@router.post(
    "/v1/destinations/{destination_id}/rotate",
    summary="A new signing secret",
    dependencies=[MayWrite],
    responses={200: {"model": RotatedView}},
)
async def rotate_secret(
    request: Request, destination_id: str, body: Annotated[Rotate | None, Body()] = None
) -> Response:
    """Deliveries carry the signatures of both until the former one ends."""
    asked = body or Rotate()
    secret, until = await _destinations(request).rotate(_id(destination_id), asked.secret, asked.span)
    return _json({"secret": secret, "former_until": to_rfc3339(until)})


@router.post(
    "/v1/destinations/{destination_id}/test",
    summary="Send a test event",
    dependencies=[MayWrite],
    responses={200: {"model": AttemptView}},
)
async def send_test(request: Request, destination_id: str) -> Response:
    """Made at once; the answer is the attempt, with what the receiver said. A test is not tried again."""
    return _json(await _destinations(request).test(_id(destination_id)))


@router.get(
    "/v1/destinations/{destination_id}/attempts",
    summary="The attempts at a destination, the latest first",
    dependencies=[MayRead],
    responses={200: {"model": AttemptPage}},
)
async def list_attempts(
    request: Request,
    destination_id: str,
    page: PageQuery,
    outcome: Annotated[Literal["delivered", "failed", "skipped"] | None, Query()] = None,
) -> Response:
    """What was sent, and what was answered."""
    id_ = _id(destination_id)
    async with prepared(request, "pool").acquire() as conn:
        repository = DestinationRepository(conn)
        found(await repository.one(id_))
        rows = await repository.attempts(id_, outcome, page.place(from_rfc3339, UUID), page.limit)
    shown = rows[: page.limit]
    place = (to_rfc3339(shown[-1]["at"]), str(shown[-1]["id"])) if len(rows) > page.limit else None
    return paginate(request, [attempt_view(row) for row in shown], place)


@router.post(
    "/v1/attempts/{attempt_id}/redeliver",
    summary="Deliver once more",
    status_code=202,
    dependencies=[MayWrite],
    responses={202: {"model": Redelivery}},
)
async def redeliver(request: Request, attempt_id: str) -> Response:
    """What this attempt was about, under the same webhook id, from the beginning of the schedule."""
    answer = await _destinations(request).redeliver(_id(attempt_id, "attempt"))
    prepared(request, "try_now")(UUID(answer["destination_id"]))
    return _json(answer, 202)


def _destinations(request: Request) -> Destinations:
    destinations: Destinations = prepared(request, "destinations")
    return destinations


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(encode(value), status, headers, media_type="application/json")


def _id(text: str, what: str = "destination") -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ProblemError(404, f"{what}_not_found", f"There is no {what} with this id.") from None
