"""The statements of a run, kept with their arguments, to be sent again without anything that computed them."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg


@dataclass(slots=True)
class Recording:
    """Transactions in their order; each a list of (method of a connection, its arguments)."""

    transactions: list[list[tuple[str, Sequence[Any]]]] = field(default_factory=list)

    async def replay(self, conn: asyncpg.Connection) -> float:
        """Send everything again, each transaction as one; the seconds it took."""
        started = time.perf_counter()
        for statements in self.transactions:
            async with conn.transaction():
                for method, arguments in statements:
                    await getattr(conn, method)(*arguments)
        return time.perf_counter() - started


class RecordingPool:
    """Stands for a pool where only `acquire` is asked for."""

    def __init__(self, pool: asyncpg.Pool, recording: Recording) -> None:
        self._pool = pool
        self._recording = recording

    @asynccontextmanager
    async def acquire(self) -> "AsyncIterator[_RecordingConnection]":
        """A connection whose statements are noted, as one transaction."""
        statements: list[tuple[str, Sequence[Any]]] = []
        async with self._pool.acquire() as conn:
            yield _RecordingConnection(conn, statements)
        self._recording.transactions.append(statements)


class _RecordingConnection:
    def __init__(self, conn: asyncpg.Connection, statements: list[tuple[str, Sequence[Any]]]) -> None:
        self._conn = conn
        self._statements = statements

    def transaction(self) -> Any:
        return self._conn.transaction()

    async def fetch(self, *arguments: Any) -> Any:
        return await self._note("fetch", arguments)

    async def fetchrow(self, *arguments: Any) -> Any:
        return await self._note("fetchrow", arguments)

    async def fetchval(self, *arguments: Any) -> Any:
        return await self._note("fetchval", arguments)

    async def execute(self, *arguments: Any) -> Any:
        return await self._note("execute", arguments)

    async def _note(self, method: str, arguments: Sequence[Any]) -> Any:
        self._statements.append((method, arguments))
        return await getattr(self._conn, method)(*arguments)
