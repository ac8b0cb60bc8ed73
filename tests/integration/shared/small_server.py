"""A service of a few routes behind the limits of all services: `python -m tests.integration.shared.small_server`."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from fastapi import FastAPI
from prometheus_client import Histogram
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.paths import ROOT
from deploy.local.ports import HOST, free_block
from shared.settings import Settings, load
from shared.telemetry import configure_logging
from shared.web import Answer, LeanRequest, LeanRoute, create_app, read_body, serve
from tests.integration.ingest.process import START_TIMEOUT_S, wait_until

MAX_BODY = 500_000
BIG = b"x" * 4_000_000
DURATION = Histogram("small_server_seconds", "For its routes.")


async def ready() -> Mapping[str, str | None]:
    return {}


def make_app() -> FastAPI:
    released = asyncio.Event()

    async def echo(request: LeanRequest) -> Answer:
        body = await read_body(request, MAX_BODY)
        return 200, [], b"%s %d" % (request.path.encode(), len(body))

    async def hold(request: LeanRequest) -> Answer:
        await request.receive()
        await released.wait()
        return 200, [], b"held"

    async def release(request: LeanRequest) -> Answer:
        await request.receive()
        released.set()
        return 200, [], b""

    async def big(request: LeanRequest) -> Answer:
        return 200, [], BIG

    paths = {"/v1/echo/{name}": echo, "/v1/hold": hold, "/v1/release": release, "/v1/big": big}
    operations = {method: {"responses": {"200": {"description": "ok"}}} for method in ("GET", "POST")}
    lean = [
        LeanRoute(path, dict.fromkeys(("GET", "POST"), handler), operations, DURATION)
        for path, handler in paths.items()
    ]
    settings = load(Settings)
    return create_app(title="Small", version="0", settings=settings, lifespan=None, readiness=ready, lean=lean)


@dataclass(frozen=True, slots=True)
class SmallServer:
    """It runs; `port` is on loopback."""

    port: int
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def echoes(self, text: bytes = b"abc") -> bool:
        """Whether a client of good manners is served."""
        answer = httpx2.post(f"{self.url}/v1/echo/a", content=text, timeout=20)
        return (answer.status_code, answer.text) == (200, f"/v1/echo/a {len(text)}")

    def count(self, name: str, **labels: str) -> float:
        """A sample of its metrics, 0 where there is none."""
        text = httpx2.get(f"{self.url}/metrics", timeout=20).text
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return float(sample.value)
        return 0.0

    def cut_off(self, reason: str) -> float:
        return self.count("kizashi_http_cut_off_total", reason=reason)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection(HOST, self.port)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    def raw(self, data: bytes, within_s: float = 20.0) -> bytes:
        """All that is answered to some bytes until the server closes."""
        with socket.create_connection((HOST, self.port), timeout=within_s) as sock:
            return exchange(sock, data)


def exchange(sock: socket.socket, data: bytes) -> bytes:
    """Send and read to the end; a connection reset ends the answer too."""
    answer = b""
    try:
        if data:
            sock.sendall(data)
        while part := sock.recv(65_536):
            answer += part
    except (ConnectionResetError, BrokenPipeError):
        pass
    return answer


@contextmanager
def running_small_server(folder: Path, **http: str) -> Iterator[SmallServer]:
    """Start it; `http` are settings of that section."""
    port = free_block().services["ingest"]
    own = {
        "KIZASHI_DATA_DIR": str(folder),
        "KIZASHI_HTTP__PORT": str(port),
        **{f"KIZASHI_HTTP__{name.upper()}": value for name, value in http.items()},
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("KIZASHI_")}
    path = folder / "server.log"
    with path.open("wb") as log:
        command = [sys.executable, "-m", "tests.integration.shared.small_server"]
        process = subprocess.Popen(command, env=inherited | own, cwd=ROOT, stdout=log, stderr=log)
    running = SmallServer(port, process, path)
    try:
        wait_until(running.echoes, START_TIMEOUT_S)
        yield running
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    configure_logging("small", "INFO")
    serve(make_app, load(Settings))
