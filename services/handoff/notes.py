"""All SQL of what is noted once: the first start, versions of `handoff.yaml`, how much members have taken."""

from collections.abc import Collection, Mapping
from datetime import date, datetime

import asyncpg

from services.handoff.core.assigning import Workload


class Notes:
    """The statements of one transaction on `conn`."""

    def __init__(self, conn: asyncpg.Connection) -> None:
        self._conn = conn

    async def install(self, now: datetime) -> datetime:
        """The instant of this handoff's very first start; noted when it is now."""
        await self._conn.execute("INSERT INTO handoff.installation VALUES (1, $1) ON CONFLICT DO NOTHING", now)
        noted: datetime = await self._conn.fetchval("SELECT installed_at FROM handoff.installation")
        return noted

    async def note_file(self, digest: str, now: datetime) -> int:
        """The version under which a `handoff.yaml` is on record: the last one if nothing changed, else a new one."""
        async with self._conn.transaction():
            # Processes that start together must come to one number.
            await self._conn.execute("LOCK TABLE handoff.rules_version IN SHARE ROW EXCLUSIVE MODE")
            last = await self._conn.fetchrow(
                "SELECT version, digest FROM handoff.rules_version ORDER BY version DESC LIMIT 1"
            )
            if last is not None and last[1] == digest:
                return int(last[0])
            version = 1 if last is None else int(last[0]) + 1
            await self._conn.execute("INSERT INTO handoff.rules_version VALUES ($1, $2, $3)", version, digest, now)
        return version

    async def note_ends(self, topic: str, ends: Mapping[int, int]) -> None:
        """Note where partitions ended when they were first read; what was noted stays."""
        await self._conn.execute(
            "INSERT INTO handoff.first_start SELECT $1::text, * FROM unnest($2::int[], $3::bigint[])"
            " ON CONFLICT DO NOTHING",
            topic,
            list(ends),
            list(ends.values()),
        )

    async def ends(self, topic: str) -> dict[int, int]:
        """Where the partitions of `topic` ended when they were first read."""
        rows = await self._conn.fetch("SELECT partition, end_offset FROM handoff.first_start WHERE topic = $1", topic)
        return {row[0]: row[1] for row in rows}

    async def lock_workload(self, days: Collection[tuple[str, date]]) -> Workload:
        """What members of these queues have taken on these days. Two that choose for one queue wait for each other."""
        workload = Workload()
        for queue, day in sorted(days):
            await self._conn.execute("SELECT pg_advisory_xact_lock(hashtext($1))", f"handoff-workload-{queue}")
            rows = await self._conn.fetch(
                "SELECT member, taken FROM handoff.workload WHERE queue = $1 AND day = $2", queue, day
            )
            workload.taken[queue, day] = {row[0]: row[1] for row in rows}
        return workload

    async def put_workload(self, workload: Workload) -> None:
        """Write what was added."""
        rows = [(*key, workload.taken[key[:2]][key[2]]) for key in sorted(workload.changed)]
        await self._conn.executemany(
            "INSERT INTO handoff.workload VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (queue, day, member) DO UPDATE SET taken = excluded.taken",
            rows,
        )
