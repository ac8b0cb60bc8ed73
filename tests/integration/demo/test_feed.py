"""Sending over real connections to a server that refuses, hangs up and comes to itself again."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson
import pytest

from deploy.demo.feed import Line, Refused, feed
from shared.errors import KizashiError

Answer = tuple[int, dict[str, str], object]
"""Status, headers, body; status 0 hangs up without a word."""
Behave = Callable[[str, int], Answer]
"""The answer to the n-th request (from 0) under one Idempotency-Key."""


@dataclass(slots=True)
class Server:
    """What it saw: bodies by Idempotency-Key, in order, and the keys that callers showed."""

    behave: Behave
    url: str = ""
    bodies: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    authorizations: set[str] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                assert lines[0] == "POST /v1/activities HTTP/1.1"
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
                body = await reader.readexactly(int(headers["content-length"]))
                key = headers["idempotency-key"]
                self.authorizations.add(headers["authorization"])
                status, more, said = self.behave(key, len(self.bodies[key]))
                self.bodies[key].append(body)
                if not status:
                    break
                answer = orjson.dumps(said)
                shown = "".join(f"{name}: {value}\r\n" for name, value in more.items())
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(answer)}\r\n{shown}\r\n".encode() + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def _server(behave: Behave) -> AsyncIterator[Server]:
    server = Server(behave)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, limit=4_194_304)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()


def _lines(count: int) -> list[Line]:
    return [Line(number, orjson.dumps({"type": "page_viewed", "n": number})) for number in range(1, count + 1)]


TAKEN: Answer = (202, {}, {"durability": "kafka"})
TROUBLE: tuple[Answer, ...] = ((0, {}, None), (503, {"Retry-After": "0"}, {"detail": "away"}), (429, {}, {}), TAKEN)


async def test_what_fails_for_now_is_repeated_in_the_same_words_until_it_is_safe() -> None:
    progress: list[int] = []
    async with _server(lambda _, attempt: TROUBLE[attempt]) as server:
        sent = await feed(server.url, "kz_x", _lines(2_500), connections=3, on_progress=progress.append)
    assert (sent.activities, sent.requests, sent.retries, sent.spooled) == (2_500, 3, 9, 0)
    assert sorted(progress) == progress
    assert progress[-1] == 2_500
    assert server.authorizations == {"Bearer kz_x"}
    assert [len(set(bodies)) for bodies in server.bodies.values()] == [1, 1, 1]
    arrived = [item["n"] for bodies in server.bodies.values() for item in orjson.loads(bodies[0])]
    assert sorted(arrived) == list(range(1, 2_501))


async def test_what_waits_in_the_spool_is_counted() -> None:
    async with _server(lambda _key, _attempt: (202, {}, {"durability": "spool"})) as server:
        sent = await feed(server.url + "/", "k", _lines(10))
    assert sent.spooled == sent.activities == 10


async def test_retry_after_is_obeyed() -> None:
    async with _server(lambda _, attempt: TAKEN if attempt else (503, {"Retry-After": "1"}, {})) as server:
        sent = await feed(server.url, "k", _lines(1))
    assert sent.seconds >= 1.0


async def test_a_refusal_ends_the_sending_and_names_the_line() -> None:
    fault = {"errors": [{"pointer": "/4/lead", "detail": "names no person"}]}
    async with _server(lambda _key, _attempt: (422, {}, fault)) as server:
        with pytest.raises(Refused) as caught:
            await feed(server.url, "k", _lines(3_000), connections=2)
    assert caught.value.faults[0] in {(place, "/lead: names no person") for place in (5, 1_005)}
    assert len(server.bodies) <= 2


async def test_patience_ends() -> None:
    async with _server(lambda _key, _attempt: (503, {}, {"detail": "no room"})) as server:
        with pytest.raises(KizashiError, match="has taken nothing for 1 s: answered with 503: no room"):
            await feed(server.url, "k", _lines(1), patience_s=1.0)


async def test_nobody_there_is_said() -> None:
    async with _server(lambda _key, _attempt: TAKEN) as server:
        url = server.url
    with pytest.raises(KizashiError, match="has taken nothing for 0 s"):
        await feed(url, "k", _lines(1), patience_s=0.3)
