"""All SQL about scoring models: versions, what is in force since when, who changed what.

Every change is written under one lock and with one line of audit, whose number is the generation that scoring
transactions compare with what they have loaded.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import orjson

FROM_FILE, FROM_API = "file", "api"
DRAFT, SHADOW, PUBLISHED, RETIRED = "draft", "shadow", "published", "retired"
EARLIER = 10
"""So many versions per model are known while leads may still be folded by them."""
_LOCK = "hashtext('scoring.model_version')"
_VERSION = (
    "SELECT v.name, v.version, v.digest, v.body, v.origin, v.changed_at, v.state, v.revision, v.note, v.changed_by,"
    " (SELECT max(p.published_at) FROM scoring.model_publication p WHERE p.name = v.name AND p.version = v.version)"
    " AS published_at FROM scoring.model_version v"
)


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version of a model as stored; `body` is the model as plain data."""

    name: str
    version: int
    digest: str
    body: Mapping[str, Any]
    origin: str
    changed_at: datetime
    state: str
    revision: int
    note: str | None
    changed_by: str
    published_at: datetime | None


class ModelRepository:
    """The statements of one transaction on `conn`."""

    def __init__(self, conn: asyncpg.Connection) -> None:
        self.conn = conn

    async def lock(self) -> None:
        """Wait until no transaction scores any more; none begins to until this one has ended."""
        await self.conn.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")

    async def share(self) -> int:
        """Keep the models from changing until this transaction ends; returns their generation."""
        await self.conn.execute(f"SELECT pg_advisory_xact_lock_shared({_LOCK})")
        return await self.generation()

    async def generation(self) -> int:
        """Rises with every change of any model."""
        found: int = await self.conn.fetchval("SELECT coalesce(max(id), 0) FROM scoring.model_audit")
        return found

    async def in_force(self) -> dict[str, int]:
        """The published version of every model that has one, by name."""
        rows = await self.conn.fetch(
            "SELECT DISTINCT ON (name) name, version FROM scoring.model_publication ORDER BY name, id DESC"
        )
        return {row[0]: row[1] for row in rows if row[1] is not None}

    async def last_publication_at(self) -> datetime:
        """When a version of any model was published, or a model withdrawn, last."""
        found: datetime = await self.conn.fetchval("SELECT max(published_at) FROM scoring.model_publication")
        return found

    async def names_from_files(self) -> set[str]:
        """Models that some file has ever defined."""
        rows = await self.conn.fetch("SELECT DISTINCT name FROM scoring.model_version WHERE origin = $1", FROM_FILE)
        return {row[0] for row in rows}

    async def recent(self, name: str) -> list[int]:
        """The versions of a model that were in force lately, the latest first."""
        rows = await self.conn.fetch(
            "SELECT version FROM scoring.model_publication WHERE name = $1 AND version IS NOT NULL"
            " GROUP BY version ORDER BY max(id) DESC LIMIT $2",
            name,
            EARLIER,
        )
        return [row[0] for row in rows]

    async def shadows(self) -> list[tuple[str, int]]:
        """Every version in the shadow."""
        rows = await self.conn.fetch(
            "SELECT name, version FROM scoring.model_version WHERE state = $1 ORDER BY name, version", SHADOW
        )
        return [(row[0], row[1]) for row in rows]

    async def version(self, name: str, version: int, *, lock: bool = False) -> VersionRow | None:
        """One version, None if there is none."""
        row = await self.conn.fetchrow(
            f"{_VERSION} WHERE name = $1 AND version = $2{' FOR UPDATE' if lock else ''}", name, version
        )
        return None if row is None else _row(row)

    async def newest(self, name: str, origin: str | None = None) -> VersionRow | None:
        """The newest version of a model, or the newest that came from `origin`."""
        row = await self.conn.fetchrow(
            f"{_VERSION} WHERE name = $1 AND ($2::text IS NULL OR origin = $2) ORDER BY version DESC LIMIT 1",
            name,
            origin,
        )
        return None if row is None else _row(row)

    async def versions(self, after: Sequence[Any] | None, limit: int) -> list[VersionRow]:
        """A page of all versions by name and number, one more than `limit` if there are more."""
        name, version = after or ("", 0)
        rows = await self.conn.fetch(
            f"{_VERSION} WHERE (v.name, v.version) > ($1::text, $2::int) ORDER BY v.name, v.version LIMIT $3",
            name,
            version,
            limit + 1,
        )
        return [_row(row) for row in rows]

    async def add(
        self, name: str, version: int, digest: str, body: Mapping[str, Any], origin: str, state: str, by: str,
        note: str | None = None,
    ) -> None:  # fmt: skip
        """A new version."""
        await self.conn.execute(
            "INSERT INTO scoring.model_version (name, version, digest, body, origin, state, changed_by, note)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            name,
            version,
            digest,
            json.dumps(body),
            origin,
            state,
            by,
            note,
        )

    async def edit(self, row: VersionRow, digest: str, body: Mapping[str, Any], by: str, note: str | None) -> None:
        """Replace what a draft says."""
        await self.conn.execute(
            "UPDATE scoring.model_version SET digest = $3, body = $4, changed_by = $5, note = $6, changed_at = now(),"
            " revision = revision + 1 WHERE name = $1 AND version = $2",
            row.name,
            row.version,
            digest,
            json.dumps(body),
            by,
            note,
        )

    async def remove(self, row: VersionRow) -> None:
        """Delete a draft."""
        await self.conn.execute(
            "DELETE FROM scoring.model_version WHERE name = $1 AND version = $2", row.name, row.version
        )

    async def set_state(self, name: str, version: int, state: str, by: str) -> None:
        """Move a version to another state."""
        await self.conn.execute(
            "UPDATE scoring.model_version SET state = $3, changed_by = $4, changed_at = now(), revision = revision + 1"
            " WHERE name = $1 AND version = $2",
            name,
            version,
            state,
            by,
        )

    async def retire_others(self, name: str, version: int | None, by: str) -> None:
        """Retire every published version of a model but one."""
        await self.conn.execute(
            "UPDATE scoring.model_version SET state = $3, changed_by = $4, changed_at = now(), revision = revision + 1"
            " WHERE name = $1 AND state = $5 AND version IS DISTINCT FROM $2",
            name,
            version,
            RETIRED,
            by,
            PUBLISHED,
        )

    async def note_publication(self, name: str, version: int | None, by: str) -> None:
        """From now on this version is in force; None: none of this model is."""
        await self.conn.execute(
            "INSERT INTO scoring.model_publication (name, version, published_by) VALUES ($1, $2, $3)", name, version, by
        )

    async def note(self, by: str, name: str, version: int | None, action: str, detail: Mapping[str, Any]) -> None:
        """A line of audit, which makes every process load the models again."""
        await self.conn.execute(
            "INSERT INTO scoring.model_audit (by, name, version, action, detail) VALUES ($1, $2, $3, $4, $5)",
            by,
            name,
            version,
            action,
            orjson.dumps(detail).decode(),
        )

    async def audit(self, name: str, after: int | None, limit: int) -> list[dict[str, Any]]:
        """A page of who changed what, the latest first, one more than `limit` if there are more."""
        rows = await self.conn.fetch(
            "SELECT id, at, by, name, version, action, detail FROM scoring.model_audit"
            " WHERE name = $1 AND ($2::bigint IS NULL OR id < $2) ORDER BY id DESC LIMIT $3",
            name,
            after,
            limit + 1,
        )
        return [{**row, "detail": orjson.loads(row["detail"])} for row in rows]


def _row(row: Any) -> VersionRow:
    return VersionRow(**{**row, "body": orjson.loads(row["body"])})
