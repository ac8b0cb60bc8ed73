"""How long after a kill the first new result comes: posted right after it, seen where subscribers see it."""

import asyncio
import os
import signal
import statistics
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx2
from aiokafka import AIOKafkaConsumer

from deploy.local import stack as local_stack
from deploy.local.report import Report
from deploy.local.stack import Stack
from shared.errors import KizashiError
from shared.kafka.client import client_options
from shared.settings import KafkaSettings
from shared.topics import LEAD_SCORES, QUALIFIED_LEADS

ROUNDS = 3
WITHIN_S = 60.0
AGAIN_S = 0.02
REST_S = 11.0
"""Longer than a process must have lived to be started again without a pause that grows."""
RESULTS = {
    "ingest": "an activity is taken",
    "scoring": LEAD_SCORES.name,
    "handoff": QUALIFIED_LEADS.name,
    "kafka": QUALIFIED_LEADS.name,
    "postgres": QUALIFIED_LEADS.name,
}
"""What counts as the first new result after each one's death."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """Seconds from the kill of `process` to `result`, round by round."""

    process: str
    result: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.seconds)


def measure(report: Report) -> list[Recovery]:
    """Kill each process a few times on a stack of its own. Raises KizashiError when something does not come back."""
    with TemporaryDirectory(prefix="kizashi-recovery-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        folder.chmod(0o711)
        with local_stack.start(folder / "data", report=report) as stack:
            return asyncio.run(_measure(stack, report))


async def _measure(stack: Stack, report: Report) -> list[Recovery]:
    found = []
    async with _desk(stack) as desk:
        await desk.until_seen(await desk.post(), QUALIFIED_LEADS.name)
        for process, result in RESULTS.items():
            with report.part("Recovery", process, ROUNDS) as part:
                seconds = []
                for number in range(ROUNDS):
                    await asyncio.sleep(REST_S)
                    seconds.append(await _one(stack, desk, process, result))
                    part.advance(number + 1, ROUNDS)
            found.append(Recovery(process, result, tuple(seconds)))
    return found


async def _one(stack: Stack, desk: "Desk", process: str, result: str) -> float:
    pid = stack.process(process).pid
    if pid is None:
        raise KizashiError(f"{process} is not running")
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    marker = await desk.post()
    if process != "ingest":
        await desk.until_seen(marker, result)
    return time.monotonic() - began


class Desk:
    """Posts a lead that is hot at once, and reads what comes of it."""

    def __init__(self, stack: Stack, client: httpx2.AsyncClient, consumer: AIOKafkaConsumer) -> None:
        self._url = f"{stack.addresses.services['ingest']}/v1/activities"
        self._client = client
        self._consumer = consumer
        self._seen: set[tuple[str, str]] = set()

    async def post(self) -> str:
        """Post until it is taken; returns the address of the lead."""
        email = f"{uuid.uuid4().hex}@example.co.jp"
        body = [
            {"id": f"{email}-{number}", "type": "seminar_attended", "lead": {"email": email},
             "properties": {"event": f"event-{number}"}}
            for number in range(8)
        ]  # fmt: skip
        deadline = time.monotonic() + WITHIN_S
        while True:
            try:
                if (await self._client.post(self._url, json=body)).status_code == 202:
                    return email
            except httpx2.TransportError:
                pass
            if time.monotonic() > deadline:
                raise KizashiError(f"nothing was taken for {WITHIN_S:.0f} s")
            await asyncio.sleep(AGAIN_S)

    async def until_seen(self, email: str, topic: str) -> None:
        """Wait for a record about the lead."""
        deadline = time.monotonic() + WITHIN_S
        while (topic, email) not in self._seen:
            for records in (await self._consumer.getmany(timeout_ms=20)).values():
                self._seen.update((record.topic, _email(record.value)) for record in records if record.value)
            if time.monotonic() > deadline:
                raise KizashiError(f"nothing came to {topic} for {WITHIN_S:.0f} s")


@asynccontextmanager
async def _desk(stack: Stack) -> AsyncIterator[Desk]:
    kafka = KafkaSettings(bootstrap_servers=stack.addresses.bootstrap_servers)
    consumer = AIOKafkaConsumer(
        LEAD_SCORES.name, QUALIFIED_LEADS.name, **client_options(kafka), auto_offset_reset="earliest"
    )
    await consumer.start()
    key = stack.data.cli_key.read_text(encoding="ascii").strip()
    headers = {"Authorization": f"Bearer {key}"}
    try:
        async with httpx2.AsyncClient(headers=headers, timeout=WITHIN_S, trust_env=False) as client:
            yield Desk(stack, client, consumer)
    finally:
        await consumer.stop()


def _email(value: bytes) -> str:
    """The address in a record, cut out: all that matters is whose it is."""
    return value.partition(b'"email":"')[2].partition(b'"')[0].decode()
