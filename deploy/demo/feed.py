"""Many activities over HTTP: arrays of them, several connections in flight, repeats under the same ids."""

import asyncio
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2
import orjson

from shared.errors import KizashiError, reason

PATH = "/v1/activities"
MAX_ITEMS, MAX_BYTES = 1_000, 1_048_576
"""What one request may hold."""
CONNECTIONS = 4
PATIENCE_S = 60.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0
MOST_RETRY_AFTER_S = 30.0
_TOO_FAST, _REQUEST_TIMEOUT, _FIRST_SERVER_FAULT = 429, 408, 500

Progress = Callable[[int], None]
"""Told how many activities are safe by now."""


class Refused(KizashiError):
    """The service will not take this. `faults` are pairs of line number (None: of no line in particular) and reason."""

    def __init__(self, faults: list[tuple[int | None, str]]) -> None:
        super().__init__("\n".join(f"line {line}: {reason}" if line else reason for line, reason in faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Line:
    """One activity as JSON, and the number of the line it came from (from 1)."""

    number: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Chunk:
    """The body of one request; `lines` are the line numbers of its activities, in order."""

    number: int
    lines: tuple[int, ...]
    body: bytes


@dataclass(slots=True)
class Sent:
    """What a run did. `spooled` activities are safe, but not in Kafka yet."""

    activities: int = 0
    requests: int = 0
    retries: int = 0
    spooled: int = 0
    seconds: float = 0.0

    @property
    def per_second(self) -> float:
        """Activities per second."""
        return self.activities / self.seconds if self.seconds else 0.0


def chunked(lines: Iterable[Line], max_items: int = MAX_ITEMS, max_bytes: int = MAX_BYTES) -> Iterator[Chunk]:
    """Arrays of at most `max_items` activities and `max_bytes` bytes; a larger activity goes alone, to be refused."""
    count, held, size = 0, list[Line](), 2
    for line in lines:
        if held and (len(held) == max_items or size + len(line.body) + 1 > max_bytes):
            yield _chunk(count, held)
            count, held, size = count + 1, [], 2
        held.append(line)
        size += len(line.body) + 1
    if held:
        yield _chunk(count, held)


def _chunk(number: int, lines: list[Line]) -> Chunk:
    return Chunk(number, tuple(line.number for line in lines), b"[" + b",".join(line.body for line in lines) + b"]")


async def feed(
    url: str,
    key: str,
    lines: Iterable[Line],
    *,
    connections: int = CONNECTIONS,
    patience_s: float = PATIENCE_S,
    on_progress: Progress = lambda _: None,
) -> Sent:
    """Post `lines` to the ingest service at `url` (without path); returns when every one of them is safe.

    What the service cannot take now is tried again, in the same words, for as long as something goes through every
    `patience_s` seconds. Raises Refused for what it will never take, KizashiError when patience is over.
    """
    run = _Run(chunked(lines), patience_s, on_progress)
    # A proxy of the environment is for the world outside.
    local = (urlsplit(url).hostname or "") in {"127.0.0.1", "::1", "localhost"}
    async with httpx2.AsyncClient(
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        limits=httpx2.Limits(max_connections=connections),
        timeout=httpx2.Timeout(30.0),
        trust_env=not local,
    ) as client:
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(connections):
                    workers.create_task(run.work(client, url.rstrip("/") + PATH))
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
    run.sent.seconds = time.monotonic() - run.started
    return run.sent


@dataclass(slots=True)
class _Run:
    chunks: Iterator[Chunk]
    patience_s: float
    on_progress: Progress
    sent: Sent = field(default_factory=Sent)
    # Activities without an id get theirs from this, the same at every repeat.
    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    started: float = field(default_factory=time.monotonic)
    progress_at: float = field(default_factory=time.monotonic)

    async def work(self, client: httpx2.AsyncClient, url: str) -> None:
        """Post one chunk after another until none is left."""
        for chunk in self.chunks:
            answer = await self._post(client, url, chunk)
            self.progress_at = time.monotonic()
            self.sent.requests += 1
            self.sent.activities += len(chunk.lines)
            self.sent.spooled += len(chunk.lines) if answer.get("durability") == "spool" else 0
            self.on_progress(self.sent.activities)

    async def _post(self, client: httpx2.AsyncClient, url: str, chunk: Chunk) -> dict[str, Any]:
        pause = FIRST_PAUSE_S
        while True:
            wait = pause
            try:
                response = await client.post(
                    url, content=chunk.body, headers={"Idempotency-Key": f"{self.name}-{chunk.number}"}
                )
            except httpx2.TransportError as error:
                problem = reason(error)
            else:
                if response.is_success:
                    return _json(response)
                if not _is_temporary(response.status_code):
                    raise Refused(faults_of(response.status_code, _json(response), chunk))
                problem = _summary(response.status_code, _json(response))
                wait = max(pause, _retry_after(response))
            if time.monotonic() + wait > self.progress_at + self.patience_s:
                raise KizashiError(f"{url} has taken nothing for {self.patience_s:.0f} s: {problem}")
            self.sent.retries += 1
            await asyncio.sleep(wait)
            pause = min(pause * 2, LONGEST_PAUSE_S)


def _is_temporary(status: int) -> bool:
    return status in (_TOO_FAST, _REQUEST_TIMEOUT) or status >= _FIRST_SERVER_FAULT


def _retry_after(response: httpx2.Response) -> float:
    """Seconds the service asks for; 0 without, or where it names a date."""
    said = response.headers.get("Retry-After", "")
    return min(float(said), MOST_RETRY_AFTER_S) if said.isascii() and said.isdigit() else 0.0


def faults_of(status: int, problem: dict[str, Any], chunk: Chunk) -> list[tuple[int | None, str]]:
    """A refusal (`application/problem+json`) as lines and reasons: pointers start with the place in the array."""
    faults: list[tuple[int | None, str]] = []
    for fault in problem.get("errors") or ():
        index, _, rest = str(fault.get("pointer", "")).removeprefix("/").partition("/")
        line = chunk.lines[int(index)] if index.isdigit() and int(index) < len(chunk.lines) else None
        faults.append((line, f"/{rest}: {fault.get('detail')}" if rest else str(fault.get("detail"))))
    if faults:
        return faults
    only = chunk.lines[0] if len(chunk.lines) == 1 else None
    return [(only, _summary(status, problem))]


def _summary(status: int, problem: dict[str, Any]) -> str:
    said = problem.get("detail") or problem.get("title")
    return f"answered with {status}: {said}" if said else f"answered with {status}"


def _json(response: httpx2.Response) -> dict[str, Any]:
    try:
        body = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}
