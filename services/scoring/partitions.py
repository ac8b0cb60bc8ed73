"""Monthly partitions of the activity table, made ahead of time."""

from datetime import UTC, datetime

import asyncpg

MONTHS_AHEAD = 2


def month_start(instant: datetime, ahead: int = 0) -> datetime:
    """The first instant of the UTC month of `instant`, or of one `ahead` months later."""
    months = instant.astimezone(UTC).year * 12 + instant.astimezone(UTC).month - 1 + ahead
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)


async def ensure_partitions(conn: asyncpg.Connection, now: datetime) -> None:
    """Make the partitions of this month and the next two; rows of any other month go to the default partition.

    Several processes may call it at once.
    """
    async with conn.transaction():
        await conn.execute("SELECT pg_advisory_xact_lock(hashtext('scoring.activity'))")
        for ahead in range(MONTHS_AHEAD + 1):
            begin, end = month_start(now, ahead), month_start(now, ahead + 1)
            await conn.execute(
                f"CREATE TABLE IF NOT EXISTS scoring.activity_{begin:%Y_%m} PARTITION OF scoring.activity"
                f" FOR VALUES FROM ('{begin:%Y-%m-%d}+00') TO ('{end:%Y-%m-%d}+00')"
            )
