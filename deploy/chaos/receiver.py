"""Where a campaign's qualified leads are delivered to: a receiver of webhooks that at times fails, hangs and resets."""

import asyncio
import random
import socket
import threading
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from deploy.chaos.gates import rest_cancelled
from deploy.local.ports import HOST
from shared.errors import KizashiError

SECRET = "whsec_" + "a2l6YXNoaS1jaGFvcy1yZWNlaXZlci1zZWNyZXQtMDE="
BAD_ONE_IN = 8
MOST_FAILURES = 2
"""Of one delivery: the waits of the schedule grow fast."""
HANG_S = 30.0
MAX_HEAD, MAX_BODY = 65_536, 1_048_576
OK = b"HTTP/1.1 204 No Content\r\n\r\n"
CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly the beg"


def _webhook() -> Any:
    """The standard's own library: signatures are not checked by what made them. Raises KizashiError without it."""
    try:
        from standardwebhooks.webhooks import Webhook  # noqa: PLC0415 - of the development packages
    except ImportError:
        raise KizashiError("a campaign needs the development packages: run `make dev`, or `make chaos`") from None
    return Webhook(SECRET)


@dataclass(slots=True)
class Deliveries:
    """What a receiver saw. `ids`: by event, every id it came under; `events`: by id, every event that came under it;
    `answered` events it said yes to; `bodies` the data of each event; `forged` requests whose signature is wrong.
    """

    ids: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    events: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    answered: set[str] = field(default_factory=set)
    bodies: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    attempts: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    forged: int = 0


def name_of(data: dict[str, Any]) -> str:
    """What a crossing is called: its lead, rule and cycle."""
    return f"{data['lead']['id']} {data['rule']} {data['cycle']}"


class Receiver:
    """An HTTP server on an event loop and a thread of its own. What it does to a request is drawn from its seed."""

    def __init__(self, port: int, seed: int) -> None:
        self.port = port
        self.seen = Deliveries()
        self._dice = random.Random(f"{seed} receiver")  # noqa: S311 - no secret
        self._webhook = _webhook()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="receiver", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    @property
    def url(self) -> str:
        """Where it takes webhooks."""
        return f"http://{HOST}:{self.port}/"

    def close(self) -> None:
        """End all connections, the loop and the thread."""
        self._server.close()
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    @staticmethod
    async def _end() -> None:
        await rest_cancelled()
        await asyncio.sleep(0)  # what was aborted is closed in the loop's next turn

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, HOST, self.port, limit=MAX_HEAD)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._request(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the sender has gone, or was killed
        except asyncio.CancelledError:
            pass  # the campaign is over; asyncio would print a stack for each request that hangs
        finally:
            writer.transport.abort()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; returns whether another may follow on this connection."""
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[1:]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(min(int(headers.get("content-length", "0")), MAX_BODY))
        event = self._note(headers, body)
        trouble = self._trouble(headers.get("webhook-id", ""))
        if trouble is not None:
            await trouble(writer)
            return False
        if event is not None:
            self.seen.answered.add(event)
        writer.write(OK)
        await writer.drain()
        return True

    def _note(self, headers: dict[str, str], body: bytes) -> str | None:
        id_ = headers.get("webhook-id", "")
        # Not its age: clocks are wrong here on purpose.
        at = datetime.fromtimestamp(int(headers.get("webhook-timestamp", "0")), UTC)
        if self._webhook.sign(id_, at, body.decode()) not in headers.get("webhook-signature", "").split():
            self.seen.forged += 1
            return None
        data = orjson.loads(body)["data"]
        event = name_of(data)
        self.seen.ids[event].add(id_)
        self.seen.events[id_].add(event)
        self.seen.attempts[event] += 1
        if data not in self.seen.bodies[event]:
            self.seen.bodies[event].append(data)
        return event

    def _trouble(self, id_: str) -> Callable[[asyncio.StreamWriter], Awaitable[None]] | None:
        if self.seen.failures[id_] >= MOST_FAILURES or self._dice.randrange(BAD_ONE_IN):
            return None
        self.seen.failures[id_] += 1
        return self._dice.choice(TROUBLES)


async def _refuse(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    await writer.drain()


async def _hang(_: asyncio.StreamWriter) -> None:
    await asyncio.sleep(HANG_S)


async def _reset(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    writer.transport.abort()


async def _cut(writer: asyncio.StreamWriter) -> None:
    writer.write(CUT)
    await writer.drain()
    await _reset(writer)


TROUBLES: Sequence[Callable[[asyncio.StreamWriter], Awaitable[None]]] = (_refuse, _hang, _reset, _cut)
"""In all of them the receiver has read the request: it may have taken the lead, whatever the sender learns."""
