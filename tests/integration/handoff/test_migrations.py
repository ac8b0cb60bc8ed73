"""The schema that migrations make is the one the code expects; the newest step can be taken back."""

from pathlib import Path

import asyncpg
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from services.handoff.tables import SCHEMA, metadata
from shared.migrate import alembic_config, upgrade
from shared.postgres import create_engine
from shared.schema import is_migrated
from shared.settings import DatabaseSettings

MIGRATIONS = Path("services/handoff/migrations")
FIRST = "2026_11_24_first_schema"
LEAD = "00000000-0000-8000-a000-000000000001"


def differences(connection: Connection) -> list[object]:
    options = {
        "include_schemas": True,
        "include_name": lambda name, type_, _: type_ != "schema" or name == SCHEMA,
        "version_table_schema": SCHEMA,
    }
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


async def migrated(database: str) -> bool:
    conn = await asyncpg.connect(database)
    try:
        return await is_migrated(conn, MIGRATIONS, SCHEMA)
    finally:
        await conn.close()


async def test_an_empty_database_comes_to_the_schema_of_the_code(database: str) -> None:
    settings = DatabaseSettings(url=database)
    assert not await migrated(database)
    await upgrade(settings, MIGRATIONS, SCHEMA)
    assert await migrated(database)
    await upgrade(settings, MIGRATIONS, SCHEMA)
    engine = create_engine(settings, name="test")
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_one_step_down_and_up_again_keeps_what_was_handed_over(database: str) -> None:
    settings = DatabaseSettings(url=database)
    await upgrade(settings, MIGRATIONS, SCHEMA)
    engine = create_engine(settings, name="test")
    async with engine.begin() as connection:
        await connection.run_sync(lambda sync: command.downgrade(alembic_config(MIGRATIONS, SCHEMA, sync), FIRST))
    assert not await migrated(database)
    async with engine.begin() as connection:
        await connection.execute(text(f"INSERT INTO handoff.lead (id, version) VALUES ('{LEAD}', 7)"))
        await connection.execute(text(f"INSERT INTO handoff.crossing VALUES ('{LEAD}', 'hot', false, 5200, 1, now())"))
        await connection.execute(
            text(
                "INSERT INTO handoff.handoff (id, lead_id, rule, cycle, state, queue, mode, crossed_at,"
                f" handed_over_at, close_at) VALUES ('{LEAD}', '{LEAD}', 'hot', 1, 'qualified', 'desk', 'immediate',"
                " '2026-11-01Z', '2026-11-02Z', '2026-11-12Z')"
            )
        )
        await connection.execute(text(f"INSERT INTO handoff.history VALUES ('{LEAD}', 1, 'qualified', now())"))
    await upgrade(settings, MIGRATIONS, SCHEMA)
    async with engine.connect() as connection:
        memory = (await connection.execute(text("SELECT version, cycle, previous FROM handoff.crossing"))).one()
        assert tuple(memory) == (7, 1, 5_200)
        kept = (await connection.execute(text("SELECT revision, expires_at::date::text FROM handoff.handoff"))).one()
        assert tuple(kept) == (1, "2026-11-11")
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_of_the_marks_of_a_rule_the_latest_is_gone_on_from(database: str) -> None:
    settings, before = DatabaseSettings(url=database), "2026_11_28_recurring"
    await upgrade(settings, MIGRATIONS, SCHEMA)
    engine = create_engine(settings, name="test")
    async with engine.begin() as connection:
        for until, digest in (("2026-11-01Z", "b"), ("2026-11-02Z", "a"), ("2026-11-02Z", "")):
            await connection.execute(
                text(f"INSERT INTO handoff.schedule_mark VALUES ('weekly', '{until}', 'FRI', '{digest}')")
            )
        await connection.run_sync(lambda sync: command.downgrade(alembic_config(MIGRATIONS, SCHEMA, sync), before))
    await upgrade(settings, MIGRATIONS, SCHEMA)
    async with engine.connect() as connection:
        marks = await connection.execute(text("SELECT checked_until::date::text, timetable FROM handoff.schedule_mark"))
        assert [tuple(row) for row in marks] == [("2026-11-02", "")]
    await engine.dispose()
