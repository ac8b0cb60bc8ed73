"""A server that behaves as badly as told: it answers, fails, hangs, redirects, and lies about lengths."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from shared.codec import encode

DEADLINE_S = 60.0


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Behaviour = Callable[[asyncio.StreamWriter], Any]
"""Writes the raw answer, awaiting what it likes; the connection is closed after it."""


def answer(status: int, body: bytes = b"", *headers: tuple[str, str], length: int | None = None) -> Behaviour:
    """A whole answer; `length` is what it claims to be long."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} Any", f"Content-Length: {len(body) if length is None else length}"]
        lines += [f"{name}: {value}" for name, value in headers]
        writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode() + body)
        await writer.drain()

    return behave


def json(value: Any) -> Behaviour:
    """200 with a JSON document."""
    return answer(200, encode(value), ("Content-Type", "application/json"))


async def hang(writer: asyncio.StreamWriter) -> None:
    """Never a byte."""
    await asyncio.Event().wait()


async def close(writer: asyncio.StreamWriter) -> None:
    """The connection is closed without an answer."""


async def reset(writer: asyncio.StreamWriter) -> None:
    """The connection is reset without an answer."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    writer.transport.abort()


def cut_off(head: bytes) -> Behaviour:
    """The beginning of an answer, then a reset."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        await writer.drain()
        await reset(writer)

    return behave


def then_hang(head: bytes) -> Behaviour:
    """The beginning of an answer, and never its rest."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        await writer.drain()
        await hang(writer)

    return behave


def endless(head: bytes, piece: bytes) -> Behaviour:
    """`head`, then `piece` again and again for as long as anyone reads."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()

    return behave


@dataclass
class StandIn:
    """What it is to do next, in order, the last for ever; and what it was asked."""

    port: int = 0
    plan: list[Behaviour] = field(default_factory=list)
    by_path: dict[str, list[Behaviour]] = field(default_factory=dict)
    """A plan of its own for requests whose path begins so."""
    asked: list[Asked] = field(default_factory=list)
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    async def was_asked(self) -> None:
        """Wait for the first request."""
        async with asyncio.timeout(DEADLINE_S):
            await self._came.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, _ = head[0].split(" ", 2)
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.asked.append(Asked(method, path, headers, body))
            self._came.set()
            plan = next((plan for start, plan in self.by_path.items() if path.startswith(start)), self.plan)
            await (plan.pop(0) if len(plan) > 1 else plan[0])(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


@asynccontextmanager
async def standing_in(*plan: Behaviour) -> AsyncIterator[StandIn]:
    """The server while the body runs."""
    stand_in = StandIn(plan=list(plan))
    connections: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(stand_in.serve(reader, writer))
        connections.add(task)
        task.add_done_callback(connections.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    stand_in.port = server.sockets[0].getsockname()[1]
    try:
        yield stand_in
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await server.wait_closed()
