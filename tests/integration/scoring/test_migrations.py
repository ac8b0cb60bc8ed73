"""The schema that migrations make is the one the code expects."""

import re
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from services.scoring.partitions import ensure_partitions
from services.scoring.tables import SCHEMA, metadata
from shared.clock import system_clock
from shared.migrate import upgrade
from shared.postgres import create_engine, create_pool
from shared.settings import DatabaseSettings

MIGRATIONS = Path("services/scoring/migrations")
PARTITION = re.compile(r"activity(_key)?_(\d|other)")


def differences(connection: Connection) -> list[object]:
    def ours(name: str | None, type_: str, _: object) -> bool:
        if type_ == "schema":
            return name == SCHEMA
        return not (type_ == "table" and PARTITION.match(name or ""))

    options = {"include_schemas": True, "include_name": ours, "version_table_schema": SCHEMA}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


async def test_an_empty_database_comes_to_the_schema_of_the_code(database: str) -> None:
    settings = DatabaseSettings(url=database)
    await upgrade(settings, MIGRATIONS, SCHEMA)
    await upgrade(settings, MIGRATIONS, SCHEMA)
    pool = await create_pool(settings, name="test", size=2)
    async with pool.acquire() as conn:
        await ensure_partitions(conn, system_clock())
    await pool.close()
    engine = create_engine(settings, name="test")
    async with engine.begin() as connection:
        assert await connection.run_sync(differences) == []
        await connection.execute(text("ALTER TABLE scoring.lead ADD COLUMN forgotten int"))
        assert len(await connection.run_sync(differences)) == 1
    await engine.dispose()
