"""HTTP of scoring models: thin, each route reads its parameters and calls one function."""

from typing import Annotated, Any

import asyncpg
from fastapi import APIRouter, Body, Depends, Header, Path, Query, Request, Response

from services.scoring import model_changes as changes
from services.scoring.core.doubts import doubts
from services.scoring.core.loader import model_from
from services.scoring.core.wording import Language, explain_model
from services.scoring.model_changes import Change, etag_of
from services.scoring.model_repository import ModelRepository, VersionRow
from services.scoring.model_views import (
    AuditPage,
    Note,
    Publication,
    SentencePage,
    VersionPage,
    VersionView,
    VersionWithModel,
)
from services.scoring.refold_repository import RefoldRepository, progress_out
from shared.backend import prepared
from shared.clock import to_rfc3339
from shared.codec import encode
from shared.errors import ProblemError, pointer
from shared.keys import ApiKey
from shared.web import PageQuery, number_in, paginate, require, text_in

router = APIRouter(prefix="/v1/models", tags=["models"])
READ = [Depends(require("leads:read"))]

Writer = Annotated[ApiKey, Depends(require("models:write"))]
Name = Annotated[str, Path(max_length=64)]
Version = Annotated[int, Path(ge=1, le=2_147_483_647)]
IfMatch = Annotated[str | None, Header(alias="If-Match", description="The ETag of the version you have read.")]
Tree = Annotated[
    dict[str, Any], Body(description="The model, as in a file. Every fault is named at once, by its JSON pointer.")
]
NoteQuery = Annotated[str | None, Query(max_length=500, description="Why, for the audit.")]


@router.get("", summary="All versions of all models", responses={200: {"model": VersionPage}}, dependencies=READ)
async def list_models(request: Request, page: PageQuery) -> Response:
    """A page of versions, without what they say."""
    async with _pool(request).acquire() as conn:
        repository = ModelRepository(conn)
        found = await repository.versions(page.place(text_in, number_in), page.limit)
        in_force = await repository.in_force()
    shown = found[: page.limit]
    items = [_version_out(row, in_force) for row in shown]
    last = (shown[-1].name, shown[-1].version) if len(found) > page.limit else None
    return paginate(request, items, last)


@router.post(
    "", status_code=201, summary="A new draft, validated as a whole", responses={201: {"model": VersionWithModel}}
)
async def create_model(request: Request, key: Writer, tree: Tree, note: NoteQuery = None) -> Response:
    """The draft, with its number and ETag."""
    row = await changes.create(_pool(request), key.name, tree, note)
    return await _answer(request, row, 201)


@router.get("/{name}/audit", summary="Who changed what", responses={200: {"model": AuditPage}}, dependencies=READ)
async def list_changes(request: Request, name: Name, page: PageQuery) -> Response:
    """A page of changes of one model, the latest first."""
    async with _pool(request).acquire() as conn:
        (after,) = page.place(number_in) or (None,)
        found = await ModelRepository(conn).audit(name, after, page.limit)
    shown = found[: page.limit]
    items = [{**line, "at": to_rfc3339(line["at"])} for line in shown]
    return paginate(request, items, (shown[-1]["id"],) if len(found) > page.limit else None)


@router.get(
    "/{name}/{version}",
    summary="One version and what it says",
    responses={200: {"model": VersionWithModel}},
    dependencies=READ,
)
async def get_model(request: Request, name: Name, version: Version) -> Response:
    """The version with its ETag, doubts about it, and how far leads have been switched to it."""
    return await _answer(request, await _found(request, name, version), 200)


@router.get(
    "/{name}/{version}/sentences",
    summary="One version in plain words",
    responses={200: {"model": SentencePage}},
    dependencies=READ,
)
async def explain_version(
    request: Request,
    name: Name,
    version: Version,
    lang: Annotated[Language, Query(description="en or ja.")] = "en",
) -> dict[str, Any]:
    """Every rule as a sentence."""
    row = await _found(request, name, version)
    return {"items": [one.to_json() for one in explain_model(model_from(row.body, name), lang)]}


