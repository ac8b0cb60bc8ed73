"""Servers lost and put back as docs/backup.md says: afterwards the books are as if nothing had happened."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest

from deploy.chaos.books import Books, read_books
from deploy.chaos.checker import check, expect
from deploy.chaos.people import own
from deploy.demo.feed import Line, feed
from deploy.demo.sample import generate
from deploy.local import ports
from deploy.local import stack as local_stack
from deploy.local.stack import Stack
from deploy.local.supervisor import StartFailed
from shared.settings import KafkaSettings
from tests.e2e.client import Client, kizashi, wait_for

LEADS = 150
SETTLED_WITHIN_S = 120.0


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kizashi-backup-") as name:
        made = Path(name).resolve()
        made.chmod(0o711)
        yield made


def sample(seed: int) -> list[dict[str, Any]]:
    return [own(activity, seed) for activity in generate(seed=seed, leads=LEADS, companies=20)]


def post(stack: Stack, activities: list[dict[str, Any]]) -> None:
    lines = [Line(number, orjson.dumps(activity)) for number, activity in enumerate(activities, 1)]
    asyncio.run(feed(stack.addresses.services["ingest"], stack.data.cli_key.read_text().strip(), lines, connections=1))


def books_of(stack: Stack) -> Books:
    kafka = KafkaSettings(bootstrap_servers=stack.addresses.bootstrap_servers)
    return asyncio.run(read_books(kafka, stack.addresses.database_url))


def settle(stack: Stack, posted: list[dict[str, Any]]) -> Books:
    """Wait until the books are right, and return them; fails with what is wrong if they never are."""
    expected = [expect(posted)]
    deadline = time.monotonic() + SETTLED_WITHIN_S
    while True:
        books = books_of(stack)
        differences = check(books, expected, {}, ())
        if not differences:
            return books
        assert time.monotonic() < deadline, differences[:20]
        time.sleep(0.5)


def new_stack(folder: Path) -> Stack:
    return local_stack.start(folder / "data", port_base=ports.free_block().base)


def succeeds(stack: Stack, *arguments: str) -> str:
    done = kizashi(stack, *arguments)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def empty(stack: Stack) -> None:
    """Lose the database as a whole."""

    async def run() -> None:
        server, _, name = stack.addresses.database_url.rpartition("/")
        conn = await asyncpg.connect(f"{server}/postgres")
        await conn.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await conn.execute(f"CREATE DATABASE {name}")
        await conn.close()

    asyncio.run(run())


@pytest.mark.parametrize("lost", ["half", "all"])
def test_a_lost_database_catches_up_and_hands_nobody_over_again(folder: Path, lost: str) -> None:
    posted = sample(seed=7)
    half = len(posted) // 2
    with new_stack(folder) as stack:
        post(stack, posted[:half])
        settle(stack, posted[:half])
        succeeds(stack, "backup", str(folder / "backup"))
        post(stack, posted[half:])
        before = settle(stack, posted)
        assert len(before.qualified) > 3
        with Client(stack) as client:
            answered = before.qualified[-1]["handoff"]["id"]
            assert client.answer(answered, outcome="accepted").status_code == 200
        if lost == "all":
            empty(stack)
        port_base = ports.kept_block(stack.data.ports)
        assert port_base is not None
    if lost == "half":
        said = succeeds(stack, "restore", str(folder / "backup"))
        assert " 1 outcomes were taken over" in said
    else:
        assert f"{len(posted):,} records" in succeeds(stack, "replay", "--from-topic")
    with local_stack.start(folder / "data", port_base=port_base.base) as stack:
        after = settle(stack, posted)
        assert after.qualified == before.qualified
        with Client(stack) as client:
            states = {one["id"]: one["state"] for one in client.handoffs(before.qualified[-1]["lead"]["id"])}
            assert states[answered] == "accepted"


def test_a_lost_kafka_stops_the_services_until_they_are_told_to_go_on(folder: Path) -> None:
    posted = sample(seed=8)
    with new_stack(folder) as stack:
        post(stack, posted)
        before = settle(stack, posted)
        port_base = ports.kept_block(stack.data.ports)
        assert port_base is not None
    shutil.rmtree(folder / "data" / "kafka")
    with pytest.raises(StartFailed) as failed:
        local_stack.start(folder / "data", port_base=port_base.base)
    assert "belongs to this database" in failed.value.tail
    assert "docs/backup.md" in failed.value.tail
    said = succeeds(stack, "restore", "--new-kafka")
    assert f"{len(before.states):,} leads will be published again" in said
    with local_stack.start(folder / "data", port_base=port_base.base) as stack, Client(stack) as client:
        wait_for(lambda: len(books_of(stack).states) == len(before.states), SETTLED_WITHIN_S)
        scores = {label: orjson.loads(value)["models"] for label, value in before.states.items()}
        assert {label: orjson.loads(value)["models"] for label, value in books_of(stack).states.items()} == scores
        client.post({"type": "seminar_attended", "lead": {"email": "new@example.jp"}, "id": "n1"})
        assert wait_for(lambda: client.lead("new@example.jp"))["score"] == 10
        assert books_of(stack).qualified == []
