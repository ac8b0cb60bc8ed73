"""Connections that are slow, many, broken or made to deceive, to a real server."""

import asyncio
import re
import resource
import socket
import struct
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack
from http.client import HTTPResponse
from pathlib import Path

import httpx2
import psutil
import pytest

from deploy.local.ports import HOST
from tests.integration.ingest.process import wait_until
from tests.integration.shared.small_server import SmallServer, exchange, running_small_server

MAX_CONNECTIONS = 32
GET = b"GET /v1/echo/%s HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /v1/echo/a HTTP/1.1\r\nHost: x\r\n"
STATUS = re.compile(rb"HTTP/1\.1 [0-9]{3} ")
# How long anything that must happen is waited for.
SOON_S = 20.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallServer]:
    limits = {
        "max_connections": str(MAX_CONNECTIONS),
        "max_header_bytes": "8192",
        "header_timeout_s": "1",
        "body_timeout_s": "1",
        "write_timeout_s": "1",
        "max_in_flight_bytes": "1048576",
    }
    with running_small_server(tmp_path_factory.mktemp("small"), **limits) as running:
        yield running


def connected(server: SmallServer) -> socket.socket:
    return socket.create_connection((HOST, server.port), timeout=SOON_S)


async def closed(reader: asyncio.StreamReader) -> bytes:
    """What came before the server closed."""
    async with asyncio.timeout(SOON_S):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


def test_a_silent_connection_is_closed(server: SmallServer) -> None:
    assert server.raw(b"") == b""
    assert server.echoes()


async def test_a_trickle_of_headers_is_cut_off(server: SmallServer) -> None:
    async with server.connection() as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\n")
        end = asyncio.create_task(closed(reader))
        while not end.done():
            writer.write(b"X-A: b\r\n")
            await asyncio.sleep(0.1)
        answer = await end
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"request_timeout"' in answer


async def test_a_trickle_of_a_body_is_cut_off(server: SmallServer) -> None:
    async with server.connection() as (reader, writer):
        writer.write(POST + b"Content-Length: 400000\r\n\r\n")
        end = asyncio.create_task(closed(reader))
        while not end.done():
            writer.write(b"x" * 10)
            await asyncio.sleep(0.1)
        answer = await end
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert await asyncio.to_thread(server.echoes)


async def test_a_slow_body_that_keeps_coming_is_read_to_the_end(server: SmallServer) -> None:
    async with server.connection() as (reader, writer):
        writer.write(POST + b"Content-Length: 9000\r\n\r\n")
        for _ in range(30):
            writer.write(b"x" * 300)
            await asyncio.sleep(0.1)
        async with asyncio.timeout(SOON_S):
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")


async def test_slow_ones_by_the_dozen_disturb_nobody(server: SmallServer) -> None:
    async with httpx2.AsyncClient(base_url=server.url, timeout=SOON_S) as client, AsyncExitStack() as many:
        count = MAX_CONNECTIONS * 3 // 4
        slow = [await many.enter_async_context(server.connection()) for _ in range(count)]
        for _, writer in slow:
            writer.write(POST + b"Content-Length: 400000\r\n\r\nx")
        for _ in range(200):
            assert (await client.post("/v1/echo/a", content=b"abc")).status_code == 200
        for reader, _ in slow:
            assert (await closed(reader)).startswith(b"HTTP/1.1 408 ")


def test_an_answer_nobody_reads_is_dropped(server: SmallServer) -> None:
    before = server.cut_off("answer_not_read")
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        sock.settimeout(SOON_S)
        sock.connect((HOST, server.port))
        sock.sendall(b"GET /v1/big HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        wait_until(lambda: server.cut_off("answer_not_read") == before + 1, SOON_S)
    assert server.echoes()


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 9_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 101 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Endless: " + b"a" * 300_000,
        b"GET / HTTP/1.1\r\n" + b"X-%d: y\r\n" % 1 * 300_000,
    ],
    ids=["a long header", "a long path", "many headers", "an endless header", "endless headers"],
)
def test_heads_have_a_size(server: SmallServer, head: bytes) -> None:
    before = server.cut_off("header_too_large")
    answer = server.raw(head)
    # The rest of what was sent may meet a closed connection, and then the answer is lost on the way.
    assert answer.startswith(b"HTTP/1.1 431 ") or (len(head) > 65_536 and answer == b"")
    assert server.cut_off("header_too_large") == before + 1
    assert server.echoes()


async def test_idle_connections_make_room(server: SmallServer) -> None:
    async with httpx2.AsyncClient(base_url=server.url, timeout=SOON_S) as client, AsyncExitStack() as many:
        for _ in range(4 * MAX_CONNECTIONS):
            await many.enter_async_context(server.connection())
        assert (await client.post("/v1/echo/a", content=b"abc")).status_code == 200
    assert server.cut_off("made_room") > 0


