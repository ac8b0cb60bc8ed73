"""All SQL of the background refold: one job at a time, shared by all processes, that goes on where it was."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import asyncpg

from services.scoring.lead_row import SELECT_ROWS, LeadRow

SILENT_LIMIT_MS = 60_000
"""Longer than the longest lead takes to be folded, while the session waits."""
_CLAIM = (
    "SELECT pg_try_advisory_lock(hashtext('scoring.refold'))"
    " FROM (SELECT set_config('idle_session_timeout', $1, false)) AS limited"
)
_JOB = (
    "SELECT id, name, version, release_per_minute, after::text, leads, done, switched, released, released_at,"
    " started_at, folded_at, finished_at FROM scoring.refold"
)


@dataclass(frozen=True, slots=True)
class RefoldJob:
    """Folding all leads again after a model changed. `after` is the last lead looked at; `done` of `leads` are looked
    at, `switched` of them were folded again, `released` at the chosen rate. `folded_at` is when only releases are left.
    """

    id: int
    name: str
    version: int | None
    release_per_minute: int | None
    after: str
    leads: int | None
    done: int
    switched: int
    released: int
    released_at: datetime | None
    started_at: datetime
    folded_at: datetime | None
    finished_at: datetime | None


class RefoldRepository:
    """The statements of one transaction on `conn`."""

    def __init__(self, conn: asyncpg.Connection) -> None:
        self._conn = conn

    async def begin(self, name: str, version: int, release_per_minute: int | None, *, shadow: bool = False) -> None:
        """Ask for a refold, which takes over what an earlier one has not done yet.

        Another model, or a shadow, says nothing about releases that are under way: they keep their rate.
        """
        if release_per_minute is None:
            release_per_minute = await self._conn.fetchval(
                "SELECT r.release_per_minute FROM (SELECT name, release_per_minute FROM scoring.refold"
                " WHERE finished_at IS NULL ORDER BY id DESC LIMIT 1) AS r WHERE r.name <> $1 OR $2",
                name,
                shadow,
            )
        await self._conn.execute("DELETE FROM scoring.release")
        await self._conn.execute(
            "INSERT INTO scoring.refold (name, version, release_per_minute) VALUES ($1, $2, $3)",
            name,
            version,
            release_per_minute,
        )

    async def unfinished(self) -> bool:
        """Whether some leads may still be folded by earlier versions."""
        found: bool = await self._conn.fetchval("SELECT EXISTS (SELECT FROM scoring.refold WHERE finished_at IS NULL)")
        return found

    async def claim(self) -> RefoldJob | None:
        """The job in hand, for this session alone until it goes back to its pool, which releases its locks; None if
        there is none or another process works on it. A session that is silent for long ends: its process was stopped.
        """
        # Its pool takes the setting back together with the lock.
        if not await self._conn.fetchval(_CLAIM, str(SILENT_LIMIT_MS)):
            return None
        row = await self._conn.fetchrow(f"{_JOB} WHERE finished_at IS NULL ORDER BY id DESC LIMIT 1")
        return None if row is None else RefoldJob(**row)

    async def latest(self, name: str, version: int) -> RefoldJob | None:
        """The latest refold that a version caused."""
        row = await self._conn.fetchrow(
            f"{_JOB} WHERE name = $1 AND version = $2 ORDER BY id DESC LIMIT 1", name, version
        )
        return None if row is None else RefoldJob(**row)

    async def count(self, job: RefoldJob) -> None:
        """Note how many leads there are to look at."""
        await self._conn.execute(
            "UPDATE scoring.refold SET leads ="
            " (SELECT count(*) FROM scoring.lead WHERE merged_into IS NULL AND state <> '') WHERE id = $1",
            job.id,
        )

    async def next_leads(self, after: str, limit: int) -> list[LeadRow]:
        """The next leads to look at, not locked."""
        # A bare `id` would be the text in the answer: sorted by it, all leads are read for every chunk.
        rows = await self._conn.fetch(
            SELECT_ROWS + " WHERE id > $1 AND merged_into IS NULL AND state <> '' ORDER BY lead.id LIMIT $2",
            after,
            limit,
        )
        return [LeadRow(*row) for row in rows]

    async def lock_versions(self, ids: Collection[str]) -> dict[str, tuple[int, int]]:
        """Lock leads; returns epoch and version of those that are still there and were not merged away."""
        rows = await self._conn.fetch(
            "SELECT id::text, epoch, version, merged_into FROM scoring.lead WHERE id = ANY($1::uuid[])"
            " ORDER BY id FOR UPDATE",
            sorted(ids),
        )
        return {row[0]: (row[1], row[2]) for row in rows if row[3] is None}

    async def looked_at(self, job: RefoldJob, after: str, leads: int, switched: int) -> RefoldJob:
        """Move on. Returns the job as it stands then."""
        await self._conn.execute(
            "UPDATE scoring.refold SET after = $2, done = done + $3, switched = switched + $4 WHERE id = $1",
            job.id,
            after,
            leads,
            switched,
        )
        return replace(job, after=after, done=job.done + leads, switched=job.switched + switched)

    async def hold_back(self, scores: Mapping[str, float]) -> None:
        """Leads that wait for their release, by score."""
        await self._conn.execute(
            "INSERT INTO scoring.release (lead_id, score) SELECT * FROM unnest($1::uuid[], $2::float8[])"
            " ON CONFLICT (lead_id) DO UPDATE SET score = excluded.score",
            list(scores),
            list(scores.values()),
        )

    async def next_released(self, limit: int) -> list[str]:
        """The best of those that wait."""
        rows = await self._conn.fetch(
            "SELECT lead_id::text FROM scoring.release ORDER BY score DESC, release.lead_id LIMIT $1", limit
        )
        return [row[0] for row in rows]

    async def waiting(self) -> int:
        """How many wait for their release."""
        found: int = await self._conn.fetchval("SELECT count(*) FROM scoring.release")
        return found

    async def released(self, job: RefoldJob, ids: Collection[str], switched: int, at: datetime) -> None:
        """These wait no longer."""
        await self._conn.execute("DELETE FROM scoring.release WHERE lead_id = ANY($1::uuid[])", list(ids))
        await self._conn.execute(
            "UPDATE scoring.refold SET released = released + $2, switched = switched + $2, released_at = $3"
            " WHERE id = $1",
            job.id,
            switched,
            at,
        )

    async def folded(self, job: RefoldJob, at: datetime) -> None:
        """All leads were looked at."""
        await self._conn.execute("UPDATE scoring.refold SET folded_at = $2 WHERE id = $1", job.id, at)

    async def finish(self, job: RefoldJob, at: datetime) -> None:
        """Nothing is left of this job and of those it replaced."""
        await self._conn.execute(
            "UPDATE scoring.refold SET finished_at = $2 WHERE id <= $1 AND finished_at IS NULL", job.id, at
        )


def progress_out(job: RefoldJob, waiting: int) -> dict[str, Any]:
    """A job as the API shows it."""
    return {
        "leads": job.leads,
        "done": job.done,
        "switched": job.switched,
        "release_per_minute": job.release_per_minute,
        "released": job.released,
        "waiting": waiting if job.finished_at is None else 0,
        "started_at": job.started_at,
        "folded_at": job.folded_at,
        "finished_at": job.finished_at,
    }
