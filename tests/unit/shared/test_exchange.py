"""What an exchange writes, over a transport that keeps its writes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from shared.web.exchange import Exchange

Headers = list[tuple[bytes, bytes]]
LENGTH = b"content-length"


class Flow:
    write_paused = False

    def resume_reading(self) -> None:
        pass


class Connection:
    """What an exchange uses of its protocol and of the transport."""

    def __init__(self) -> None:
        self.expect_100_continue = False
        self.flow = Flow()
        self.logger = logging.getLogger("test")
        self.server_state = self
        self.default_headers: Headers = [(b"date", b"today")]
        self.transport = self
        self.writes: list[bytes] = []
        self.closed = False
        self.completed = 0
        self.tasks: set[asyncio.Task[None]] = set()

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def on_response_complete(self) -> None:
        self.completed += 1


@pytest.fixture
def connection() -> Connection:
    return Connection()


def begun(connection: Connection, method: str = "GET", *, keep_alive: bool = True) -> Exchange:
    return Exchange(connection, {"method": method}, keep_alive=keep_alive)  # type: ignore[arg-type]


async def answer(exchange: Exchange, status: int, headers: Headers, *parts: bytes) -> None:
    await exchange({"type": "http.response.start", "status": status, "headers": headers})
    for number, part in enumerate(parts, 1):
        await exchange({"type": "http.response.body", "body": part, "more_body": number < len(parts)})


async def test_an_answer_of_known_length_is_one_write(connection: Connection) -> None:
    await answer(begun(connection), 202, [(LENGTH, b"2")], b"{}")
    assert connection.writes == [b"HTTP/1.1 202 Accepted\r\ndate: today\r\ncontent-length: 2\r\n\r\n{}"]
    assert (connection.completed, connection.closed) == (1, False)


async def test_of_one_of_unknown_length_the_head_does_not_wait(connection: Connection) -> None:
    exchange = begun(connection)
    await exchange({"type": "http.response.start", "status": 200, "headers": []})
    assert connection.writes == [b"HTTP/1.1 200 OK\r\ndate: today\r\ntransfer-encoding: chunked\r\n\r\n"]
    for part, more in ((b"ab", True), (b"", True), (b"", False)):
        await exchange({"type": "http.response.body", "body": part, "more_body": more})
    assert b"".join(connection.writes[1:]) == b"2\r\nab\r\n0\r\n\r\n"


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 304)])
async def test_some_answers_have_no_body(connection: Connection, method: str, status: int) -> None:
    headers = [(LENGTH, b"5")] if method == "HEAD" else []
    await answer(begun(connection, method), status, headers, b"12345" if method == "HEAD" else b"")
    assert connection.writes[0].endswith(b"\r\n\r\n")
    assert b"chunked" not in connection.writes[0]
    assert connection.completed == 1


async def test_what_is_not_kept_alive_says_so_and_is_closed(connection: Connection) -> None:
    await answer(begun(connection, keep_alive=False), 200, [(LENGTH, b"0")], b"")
    assert b"connection: close\r\n" in connection.writes[0]
    assert connection.closed


@pytest.mark.parametrize("parts", [(b"123",), (b"1",), (b"1", b"")])
async def test_a_wrong_length_is_an_error(connection: Connection, parts: tuple[bytes, ...]) -> None:
    with pytest.raises(RuntimeError, match="than Content-Length"):
        await answer(begun(connection), 200, [(LENGTH, b"2")], *parts)


@pytest.mark.parametrize(
    "header", [(b"location", b"/a\r\nset-cookie: b"), (b"a b", b"c"), (b"a\n", b"c"), (b"a", b"\0")]
)
async def test_no_header_becomes_two(connection: Connection, header: tuple[bytes, bytes]) -> None:
    with pytest.raises(RuntimeError, match="Invalid HTTP header"):
        await answer(begun(connection), 302, [header, (LENGTH, b"0")], b"")
    assert connection.writes == []


async def whole(exchange: Exchange, status: int, headers: Headers, body: bytes) -> None:
    await exchange.answer(status, headers, body)


@pytest.mark.parametrize("keep_alive", [True, False])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (202, [(LENGTH, b"2")], b"{}"),
        (404, [(b"connection", b"close"), (LENGTH, b"0")], b""),
        (304, [], b""),
        (200, [], b"of no length that was said"),
        (200, [(LENGTH, b"2")], b"longer"),
        (200, [(LENGTH, b"20")], b"shorter"),
        (302, [(b"location", b"/a\r\nset-cookie: b"), (LENGTH, b"0")], b""),
    ],
)
async def test_a_whole_answer_is_what_its_messages_are(
    method: str, status: int, headers: Headers, body: bytes, *, keep_alive: bool
) -> None:
    seen: list[tuple[str, bool]] = []
    for way in (answer, whole):
        connection = Connection()
        try:
            await way(begun(connection, method, keep_alive=keep_alive), status, headers, body)
        except RuntimeError as error:
            seen.append((str(error), connection.closed))
        else:
            seen.append((b"".join(connection.writes).decode(), connection.closed))
    assert seen[0] == seen[1]


async def test_there_is_one_answer(connection: Connection) -> None:
    exchange = begun(connection)
    await whole(exchange, 202, [(LENGTH, b"2")], b"{}")
    with pytest.raises(RuntimeError, match="begun already"):
        await whole(exchange, 202, [(LENGTH, b"2")], b"{}")
    assert connection.completed == len(connection.writes) == 1


async def test_who_is_gone_is_answered_nothing(connection: Connection) -> None:
    exchange = begun(connection)
    exchange.disconnected = True
    await whole(exchange, 202, [(LENGTH, b"2")], b"{}")
    assert connection.writes == []


async def test_a_task_is_off_the_list_when_it_is_over(connection: Connection) -> None:
    async def app(_: Any, __: Any, send: Any) -> None:
        assert connection.tasks
        await send.answer(200, [(LENGTH, b"0")], b"")

    task = asyncio.create_task(begun(connection).run_asgi(app))
    connection.tasks.add(task)
    await task
    assert connection.tasks == set()


async def failing(*_: Any) -> None:
    raise ValueError("unforeseen")


async def silent(*_: Any) -> None:
    pass


@pytest.mark.parametrize("app", [failing, silent])
async def test_an_answer_that_is_owed_is_a_500(connection: Connection, app: Callable[..., Awaitable[None]]) -> None:
    await begun(connection).run_asgi(app)
    assert connection.writes[0].startswith(b"HTTP/1.1 500 ")
    assert connection.closed


async def test_half_an_answer_ends_the_connection(connection: Connection) -> None:
    async def app(_: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    await begun(connection).run_asgi(app)
    assert connection.closed
    assert len(connection.writes) == 1


async def test_who_asks_first_is_told_to_go_on(connection: Connection) -> None:
    connection.expect_100_continue = True
    exchange = begun(connection, "POST")
    exchange.body += b"ab"
    exchange.more_body = False
    exchange.set()
    assert await exchange.receive() == {"type": "http.request", "body": b"ab", "more_body": False}
    assert connection.writes == [b"HTTP/1.1 100 Continue\r\n\r\n"]


async def test_a_body_is_waited_for_and_so_is_the_end(connection: Connection) -> None:
    exchange = begun(connection, "POST")
    first = asyncio.create_task(exchange.receive())
    await asyncio.sleep(0)
    assert not first.done()
    exchange.body += b"a"
    exchange.set()
    assert (await first)["body"] == b"a"
    second = asyncio.create_task(exchange.receive())
    await asyncio.sleep(0)
    exchange.disconnected = True
    exchange.set()
    assert await second == {"type": "http.disconnect"}