async def test_a_full_house_says_so(server: SmallServer) -> None:
    async with AsyncExitStack() as many:
        held = [await many.enter_async_context(server.connection()) for _ in range(MAX_CONNECTIONS)]
        for number, (reader, writer) in enumerate(held):
            target = b"release" if number == 0 else b"hold"
            head = b"POST /v1/%s HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n" % target
            writer.write(head)
            async with asyncio.timeout(SOON_S):
                assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            if number:
                writer.write(b"x")
        reader, _ = await many.enter_async_context(server.connection())
        full = await closed(reader)
        held[0][1].write(b"x")
        assert full.startswith(b"HTTP/1.1 503 "), full
        assert b"retry-after: 1\r\n" in full
        for reader, _ in held:
            async with asyncio.timeout(SOON_S):
                assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    await asyncio.to_thread(wait_until, server.echoes, SOON_S)


def test_pipelined_requests_are_answered_in_order(server: SmallServer) -> None:
    requests = b"".join(GET % b"%d" % number for number in range(10))
    answer = server.raw(requests + b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert [answer.find(b"/v1/echo/%d 0" % number) > 0 for number in range(10)] == [True] * 10
    places = [answer.find(b"/v1/echo/%d 0" % number) for number in range(10)]
    assert places == sorted(places)
    assert answer.count(b"HTTP/1.1 200 ") == 11


def test_a_flood_of_pipelined_requests_is_cut_off(server: SmallServer) -> None:
    answer = server.raw(GET % b"a" * 5_000)
    assert answer.count(b"HTTP/1.1 200 ") == len(STATUS.findall(answer)) < 5_000
    assert server.echoes()


def test_what_follows_a_request_never_takes_its_answer(server: SmallServer) -> None:
    """Else a sender would read its own activity as refused, or as taken, by the fault of the next request."""
    answer = server.raw(GET % b"first" + b"nonsense\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"/v1/echo/first 0" in answer


def test_a_half_closed_connection_gets_its_answer(server: SmallServer) -> None:
    with connected(server) as sock:
        sock.sendall(POST + b"Content-Length: 3\r\n\r\nabc")
        sock.shutdown(socket.SHUT_WR)
        assert exchange(sock, b"").endswith(b"/v1/echo/a 3")
    with connected(server) as sock:
        sock.sendall(POST + b"Content-Length: 30\r\n\r\nabc")
        sock.shutdown(socket.SHUT_WR)
        assert exchange(sock, b"") == b""


def test_clients_that_vanish_leave_nothing_behind(server: SmallServer) -> None:
    for _ in range(50):
        with connected(server) as sock:
            sock.sendall(POST + b"Content-Length: 30000\r\n\r\n" + b"x" * 20_000)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: server.count("kizashi_http_in_flight_bytes") == 0, SOON_S)
    wait_until(lambda: server.count("kizashi_http_connections") <= 2, SOON_S)


CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"
AMBIGUOUS = {
    "length and chunked": CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n",
    "two lengths": POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "a list of lengths": POST + b"Content-Length: 3, 3\r\n\r\nabc",
    "a length with a sign": POST + b"Content-Length: +3\r\n\r\nabc",
    "a negative length": POST + b"Content-Length: -1\r\n\r\nabc",
    "a length beyond 64 bits": POST + b"Content-Length: 99999999999999999999\r\n\r\nabc",
    "a length in hex": POST + b"Content-Length: 0x3\r\n\r\nabc",
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked is not last": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a space before the colon": POST + b"Content-Length : 3\r\n\r\nabc",
    "a folded header": POST + b"X-A: b\r\n c\r\nContent-Length: 3\r\n\r\nabc",
    "a name with a zero": POST + b"X\x00A: b\r\n\r\n",
    "a value with a zero": POST + b"X-A: b\x00c\r\n\r\n",
    "a line without a colon": POST + b"X-A\r\n\r\n",
    "a bare carriage return": POST + b"X-A: b\rX-C: d\r\n\r\n",
    "bare line feeds": b"GET /healthz HTTP/1.1\nHost: x\n\n",
    "a chunk size of letters": CHUNKED + b"\r\nzz\r\nabc\r\n0\r\n\r\n",
    "a chunk size beyond 64 bits": CHUNKED + b"\r\nfffffffffffffffff\r\nabc",
    "a negative chunk": CHUNKED + b"\r\n-1\r\nabc\r\n0\r\n\r\n",
    "a chunk longer than said": CHUNKED + b"\r\n2\r\nabc\r\n0\r\n\r\n",
    "a chunk without its end": CHUNKED + b"\r\n3\r\nabc0\r\n\r\n",
    "another version": b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an unknown method": b"G=T / HTTP/1.1\r\nHost: x\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
    "zeros": b"\x00" * 100,
    "a path of bytes": b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    "a connection to elsewhere": b"CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("data", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_what_two_programs_could_read_differently_is_refused(server: SmallServer, data: bytes) -> None:
    answer = server.raw(data)
    assert answer.startswith(b"HTTP/1.1 400 "), answer
    assert len(STATUS.findall(answer)) == 1, answer
    assert b"content-type: application/problem+json\r\n" in answer
    assert b"connection: close\r\n" in answer
    assert server.echoes()


@pytest.mark.parametrize(
    "request_",
    [b"OPTIONS * HTTP/1.1\r\nHost: x\r\n", b"GET http://other.example/healthz HTTP/1.1\r\nHost: x\r\n"],
)
def test_unusual_targets_are_answered(server: SmallServer, request_: bytes) -> None:
    status = server.raw(request_ + b"Connection: close\r\n\r\n").split(b" ")[1]
    assert status in (b"200", b"400", b"404", b"405")
    assert server.echoes()


def next_answer(sock: socket.socket) -> tuple[int, bytes]:
    """Status and body of one answer on a connection that stays open."""
    answer = HTTPResponse(sock)
    answer.begin()
    return answer.status, answer.read()


def test_an_offered_upgrade_is_passed_over(server: SmallServer) -> None:
    """As Java's HTTP client offers with each first request."""
    offered = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n"
    with connected(server) as sock:
        sock.sendall(POST + offered + b"Content-Length: 3\r\n\r\nabc")
        assert next_answer(sock) == (200, b"/v1/echo/a 3")
        sock.sendall(GET % b"next")
        assert next_answer(sock) == (200, b"/v1/echo/next 0")


def test_a_refusal_before_the_body_arrives_whole(server: SmallServer) -> None:
    with connected(server) as sock:
        sock.sendall(POST + b"Content-Length: 600000\r\n\r\n" + b"x" * 600_000)
        assert next_answer(sock)[0] == 413
        # What came behind the refused one is the next request, not a part of it.
        sock.sendall(GET % b"next")
        assert next_answer(sock) == (200, b"/v1/echo/next 0")


async def test_an_unwanted_body_comes_to_an_end(server: SmallServer) -> None:
    async with server.connection() as (reader, writer):
        writer.write(CHUNKED + b"\r\n")
        end = asyncio.create_task(closed(reader))
        while not end.done():
            writer.write(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
            await asyncio.wait([end], timeout=0.01)
        assert (await end).startswith(b"HTTP/1.1 413 ") or await end == b""
    wait_until(lambda: server.cut_off("body_unwanted") > 0, SOON_S)


async def test_all_bodies_together_have_a_size(server: SmallServer) -> None:
    """Without a key half of the room is open, here 512 KiB."""
    announced = POST + b"Content-Length: 400000\r\n\r\n"
    async with server.connection() as (first, one), server.connection() as (second, other):
        one.write(announced + b"x" * 300_000)
        async with asyncio.timeout(SOON_S):
            while await asyncio.to_thread(server.count, "kizashi_http_in_flight_bytes") < 300_000:
                one.write(b"x")
        other.write(announced + b"x" * 399_000)
        async with asyncio.timeout(SOON_S):
            head = await second.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1\r\n" in head
        assert await asyncio.to_thread(server.echoes)
        one.write(b"x" * 100_000)
        async with asyncio.timeout(SOON_S):
            assert (await first.readline()).startswith(b"HTTP/1.1 200 ")


def test_nothing_of_all_this_was_an_error(server: SmallServer) -> None:
    with ExitStack() as many:
        for _ in range(5):
            many.enter_context(connected(server))
        assert server.echoes()
    text = server.log.read_text()
    assert '"level":"error"' not in text
    assert "Traceback" not in text


@pytest.mark.long
def test_ten_thousand_idle_connections(tmp_path: Path) -> None:
    """More than there is room for: whoever has something to say is served all the while."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = 10_000 if hard == resource.RLIM_INFINITY else min(10_000, hard - 200)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 100), hard))
    try:
        with running_small_server(tmp_path) as server, ExitStack() as many:
            process = psutil.Process(server.process.pid)
            before = process.memory_info().rss
            for number in range(count):
                many.enter_context(connected(server))
                if number % 500 == 0:
                    assert server.echoes()
            assert server.echoes()
            assert server.count("kizashi_http_connections") <= 4_096
            assert process.memory_info().rss - before < 100_000_000
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
