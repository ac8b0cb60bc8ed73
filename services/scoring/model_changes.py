"""What is done to scoring models by API: drafts made and edited, versions published, shadowed, retired.

Each function is one transaction. Errors are ProblemError; what is done is written to the audit with who did it.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from services.scoring.core.loader import model_from
from services.scoring.core.model import ModelFaults
from services.scoring.model_repository import (
    DRAFT,
    FROM_API,
    PUBLISHED,
    RETIRED,
    SHADOW,
    ModelRepository,
    VersionRow,
)
from services.scoring.models import digest_of
from services.scoring.refold_repository import RefoldRepository
from shared.errors import FieldFault, ProblemError, pointer

MOST_SHADOWS = 3
"""Each shadow folds every activity once more."""


@dataclass(frozen=True, slots=True)
class Change:
    """Who changes which version; `match` is the ETag the caller last saw, None if it does not say."""

    by: str
    name: str
    version: int
    match: str | None = None


def check_model(tree: Any) -> str:
    """The name of a valid model. Raises ProblemError 422 with every fault as a JSON pointer."""
    try:
        return model_from(tree).model
    except ModelFaults as error:
        faults = [FieldFault(pointer(fault.path), fault.expected) for fault in error.faults]
        raise ProblemError(
            422, "invalid_model", f"The model has {len(faults)} fault{'s' * (len(faults) > 1)}.", faults
        ) from None


async def create(pool: asyncpg.Pool, by: str, tree: Mapping[str, Any], note: str | None) -> VersionRow:
    """A new draft, numbered after the newest version of its name."""
    name = check_model(tree)
    async with _changing(pool) as repository:
        newest = await repository.newest(name)
        version = newest.version + 1 if newest else 1
        await repository.add(name, version, digest_of(tree), tree, FROM_API, DRAFT, by, note)
        await repository.note(by, name, version, "created", {"note": note})
        return await _found(repository, name, version)


async def edit(pool: asyncpg.Pool, change: Change, tree: Mapping[str, Any], note: str | None) -> VersionRow:
    """Replace what a draft says. Raises 428 without an ETag, 412 for a stale one, 409 for what is no draft."""
    if check_model(tree) != change.name:
        fault = FieldFault("/model", f"expected {change.name}: a version keeps its model's name")
        raise ProblemError(422, "invalid_model", "The model has 1 fault.", [fault])
    async with _changing(pool) as repository:
        row = await _draft(repository, change)
        await repository.edit(row, digest_of(tree), tree, change.by, note)
        await repository.note(change.by, change.name, change.version, "edited", {"note": note})
        return await _found(repository, change.name, change.version)


async def remove(pool: asyncpg.Pool, change: Change) -> None:
    """Delete a draft, under the same conditions as an edit. Its number may be given again."""
    async with _changing(pool) as repository:
        row = await _draft(repository, change)
        await repository.remove(row)
        await repository.note(change.by, change.name, change.version, "deleted", {})


async def publish(pool: asyncpg.Pool, change: Change, release_per_minute: int | None, note: str | None) -> VersionRow:
    """Put a version in force; an earlier one is a roll-back. Publishing what is in force changes nothing."""
    async with _changing(pool) as repository:
        row = await _matching(repository, change)
        in_force = (await repository.in_force()).get(change.name)
        if in_force == change.version:
            return row
        await repository.set_state(change.name, change.version, PUBLISHED, change.by)
        await repository.retire_others(change.name, change.version, change.by)
        await repository.note_publication(change.name, change.version, change.by)
        detail = {"replaces": in_force, "release_per_minute": release_per_minute, "note": note}
        await repository.note(change.by, change.name, change.version, "published", detail)
        await RefoldRepository(repository.conn).begin(change.name, change.version, release_per_minute)
        return await _found(repository, change.name, change.version)


async def shadow(pool: asyncpg.Pool, change: Change, note: str | None) -> VersionRow:
    """Let a version score beside the one in force, without consequences."""
    async with _changing(pool) as repository:
        row = await _matching(repository, change)
        if row.state == SHADOW:
            return row
        if row.state == PUBLISHED:
            raise ProblemError(409, "model_in_force", "This version is in force; a shadow is another one.")
        if change.name not in await repository.in_force():
            raise ProblemError(409, "model_not_published", "No version of this model is in force to be compared with.")
        if len(await repository.shadows()) >= MOST_SHADOWS:
            raise ProblemError(409, "too_many_shadows", f"{MOST_SHADOWS} versions are in the shadow already.")
        await repository.set_state(change.name, change.version, SHADOW, change.by)
        await repository.note(change.by, change.name, change.version, "shadowed", {"note": note})
        await RefoldRepository(repository.conn).begin(change.name, change.version, None, shadow=True)
        return await _found(repository, change.name, change.version)


async def retire(pool: asyncpg.Pool, change: Change, primary: str, note: str | None) -> VersionRow:
    """End a draft or a shadow, or take a model out of force; the primary cannot be, only replaced."""
    async with _changing(pool) as repository:
        row = await _matching(repository, change)
        if row.state == RETIRED:
            return row
        if row.state == PUBLISHED and change.name == primary:
            raise ProblemError(409, "model_is_primary", "The primary model is always scored; publish another version.")
        await repository.set_state(change.name, change.version, RETIRED, change.by)
        await repository.note(change.by, change.name, change.version, "retired", {"was": row.state, "note": note})
        if row.state == PUBLISHED:
            await repository.note_publication(change.name, None, change.by)
        if row.state in (PUBLISHED, SHADOW):
            ended = row.state == SHADOW
            await RefoldRepository(repository.conn).begin(change.name, change.version, None, shadow=ended)
        return await _found(repository, change.name, change.version)


def etag_of(row: VersionRow) -> str:
    """Changes with every change of the version."""
    return f'"{row.name}.{row.version}.{row.revision}"'


@asynccontextmanager
async def _changing(pool: asyncpg.Pool) -> AsyncIterator[ModelRepository]:
    async with pool.acquire() as conn, conn.transaction():
        repository = ModelRepository(conn)
        await repository.lock()
        yield repository


async def _found(repository: ModelRepository, name: str, version: int) -> VersionRow:
    row = await repository.version(name, version)
    if row is None:
        raise ProblemError(404, "model_not_found", "There is no such version of a model with this name.")
    return row


async def _matching(repository: ModelRepository, change: Change) -> VersionRow:
    row = await _found(repository, change.name, change.version)
    if change.match is not None and change.match not in ("*", etag_of(row)):
        raise ProblemError(
            412, "precondition_failed", "The version was changed since; read it again and apply your change to that."
        )
    return row


async def _draft(repository: ModelRepository, change: Change) -> VersionRow:
    if change.match is None:
        raise ProblemError(428, "precondition_required", "Send If-Match with the ETag of the version you have read.")
    row = await _matching(repository, change)
    if row.state != DRAFT:
        raise ProblemError(
            409, "model_immutable", f"The version is {row.state} and never changes; post its successor instead."
        )
    return row
