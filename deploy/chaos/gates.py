"""TCP in between: every connection of a service to a server passes a gate, which can be disturbed."""

import asyncio
import contextlib
import random
import socket
import threading
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from deploy.local.ports import HOST

T = TypeVar("T")
CHUNK = 65_536


class Gate:
    """One listening port that forwards to another; what is set on it holds for old and new connections alike."""

    def __init__(self, port: int, upstream: int, dice: random.Random) -> None:
        self.port = port
        self._upstream = upstream
        self._dice = dice
        self._open = asyncio.Event()
        self._open.set()
        self._cut = False
        self._latency_s = 0.0
        self._close_after_s = 0.0
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        """Start to accept connections."""
        self._server = await asyncio.start_server(self._accept, HOST, self.port)

    def reset(self) -> None:
        """End every connection with a reset, bytes on their way or not."""
        for writer in list(self._writers):
            _reset(writer)

    def cut(self) -> None:
        """Reset everything, and every new connection too."""
        self._cut = True
        self.reset()

    def hold(self) -> None:
        """Forward nothing more, in either direction, while connections stay: the other side looks alive and is mute."""
        self._open.clear()

    def delay(self, seconds: float) -> None:
        """Let every chunk wait for up to so long."""
        self._latency_s = seconds

    def close_slowly(self, seconds: float) -> None:
        """Tell one side of the other's end only after so long."""
        self._close_after_s = seconds

    def heal(self) -> None:
        """As if nothing had been."""
        self._cut, self._latency_s, self._close_after_s = False, 0.0, 0.0
        self._open.set()

    async def close(self) -> None:
        """End everything."""
        if self._server is not None:
            self._server.close()
        self.reset()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            _reset(writer)
            return
        try:
            up_reader, up_writer = await asyncio.open_connection(HOST, self._upstream)
        except OSError:
            _reset(writer)
            return
        self._writers |= {writer, up_writer}
        try:
            await asyncio.gather(self._forward(reader, up_writer), self._forward(up_reader, writer))
        finally:
            self._writers -= {writer, up_writer}
            for one in (writer, up_writer):
                one.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK):
                if self._latency_s:
                    await asyncio.sleep(self._dice.uniform(0, self._latency_s))
                await self._open.wait()
                writer.write(chunk)
                await writer.drain()
        await asyncio.sleep(self._close_after_s)
        with contextlib.suppress(OSError, RuntimeError):
            if writer.can_write_eof():
                writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    with contextlib.suppress(OSError, AttributeError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    writer.transport.abort()


async def rest_cancelled() -> None:
    """Cancel every other task of this loop."""
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class Gates:
    """All gates, on an event loop and a thread of their own, which outlive the stack."""

    def __init__(self, upstreams: Mapping[str, tuple[int, int]], seed: int) -> None:
        """`upstreams`: link to (port of the gate, port behind it)."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gates", daemon=True)
        self._thread.start()
        self._gates = {
            link: Gate(port, upstream, random.Random(f"{seed} {link}"))  # noqa: S311 - no secret
            for link, (port, upstream) in upstreams.items()
        }
        for gate in self._gates.values():
            self._run(gate.listen())

    def disturb(self, kind: str, link: str, seconds: float, size_ms: float) -> None:
        """Begin a fault of the plan on a link."""
        gate = self._gates[link]
        actions = {
            "reset": gate.reset,
            "cut": gate.cut,
            "half_open": gate.hold,
            "latency": lambda: gate.delay(size_ms / 1000),
            "slow_close": lambda: gate.close_slowly(seconds),
        }
        self._loop.call_soon_threadsafe(actions[kind])

    def heal(self, link: str) -> None:
        """End whatever disturbs a link."""
        self._loop.call_soon_threadsafe(self._gates[link].heal)

    def close(self) -> None:
        """End all connections, the loop and the thread."""
        for gate in self._gates.values():
            self._run(gate.close())
        self._run(rest_cancelled())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)
