"""What a user of the whole system does: posts activities, reads leads, handoffs and topics."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import httpx2
from aiokafka import ConsumerRecord

from deploy.local.paths import DataFolder
from deploy.local.state import Addresses
from shared.kafka.reading import reading
from shared.settings import KafkaSettings

T = TypeVar("T")
WITHIN_S = 30.0


class Running(Protocol):
    """A stack, as far as its users need it."""

    @property
    def data(self) -> DataFolder: ...

    @property
    def addresses(self) -> Addresses: ...


class Client:
    """HTTP with the stack's own key, and a subscriber."""

    def __init__(self, stack: Running) -> None:
        self.stack = stack
        key = (stack.data.path / "secrets" / "cli_key").read_text(encoding="utf-8").strip()
        self.http = httpx2.Client(headers={"Authorization": f"Bearer {key}"}, timeout=30, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()

    def url(self, service: str, path: str) -> str:
        return f"{self.stack.addresses.services[service]}{path}"

    def post(self, *activities: Mapping[str, Any]) -> dict[str, Any]:
        """Post an array; it must be taken."""
        response = self.http.post(self.url("ingest", "/v1/activities"), json=list(activities))
        assert response.status_code == 202, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def lead(self, email: str) -> dict[str, Any] | None:
        """The lead of an address with its reasons, None if there is none yet."""
        try:
            found = self.http.get(self.url("scoring", "/v1/leads"), params={"email": email})
            if not found.is_success or not found.json()["items"]:
                return None
            lead = self.http.get(self.url("scoring", f"/v1/leads/{found.json()['items'][0]['id']}"))
        except httpx2.TransportError:  # killed, and not back yet
            return None
        return lead.json() if lead.is_success else None

    def handoffs(self, lead_id: str) -> list[dict[str, Any]]:
        """The handoffs of one lead."""
        found: list[dict[str, Any]] = []
        response = self.http.get(self.url("handoff", "/v1/handoffs"), params={"limit": 1000})
        while True:
            found += [item for item in response.json()["items"] if item["lead_id"] == lead_id]
            if "next" not in response.links:
                return found
            response = self.http.get(response.links["next"]["url"])

    def answer(self, handoff_id: str, **body: Any) -> httpx2.Response:
        """Post an outcome."""
        return self.http.post(self.url("handoff", f"/v1/handoffs/{handoff_id}/outcome"), json=body)

    def records(self, topic: str) -> list["ConsumerRecord[bytes, bytes]"]:
        """Every committed record of a topic, partition by partition."""

        async def run() -> list["ConsumerRecord[bytes, bytes]"]:
            async with reading(
                KafkaSettings(bootstrap_servers=self.stack.addresses.bootstrap_servers), topic
            ) as opened:
                return [record async for records in opened.until_end() for record in records]

        return asyncio.run(run())

    def read(self, topic: str) -> list[dict[str, Any]]:
        """The values of a topic, as a subscriber that reads from the beginning sees them."""
        return [json.loads(record.value) for record in self.records(topic) if record.value is not None]

    def latest(self, topic: str) -> dict[bytes, dict[str, Any]]:
        """The last value of each key; a key whose last record is a tombstone is not there."""
        last = {record.key or b"": record.value for record in self.records(topic)}
        return {key: json.loads(value) for key, value in last.items() if value is not None}


def kizashi(stack: Running, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    """Run a command on the stack, as a user does."""
    env = {name: text for name, text in os.environ.items() if not name.startswith("KIZASHI_")}
    command = [sys.executable, "-m", "deploy.cli.main", *arguments, "--data-dir", str(stack.data.path)]
    return subprocess.run(command, env=env, capture_output=True, timeout=120, check=False)


def wait_for(what: Callable[[], T | None], within_s: float = WITHIN_S, found: Callable[[], object] = lambda: "") -> T:
    """Ask until the answer is true; `found` tells, if it never is, what was there instead."""
    deadline = time.monotonic() + within_s
    while True:
        answer = what()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"did not happen within {within_s} s: {found()}"
        time.sleep(0.1)


def reasons_sum(lead: Mapping[str, Any]) -> float:
    """What the reasons add up to."""
    reasons: Sequence[Mapping[str, Any]] = lead["reasons"]
    return float(round(sum(reason["points"] for reason in reasons), 2))
