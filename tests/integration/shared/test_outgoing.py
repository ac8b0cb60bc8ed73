"""Calls to a server that answers, fails, hangs, redirects and lies, and to names that lead elsewhere."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from shared.outgoing import AddressRefused, Call, Outgoing, Rules, TooLong, Unanswered
from tests.integration.stand_in import Behaviour, StandIn, answer, close, endless, hang, json, standing_in, then_hang

LIMIT_S = 60.0
MAX_BYTES = 100_000


@asynccontextmanager
async def calling(
    *plan: Behaviour, timeout_s: float = LIMIT_S, allow: bool = True
) -> AsyncIterator[tuple[Outgoing, StandIn]]:
    async with standing_in(*plan) as server:
        rules = Rules(frozenset({server.host} if allow else ()))
        outgoing = Outgoing(rules, timeout_s=timeout_s, max_bytes=MAX_BYTES)
        try:
            yield outgoing, server
        finally:
            await outgoing.aclose()


async def test_answers_come_whole() -> None:
    async with calling(json({"a": 1})) as (outgoing, server):
        found = await outgoing.send(Call("POST", f"{server.url}/x?y=1", {"X-Secret": "s"}, b"body"))
    assert (found.status, found.body, found.headers["content-type"]) == (200, b'{"a":1}', "application/json")
    (asked,) = server.asked
    assert (asked.method, asked.path, asked.body, asked.headers["x-secret"]) == ("POST", "/x?y=1", b"body", "s")
    assert (asked.headers["host"], asked.headers["accept-encoding"]) == (server.host, "identity")


@pytest.mark.parametrize("status", [204, 400, 429, 500, 503])
async def test_every_status_is_an_answer(status: int) -> None:
    async with calling(answer(status, b"", ("Retry-After", "7"))) as (outgoing, server):
        found = await outgoing.send(Call("GET", server.url))
    assert (found.status, found.headers["retry-after"]) == (status, "7")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(status: int) -> None:
    async with standing_in(json({})) as inner:
        away = answer(status, b"", ("Location", f"{inner.url}/secret"))
        async with calling(away) as (outgoing, server):
            found = await outgoing.send(Call("GET", server.url))
    assert (found.status, inner.asked, len(server.asked)) == (status, [], 1)


@pytest.mark.parametrize(
    "plan",
    [
        hang,
        endless(b"HTTP/1.1 200 OK\r\n", b"X-Slow: 1\r\n"),
        then_hang(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
        endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["silence", "headers without end", "no body", "go on without end"],
)
async def test_what_takes_too_long_is_given_up(plan: Behaviour) -> None:
    async with calling(plan, timeout_s=0.3) as (outgoing, server):
        with pytest.raises(Unanswered):
            await outgoing.send(Call("GET", server.url))


@pytest.mark.parametrize(
    "plan",
    [
        close,
        answer(200, b"short", length=50),
        endless(b"HTTP/1.1 200 OK\r\nX: ", b"a" * 65_536),
    ],
    ids=["closed at once", "shorter than it said", "a header without end"],
)
async def test_broken_answers_are_none(plan: Behaviour) -> None:
    async with calling(plan) as (outgoing, server):
        with pytest.raises(Unanswered):
            await outgoing.send(Call("GET", server.url))


async def test_nonsense_is_no_answer() -> None:
    async def nonsense(writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")
        await writer.drain()

    async with calling(nonsense) as (outgoing, server):
        with pytest.raises(Unanswered):
            await outgoing.send(Call("GET", server.url))


async def test_longer_than_it_said_is_cut_there() -> None:
    async with calling(answer(200, b"12345and more", length=5)) as (outgoing, server):
        assert (await outgoing.send(Call("GET", server.url))).body == b"12345"


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999999\r\n\r\n",
    ],
    ids=["100 MB", "without end", "a petabyte"],
)
async def test_long_answers_are_not_read(head: bytes) -> None:
    async with calling(endless(head, b"a" * 65_536)) as (outgoing, server):
        with pytest.raises(TooLong):
            await outgoing.send(Call("GET", server.url))


async def test_nothing_is_inflated() -> None:
    bomb = answer(200, gzip.compress(b"0" * 10_000_000), ("Content-Encoding", "gzip"))
    async with calling(bomb) as (outgoing, server):
        with pytest.raises(Unanswered):
            await outgoing.send(Call("GET", server.url))


async def test_loopback_is_refused_unless_listed() -> None:
    async with calling(json({}), allow=False) as (outgoing, server):
        for url in (server.url, f"https://{server.host}/", f"https://localhost:{server.port}/"):
            with pytest.raises(AddressRefused):
                await outgoing.send(Call("GET", url))
    assert server.asked == []


@pytest.mark.parametrize("found", [["127.0.0.1"], ["93.184.215.14", "127.0.0.1"], ["::ffff:127.0.0.1"], ["::1"]])
async def test_names_that_lead_inside_are_refused(found: list[str]) -> None:
    async def resolver(host: str, port: int) -> list[str]:
        return found

    outgoing = Outgoing(Rules(), resolver=resolver)
    with pytest.raises(AddressRefused):
        await outgoing.send(Call("GET", "https://hooks.example.com/"))
    await outgoing.aclose()


async def test_the_checked_address_is_the_one_connected_to() -> None:
    """A name that changes its mind between the check and the connection: it is asked once."""
    asked: list[str] = []
    async with standing_in(json({"from": "checked"})) as server:

        async def resolver(host: str, port: int) -> list[str]:
            asked.append(host)
            return ["127.0.0.1"] if len(asked) == 1 else ["203.0.113.1"]

        outgoing = Outgoing(Rules(frozenset({f"hooks.example.com:{server.port}"})), resolver=resolver)
        found = await outgoing.send(Call("GET", f"http://hooks.example.com:{server.port}/"))
        await outgoing.aclose()
    assert (asked, found.body) == (["hooks.example.com"], b'{"from":"checked"}')
    assert server.asked[0].headers["host"] == f"hooks.example.com:{server.port}"


async def test_the_next_address_is_tried_where_one_is_silent() -> None:
    async with standing_in(json({})) as server:

        async def resolver(host: str, port: int) -> list[str]:
            return ["127.0.0.2", "127.0.0.1"]

        outgoing = Outgoing(Rules(frozenset({f"hooks.example.com:{server.port}"})), resolver=resolver)
        assert (await outgoing.send(Call("GET", f"http://hooks.example.com:{server.port}/"))).status == 200
        await outgoing.aclose()


async def test_a_name_without_address_is_unanswered() -> None:
    async def resolver(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    outgoing = Outgoing(Rules(), resolver=resolver)
    with pytest.raises(Unanswered):
        await outgoing.send(Call("GET", "https://hooks.example.com/"))
    await outgoing.aclose()


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with standing_in(json({})) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        async with calling(json({})) as (outgoing, server):
            await outgoing.send(Call("GET", server.url))
    assert (len(server.asked), proxy.asked) == (1, [])