@router.put("/{name}/{version}", summary="Edit a draft", responses={200: {"model": VersionWithModel}})
async def edit_model(
    request: Request,
    key: Writer,
    name: Name,
    version: Version,
    tree: Tree,
    match: IfMatch = None,
    note: NoteQuery = None,
) -> Response:
    """Without If-Match 428; when someone else was faster 412; once published 409."""
    row = await changes.edit(_pool(request), Change(key.name, name, version, match), tree, note)
    return await _answer(request, row, 200)


@router.delete("/{name}/{version}", status_code=204, summary="Delete a draft")
async def delete_model(request: Request, key: Writer, name: Name, version: Version, match: IfMatch = None) -> Response:
    """As an edit: only a draft, and only the one you have read."""
    await changes.remove(_pool(request), Change(key.name, name, version, match))
    return Response(status_code=204)


@router.post(
    "/{name}/{version}/publish",
    summary="Put a version in force, or roll back to an earlier one",
    responses={200: {"model": VersionWithModel}},
)
async def publish_model(
    request: Request,
    key: Writer,
    name: Name,
    version: Version,
    publication: Publication | None = None,
    match: IfMatch = None,
) -> Response:
    """All leads are folded again in the background while the earlier version serves them."""
    wanted = publication or Publication.model_validate({})
    change = Change(key.name, name, version, match)
    row = await changes.publish(_pool(request), change, wanted.release_per_minute, wanted.note)
    return await _answer(request, row, 200)


@router.post(
    "/{name}/{version}/shadow",
    summary="Score beside the version in force, without consequences",
    responses={200: {"model": VersionWithModel}},
)
async def shadow_model(
    request: Request, key: Writer, name: Name, version: Version, note: Note | None = None, match: IfMatch = None
) -> Response:
    """Its scores go to the topic `shadow-scores`."""
    row = await changes.shadow(_pool(request), Change(key.name, name, version, match), note.note if note else None)
    return await _answer(request, row, 200)


@router.post(
    "/{name}/{version}/retire",
    summary="End a draft or a shadow, or take a model out of force",
    responses={200: {"model": VersionWithModel}},
)
async def retire_model(
    request: Request, key: Writer, name: Name, version: Version, note: Note | None = None, match: IfMatch = None
) -> Response:
    """The primary model cannot be retired, only replaced."""
    primary = request.app.state.models.primary.name
    row = await changes.retire(
        _pool(request), Change(key.name, name, version, match), primary, note.note if note else None
    )
    return await _answer(request, row, 200)


def _pool(request: Request) -> asyncpg.Pool:
    return prepared(request, "pool")


async def _found(request: Request, name: str, version: int) -> VersionRow:
    async with _pool(request).acquire() as conn:
        row = await ModelRepository(conn).version(name, version)
    if row is None:
        raise ProblemError(404, "model_not_found", "There is no such version of a model with this name.")
    return row


async def _answer(request: Request, row: VersionRow, status: int) -> Response:
    async with _pool(request).acquire() as conn:
        in_force = await ModelRepository(conn).in_force()
        refolds = RefoldRepository(conn)
        job = await refolds.latest(row.name, row.version)
        waiting = await refolds.waiting() if job is not None else 0
    model = model_from(row.body, row.name)
    body = {
        **_version_out(row, in_force),
        "model": row.body,
        "doubts": [{"pointer": pointer(one.path), "detail": one.expected} for one in doubts(model)],
        "refold": progress_out(job, waiting) if job is not None else None,
    }
    headers = {"ETag": etag_of(row)}
    if status == 201:
        headers["Location"] = f"{request.url.path}/{row.name}/{row.version}"
    return Response(encode(body), status, headers, media_type="application/json")


def _version_out(row: VersionRow, in_force: dict[str, int]) -> dict[str, Any]:
    return VersionView(
        name=row.name,
        version=row.version,
        state=row.state,
        in_force=in_force.get(row.name) == row.version,
        origin=row.origin,
        note=row.note,
        changed_at=row.changed_at,
        changed_by=row.changed_by,
        published_at=row.published_at,
    ).model_dump(mode="json")
