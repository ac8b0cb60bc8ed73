"""Whether a service's PostgreSQL schema is at its newest migration, asked without the library that migrates."""

import re
from pathlib import Path

import asyncpg

from shared.errors import ConfigError

_REVISION = re.compile(r'^(down_)?revision = "([^"]+)"', re.MULTILINE)


def newest_migration(migrations: Path) -> str:
    """The revision in folder `migrations` that no other builds on.

    Raises ConfigError where there is not exactly one.
    """
    revisions, built_on = set[str](), set[str]()
    for file in (migrations / "versions").glob("*.py"):
        for down, revision in _REVISION.findall(file.read_text(encoding="utf-8")):
            (built_on if down else revisions).add(revision)
    newest = revisions - built_on
    if len(newest) != 1:
        raise ConfigError(str(migrations), f"one newest migration, found {sorted(newest)}")
    return newest.pop()


async def is_migrated(conn: asyncpg.Connection, migrations: Path, schema: str) -> bool:
    """Whether `schema` stands at the newest migration of folder `migrations`."""
    table = f"{schema}.alembic_version"
    if await conn.fetchval("SELECT to_regclass($1)", table) is None:
        return False
    found = await conn.fetch(f"SELECT version_num FROM {table}")  # noqa: S608 - the service's own schema
    return [row["version_num"] for row in found] == [newest_migration(migrations)]
