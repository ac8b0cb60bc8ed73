"""Which identity secret a database's lead ids were made with: a keyed digest of it stands in the database.

With another secret every lead would get a second id, and nothing would tell. The digest goes where the leads go, into
dumps and back, and says nothing about the secret that the ids do not say too.
"""

import hmac

import asyncpg
from sqlalchemy import Boolean, CheckConstraint, Column, DateTime, LargeBinary, MetaData, Table, func, text

from shared.errors import KizashiError
from shared.settings import PREFIX

GUIDE = "docs/backup.md"
TABLE = "identity_secret"
_WORD = b"kizashi identity secret"


class ForeignSecretError(KizashiError):
    """The lead ids of the database were made with another identity secret, or one that is missing here."""


def secret_table(metadata: MetaData) -> Table:
    """The table of the digest, for a service's migrations; it holds one row at most."""
    return Table(
        TABLE,
        metadata,
        Column("one", Boolean, primary_key=True, server_default=text("true")),
        Column("digest", LargeBinary, nullable=False),
        Column("noted_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        CheckConstraint("one"),
    )


async def learn_secret(conn: asyncpg.Connection, schema: str, secret: bytes) -> None:
    """Note the secret where none is known, as in a new database or one from before there was a digest.

    Raises ForeignSecretError where another one is known. Several processes may call it at once.
    """
    await conn.execute(
        f"INSERT INTO {schema}.{TABLE} (digest) VALUES ($1) ON CONFLICT DO NOTHING",  # noqa: S608 - names of ours
        _digest(secret),
    )
    await check_secret(conn, schema, secret)


async def check_secret(conn: asyncpg.Connection, schema: str, secret: bytes | None) -> None:
    """Raises ForeignSecretError where the database knows another secret; without one (None) already where it knows any,
    or holds leads.
    """
    known = await _known(conn, schema)
    if secret is None:
        if known is not None or await _holds_leads(conn, schema):
            raise ForeignSecretError(
                f"there is no identity secret, and the lead ids of the database were made with one: {_cure()}"
            )
    elif known is not None and not hmac.compare_digest(known, _digest(secret)):
        raise ForeignSecretError(
            f"{PREFIX}IDENTITY_SECRET is not the one with which the lead ids of the database were made: {_cure()}"
        )


def _digest(secret: bytes) -> bytes:
    return hmac.digest(secret, _WORD, "sha256")


def _cure() -> str:
    return (
        "put it back, in the variable or as secrets/identity_secret in the data folder, of which every"
        f" `kizashi backup` holds a copy ({GUIDE}). With another one every lead would get a second id;"
        " to begin from nothing, take an empty database and an empty Kafka."
    )


async def _known(conn: asyncpg.Connection, schema: str) -> bytes | None:
    if not await _is_there(conn, f"{schema}.{TABLE}"):
        return None
    found: bytes | None = await conn.fetchval(f"SELECT digest FROM {schema}.{TABLE}")  # noqa: S608 - names of ours
    return found


async def _holds_leads(conn: asyncpg.Connection, schema: str) -> bool:
    there = await _is_there(conn, f"{schema}.lead")
    return there and bool(await conn.fetchval(f"SELECT EXISTS (SELECT FROM {schema}.lead)"))  # noqa: S608


async def _is_there(conn: asyncpg.Connection, table: str) -> bool:
    return bool(await conn.fetchval("SELECT to_regclass($1) IS NOT NULL", table))
