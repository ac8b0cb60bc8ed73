"""Monthly partitions of the activity table: made ahead of time, dropped once retention has emptied them."""

from datetime import UTC, datetime

import asyncpg

MONTHS_AHEAD = 2
PATIENCE = "200ms"
"""Dropping a partition waits so long for everybody else, who wait for it meanwhile; then it gives up."""
_MONTHS = (
    "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
    " WHERE i.inhparent = 'scoring.activity'::regclass AND c.relname ~ '^activity_[0-9]{4}_[0-9]{2}$' ORDER BY 1"
)


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


async def drop_empty(conn: asyncpg.Connection, before: datetime) -> list[str]:
    """Drop the partitions of months that ended by `before` and hold nothing any more; returns their names.

    One that is in use at the moment stays for the next time.
    """
    dropped = []
    for name in [row[0] for row in await conn.fetch(_MONTHS)]:
        if name < f"activity_{before:%Y_%m}" and await _drop_if_empty(conn, name):
            dropped.append(name)
    return dropped


async def _drop_if_empty(conn: asyncpg.Connection, name: str) -> bool:
    if await conn.fetchval(f"SELECT EXISTS (SELECT FROM scoring.{name})"):  # noqa: S608 - a name of ours
        return False
    try:
        async with conn.transaction():
            await conn.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
            await conn.execute("LOCK TABLE scoring.activity IN ACCESS EXCLUSIVE MODE")
            if await conn.fetchval(f"SELECT EXISTS (SELECT FROM scoring.{name})"):  # noqa: S608
                return False
            await conn.execute(f"DROP TABLE scoring.{name}")
    except asyncpg.LockNotAvailableError:
        return False
    return True
