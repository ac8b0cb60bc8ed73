"""Connections to PostgreSQL, with the timeouts that keep a stopped process from holding up its successor."""

from datetime import UTC, datetime
from typing import Any

import asyncpg
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from shared.clock import EPOCH
from shared.errors import TransientError
from shared.settings import DatabaseSettings

WAIT_S = 10
"""For a connection of the pool."""
IDLE_IN_TRANSACTION_MS = 4_000
"""Below the consumer's session timeout, so that a stopped process loses its row locks before its partitions move."""
LOCK_TIMEOUT_MS = 10_000
UNREAD_MS = 6_000
"""How long an answer may wait for a client to take it. A backend that writes to a stopped process is not idle, and no
other timeout of PostgreSQL's ends it.
"""
SOCKET_SETTINGS = {
    "tcp_user_timeout": str(UNREAD_MS),
    # A host that is gone says no goodbye, and by default its sessions are missed after two hours.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
"""What keeps a session, and its locks, from outliving the process it belongs to."""
ENDLESS = datetime(9999, 12, 31, tzinfo=UTC)
"""What infinity is read as: a day short of the end, so that it has a local time everywhere."""

TRANSIENT: tuple[type[BaseException], ...] = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.DiskFullError,
    asyncpg.QueryCanceledError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the pool's own state machine, when a server dies under it
    OSError,  # refused and reset connections, time-outs
    TransientError,
    PoolTimeoutError,
)


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed later: the server is away, restarting, full, or chose us as a victim."""
    if isinstance(error, DBAPIError):
        cause = error.orig.__cause__ if error.orig else None
        return error.connection_invalidated or (cause is not None and is_transient(cause))
    return isinstance(error, TRANSIENT)


def finite(instant: datetime) -> datetime:
    """An instant as read from the database. asyncpg stores the last second of the calendar as infinity and the first
    one as minus infinity, and gives both back without a zone: they could be compared with nothing.
    """
    if instant.tzinfo is not None:
        return instant
    return EPOCH if instant.year == 1 else ENDLESS


def _server_settings(name: str) -> dict[str, str]:
    return {
        "application_name": f"kizashi-{name}",
        "timezone": "UTC",
        "jit": "off",
        "lock_timeout": str(LOCK_TIMEOUT_MS),
        "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_MS),
        **SOCKET_SETTINGS,
    }


async def create_pool(database: DatabaseSettings, *, name: str, size: int | None = None) -> asyncpg.Pool:
    """A pool of plain asyncpg connections for the set-wise statements of consumers and relays.

    It is made without connecting, so that a service starts while PostgreSQL is away.
    """
    return await asyncpg.create_pool(
        dsn=database.url.get_secret_value(),
        min_size=0,
        max_size=size or database.pool_size,
        timeout=5,
        command_timeout=60,
        server_settings=_server_settings(name),
    )


def sqlalchemy_url(database: DatabaseSettings) -> URL:
    """The database's address for SQLAlchemy's asyncpg dialect."""
    return make_url(database.url.get_secret_value()).set(drivername="postgresql+asyncpg")


def create_engine(database: DatabaseSettings, *, name: str) -> AsyncEngine:
    """An engine for requests and migrations; connects when first used."""
    arguments: dict[str, Any] = {"timeout": 5, "command_timeout": 60, "server_settings": _server_settings(name)}
    return create_async_engine(
        sqlalchemy_url(database),
        pool_size=database.pool_size,
        # More would count against PostgreSQL's limit without standing in any setting; who comes waits for its turn.
        max_overflow=0,
        pool_timeout=WAIT_S,
        pool_pre_ping=True,
        hide_parameters=True,  # an error's text goes to the log, what was asked for may be a name
        connect_args=arguments,
    )
