"""The ingest service as a process of its own, and what stands on its topic."""

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from deploy.local.paths import ROOT
from deploy.local.ports import free_block
from shared.clock import system_clock
from shared.keys import create_key
from shared.topics import LEAD_ACTIVITIES
from tests.conftest import PARTITIONS

START_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class IngestProcess:
    """A running service; `key` may write activities."""

    url: str
    key: str
    key_store: Path
    process: subprocess.Popen[bytes]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}

    def post(self, body: object, timeout_s: float = 20.0) -> httpx2.Response:
        return httpx2.post(f"{self.url}/v1/activities", json=body, headers=self.headers, timeout=timeout_s)

    def client(self) -> httpx2.AsyncClient:
        limits = httpx2.Limits(max_connections=256, max_keepalive_connections=256)
        return httpx2.AsyncClient(base_url=self.url, headers=self.headers, limits=limits, timeout=20.0)

    def ready(self) -> bool:
        return httpx2.get(f"{self.url}/readyz", timeout=5).status_code == 200

    def end(self) -> tuple[int, float]:
        """Ask it to stop; its exit code, and how many seconds it took."""
        start = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20), time.monotonic() - start


def wait_until(holds: Callable[[], bool], within_s: float) -> None:
    """Ask until `holds`; a connection refused counts as no."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            if holds():
                return
        except httpx2.TransportError:
            pass
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.02)


@contextmanager
def running_ingest(
    folder: Path,
    bootstrap_servers: str,
    *,
    wait_ready: bool = True,
    config: Path = ROOT / "config",
    env: Mapping[str, str] | None = None,
    **limits: str,
) -> Iterator[IngestProcess]:
    """Start the service with its own keys; `limits` are settings of its section, such as `ack_timeout_s="1"`, and `env`
    is more of its environment.
    """
    port = free_block().services["ingest"]
    key_store = folder / "keys.json"
    key = create_key(key_store, uuid.uuid4().hex, ["activities:write"], system_clock())
    own = {
        "KIZASHI_DATA_DIR": str(folder),
        "KIZASHI_CONFIG_DIR": str(config),
        "KIZASHI_IDENTITY_SECRET": "a secret",
        "KIZASHI_KAFKA__BOOTSTRAP_SERVERS": bootstrap_servers,
        "KIZASHI_KAFKA__PARTITIONS": str(PARTITIONS),
        "KIZASHI_HTTP__PORT": str(port),
        **{f"KIZASHI_INGEST__{name.upper()}": value for name, value in limits.items()},
        **(env or {}),
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("KIZASHI_")}
    with (folder / "ingest.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.ingest"], env=inherited | own, cwd=ROOT, stdout=log, stderr=log
        )
    running = IngestProcess(f"http://127.0.0.1:{port}", key, key_store, process)
    try:
        alive = f"{running.url}/healthz"
        wait_until(lambda: httpx2.get(alive, timeout=5).status_code == 200, START_TIMEOUT_S)
        if wait_ready:
            wait_until(running.ready, START_TIMEOUT_S)
        yield running
    finally:
        process.kill()
        process.wait()


def records_of(bootstrap_servers: str, source: str) -> list["ConsumerRecord[bytes, bytes]"]:
    """Every record of one source on the topic, in partition and offset order."""

    async def read() -> list["ConsumerRecord[bytes, bytes]"]:
        consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest")
        await consumer.start()
        try:
            consumer.subscribe([LEAD_ACTIVITIES.name])
            found: list[ConsumerRecord[bytes, bytes]] = []
            while not consumer.assignment():
                await consumer.getmany(timeout_ms=50)
            end: dict[TopicPartition, int] = await consumer.end_offsets(list(consumer.assignment()))
            await consumer.seek_to_beginning()
            while any([await consumer.position(tp) < at for tp, at in end.items()]):
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    found.extend(records)
        finally:
            await consumer.stop()
        return found

    wanted = source.encode()
    return [record for record in asyncio.run(read()) if dict(record.headers).get("ce_source") == wanted]
