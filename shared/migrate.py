"""Schema migrations: each service owns one PostgreSQL schema and brings it to head when it starts."""

import asyncio
from pathlib import Path
from typing import Any

from alembic import command, context
from alembic.config import Config
from sqlalchemy import Connection, MetaData, text

from shared.postgres import create_engine
from shared.settings import DatabaseSettings

LOCK_TIMEOUT = "30s"


def alembic_config(migrations: Path, schema: str, connection: Connection) -> Config:
    """Alembic's configuration for the migrations in folder `migrations`, run on `connection`."""
    config = Config()
    config.set_main_option("script_location", str(migrations))
    config.attributes.update(connection=connection, schema=schema)
    return config


def run_env(metadata: MetaData) -> None:
    """What every service's `migrations/env.py` calls."""
    schema: str = context.config.attributes["schema"]
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=metadata,
        version_table_schema=schema,
        include_schemas=True,
        include_name=_only(schema),
    )
    with context.begin_transaction():
        context.run_migrations()


def _only(schema: str) -> Any:
    def include(name: str | None, type_: str, _parents: Any) -> bool:
        return type_ != "schema" or name == schema

    return include


def _upgrade(connection: Connection, migrations: Path, schema: str) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": f"migrate-{schema}"})
    connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
    command.upgrade(alembic_config(migrations, schema, connection), "head")


async def upgrade(database: DatabaseSettings, migrations: Path, schema: str) -> None:
    """Bring `schema` to the newest migration, in one transaction; several processes may call it at once.

    Raises what `shared.postgres.is_transient` knows when PostgreSQL is away.
    """
    engine = create_engine(database, name=f"migrate-{schema}")
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_upgrade, migrations, schema)
    finally:
        await asyncio.shield(engine.dispose())
