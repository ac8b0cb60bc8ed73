"""A database knows the secret that its lead ids were made with, and is worked with under no other."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from services.scoring.tables import SCHEMA
from shared.known_secret import ForeignSecretError, check_secret, learn_secret
from shared.migrate import upgrade
from shared.settings import DatabaseSettings

MIGRATIONS = Path("services/scoring/migrations")
MINE, OTHER = b"mine", b"other"


@pytest.fixture
async def conn(database: str) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(database)
    yield opened
    await opened.close()


async def test_an_empty_database_takes_any_secret_and_from_then_on_that_one(
    conn: asyncpg.Connection, database: str
) -> None:
    for secret in (None, MINE, OTHER):
        await check_secret(conn, SCHEMA, secret)
    await upgrade(DatabaseSettings(url=database), MIGRATIONS, SCHEMA)
    for secret in (None, MINE, OTHER):
        await check_secret(conn, SCHEMA, secret)
    for _ in range(2):
        await learn_secret(conn, SCHEMA, MINE)
    await check_secret(conn, SCHEMA, MINE)
    with pytest.raises(ForeignSecretError, match=r"is not the one .* put it back"):
        await check_secret(conn, SCHEMA, OTHER)
    with pytest.raises(ForeignSecretError, match="is not the one"):
        await learn_secret(conn, SCHEMA, OTHER)
    with pytest.raises(ForeignSecretError, match="there is no identity secret"):
        await check_secret(conn, SCHEMA, None)
    stored = await conn.fetchval("SELECT string_agg(t::text, '') FROM scoring.identity_secret t")
    assert "mine" not in stored
    assert MINE.hex() not in stored


async def test_a_database_from_before_there_was_a_digest_learns_it(conn: asyncpg.Connection, database: str) -> None:
    await conn.execute("CREATE SCHEMA scoring; CREATE TABLE scoring.lead (id uuid)")
    await check_secret(conn, SCHEMA, None)
    await conn.execute("INSERT INTO scoring.lead VALUES (gen_random_uuid())")
    await check_secret(conn, SCHEMA, MINE)
    with pytest.raises(ForeignSecretError, match="there is no identity secret"):
        await check_secret(conn, SCHEMA, None)
    await conn.execute("DROP SCHEMA scoring CASCADE")
    await upgrade(DatabaseSettings(url=database), MIGRATIONS, SCHEMA)
    await conn.execute("INSERT INTO scoring.lead (id, state) VALUES (gen_random_uuid(), '')")
    await learn_secret(conn, SCHEMA, MINE)
    await check_secret(conn, SCHEMA, MINE)
