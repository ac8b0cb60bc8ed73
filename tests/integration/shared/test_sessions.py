"""Sessions on a real PostgreSQL: what they may hold, and for how long."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from shared import postgres
from shared.postgres import create_engine, is_transient
from shared.settings import DatabaseSettings

# Holds a lock, and is sent more than fits into any buffer.
READER = """
import asyncio, sys
from shared.postgres import create_pool
from shared.settings import DatabaseSettings

async def main():
    pool = await create_pool(DatabaseSettings(url=sys.argv[1]), name="reader")
    async with pool.acquire() as conn, conn.transaction():
        await conn.execute("SELECT pg_advisory_xact_lock(4711)")
        print("locked", flush=True)
        async for _ in conn.cursor("SELECT repeat('x', 1000000) FROM generate_series(1, 2000)", prefetch=500):
            pass

asyncio.run(main())
"""


def settings(database: str, **more: int) -> DatabaseSettings:
    return DatabaseSettings(url=SecretStr(database), **more)


@pytest.fixture
def reader(database: str) -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", READER, database], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        yield process.pid
    finally:
        process.kill()
        process.communicate()


async def test_a_stopped_process_that_is_being_answered_loses_its_locks(database: str, reader: int) -> None:
    await asyncio.sleep(0.3)
    os.kill(reader, signal.SIGSTOP)
    conn = await asyncpg.connect(database)
    began = time.monotonic()
    while not await conn.fetchval("SELECT pg_try_advisory_lock(4711)"):
        waits = await conn.fetch("SELECT wait_event FROM pg_stat_activity WHERE application_name = 'kizashi-reader'")
        assert time.monotonic() - began < 60, waits
        await asyncio.sleep(0.2)
    await conn.close()


async def test_a_process_holds_no_more_sessions_than_its_setting_says(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "WAIT_S", 0.1)
    engine = create_engine(settings(database, pool_size=2), name="few")
    async with engine.connect() as one, engine.connect() as two:
        for conn in (one, two):
            await conn.execute(text("SELECT 1"))
        with pytest.raises(Exception, match="limit of size 2 overflow 0") as refused:
            await engine.connect()
        assert is_transient(refused.value)
    async with engine.connect() as conn:
        assert (await conn.execute(text("SELECT 1"))).scalar() == 1
    await engine.dispose()
