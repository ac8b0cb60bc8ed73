"""All SQL of retention: how far a cut has come, what is old, and taking it away; one process at a time."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg
import orjson

from services.scoring.repository import Key
from shared.activity import Activity, parse_stored
from shared.slices import Slices

_TURN = "hashtext('scoring.refold')"
"""The lock of whoever rewrites leads in the background: a refold reads them without one, and must not meet a cut."""
_JOB = "SELECT cut, after::text, leads, activities, kept, started_at, finished_at FROM scoring.retention"
AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class RetentionJob:
    """Removing what is older than `cut`. `after` is the last lead looked at; of so many `leads` so many `activities`
    were removed, and those of `kept` leads were not, as their score would have changed.
    """

    cut: datetime
    after: str
    leads: int
    activities: int
    kept: int
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class OldLead:
    """A lead with so many activities that are to go, of so many."""

    id: str
    old: int
    activities: int


@dataclass(frozen=True, slots=True)
class History:
    """A lead's stored activities, and when each was stored."""

    activities: list[Activity]
    recorded: dict[Key, datetime]


class RetentionRepository:
    """The statements of one transaction on `conn`."""

    def __init__(self, conn: asyncpg.Connection) -> None:
        self._conn = conn

    async def job(self, cut: datetime) -> RetentionJob:
        """The job of a cut, begun if there is none."""
        await self._conn.execute("INSERT INTO scoring.retention (cut) VALUES ($1) ON CONFLICT DO NOTHING", cut)
        return RetentionJob(**await self._conn.fetchrow(f"{_JOB} WHERE cut = $1", cut))

    async def latest(self) -> RetentionJob | None:
        """The job of the latest cut."""
        row = await self._conn.fetchrow(f"{_JOB} ORDER BY cut DESC LIMIT 1")
        return None if row is None else RetentionJob(**row)

    async def my_turn(self) -> bool:
        """Whether nobody else rewrites leads in the background, until the end of this transaction, nor is about to."""
        return bool(
            await self._conn.fetchval(f"SELECT pg_try_advisory_xact_lock({_TURN})")
            and not await self._conn.fetchval("SELECT EXISTS (SELECT FROM scoring.refold WHERE finished_at IS NULL)")
        )

    async def page(self, cut: datetime, after: str, limit: int) -> list[OldLead]:
        """The next leads by id, those without anything old among them."""
        rows = await self._conn.fetch(
            "SELECT l.id::text, (SELECT count(*) FROM scoring.activity a"
            " WHERE a.lead_id = l.id AND a.occurred_at < $1 AND a.recorded_at < $1),"
            " (SELECT count(*) FROM scoring.activity a WHERE a.lead_id = l.id)"
            " FROM scoring.lead l WHERE l.id > $2 AND l.merged_into IS NULL AND l.state <> '' ORDER BY l.id LIMIT $3",
            cut,
            after,
            limit,
        )
        return [OldLead(*row) for row in rows]

    async def histories(self, lead_ids: Collection[str]) -> dict[str, History]:
        """Everything stored of the leads, which must be locked."""
        rows = await self._conn.fetch(
            "SELECT lead_id::text, body, recorded_at FROM scoring.activity WHERE lead_id = ANY($1::uuid[])",
            list(lead_ids),
        )
        found: dict[str, History] = defaultdict(lambda: History([], {}))
        slices = Slices()
        for number, (lead_id, body, recorded_at) in enumerate(rows):
            if number % AT_ONCE == 0:
                await slices.give_way()
            activity = parse_stored(orjson.loads(body))
            found[lead_id].activities.append(activity)
            found[lead_id].recorded[activity.source, activity.id] = recorded_at
        return found

    async def remove(self, cut: datetime, lead_ids: Collection[str], anchors: Mapping[Key, str]) -> int:
        """Take away what is older than the cut of these locked leads; returns how many activities that were.

        Their keys stay taken, each with the anchor of the opening that stands for it.
        """
        sources, ids = [source for source, _ in anchors], [id_ for _, id_ in anchors]
        await self._conn.execute(
            "UPDATE scoring.activity_key k SET anchor = gone.anchor"
            " FROM unnest($1::text[], $2::text[], $3::uuid[]) AS gone(source, id, anchor)"
            " WHERE k.source = gone.source AND k.id = gone.id",
            sources,
            ids,
            list(anchors.values()),
        )
        await self._conn.execute(
            "DELETE FROM scoring.verdict v USING unnest($1::text[], $2::text[]) AS gone(source, id)"
            " WHERE v.source = gone.source AND v.id = gone.id",
            sources,
            ids,
        )
        told = await self._conn.execute(
            "DELETE FROM scoring.activity WHERE lead_id = ANY($2::uuid[]) AND occurred_at < $1 AND recorded_at < $1",
            cut,
            list(lead_ids),
        )
        return int(told.rpartition(" ")[2])

    async def put_states(self, states: Mapping[str, bytes]) -> None:
        """Write folded states in place. Nothing else of the leads changes, and nothing is published."""
        await self._conn.execute(
            "UPDATE scoring.lead l SET state = new.state FROM unnest($1::uuid[], $2::bytea[]) AS new(id, state)"
            " WHERE l.id = new.id",
            list(states),
            list(states.values()),
        )

    async def looked_at(self, job: RetentionJob, after: str, leads: int, activities: int, kept: int) -> None:
        """Move on."""
        await self._conn.execute(
            "UPDATE scoring.retention SET after = $2, leads = leads + $3, activities = activities + $4,"
            " kept = kept + $5 WHERE cut = $1",
            job.cut,
            after,
            leads,
            activities,
            kept,
        )

    async def finish(self, job: RetentionJob, at: datetime) -> None:
        """Every lead was looked at."""
        await self._conn.execute("UPDATE scoring.retention SET finished_at = $2 WHERE cut = $1", job.cut, at)

    async def count_old(self, cut: datetime) -> tuple[int, int]:
        """How many activities of how many leads are older than a cut. Reads all that is old."""
        row = await self._conn.fetchrow(
            "SELECT count(*), count(DISTINCT lead_id) FROM scoring.activity"
            " WHERE occurred_at < $1 AND recorded_at < $1",
            cut,
        )
        return row[0], row[1]


def keys_of(activities: Sequence[Activity]) -> set[Key]:
    """Source and id of each."""
    return {(one.source, one.id) for one in activities}
