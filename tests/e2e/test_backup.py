"""Servers lost and put back as docs/backup.md says: afterwards the books are as if nothing had happened."""

import asyncio
import re
import shlex
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
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
from deploy.local import ports, state
from deploy.local.paths import ROOT, DataFolder
from shared.settings import KafkaSettings
from tests.e2e.client import Client, kizashi, wait_for

GUIDE = ROOT / "docs" / "backup.md"
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


@dataclass(frozen=True, slots=True)
class Detached:
    """A stack that `kizashi up --detach` has started, as far as a client needs it."""

    data: DataFolder

    @property
    def addresses(self) -> state.Addresses:
        found = state.read(self.data.state)
        assert found is not None
        return found.addresses


def post(stack: Detached, activities: list[dict[str, Any]]) -> None:
    lines = [Line(number, orjson.dumps(activity)) for number, activity in enumerate(activities, 1)]
    asyncio.run(feed(stack.addresses.services["ingest"], stack.data.cli_key.read_text().strip(), lines, connections=1))


def books_of(stack: Detached) -> Books:
    kafka = KafkaSettings(bootstrap_servers=stack.addresses.bootstrap_servers)
    return asyncio.run(read_books(kafka, stack.addresses.database_url))


def settle(stack: Detached, posted: list[dict[str, Any]]) -> Books:
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


def new_stack(folder: Path) -> Detached:
    stack = Detached(DataFolder.at(folder / "data"))
    succeeds(stack, "up", "--detach", "--port-base", str(ports.free_block().base))
    return stack


def succeeds(stack: Detached, *arguments: str) -> str:
    done = kizashi(stack, *arguments)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def as_the_guide_says(stack: Detached, heading: str) -> str:
    """Run the commands under a heading of the guide, in order; what they printed."""
    section = GUIDE.read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    commands = re.findall(r"^kizashi (.+)$", section.partition("If you put the database back")[0], re.MULTILINE)
    assert commands
    folder = str(stack.data.path.parent / "monday")
    said = [succeeds(stack, *shlex.split(command.replace("backups/monday", folder))) for command in commands]
    return "".join(said)


def empty(stack: Detached) -> None:
    """Lose the database as a whole."""

    async def run() -> None:
        server, _, name = stack.addresses.database_url.rpartition("/")
        conn = await asyncpg.connect(f"{server}/postgres")
        await conn.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await conn.execute(f"CREATE DATABASE {name}")
        await conn.close()

    asyncio.run(run())


@pytest.fixture
def stack(folder: Path) -> Iterator[Detached]:
    started = new_stack(folder)
    yield started
    kizashi(started, "down")


@pytest.mark.parametrize("lost", ["half", pytest.param("all", marks=pytest.mark.long)])
def test_a_lost_database_catches_up_and_hands_nobody_over_again(stack: Detached, lost: str) -> None:
    posted = sample(seed=7)
    half = len(posted) // 2
    post(stack, posted[:half])
    settle(stack, posted[:half])
    as_the_guide_says(stack, "Back up")
    post(stack, posted[half:])
    before = settle(stack, posted)
    assert len(before.qualified) > 3
    answered = before.qualified[-1]["handoff"]["id"]
    with Client(stack) as client:
        assert client.answer(answered, outcome="accepted").status_code == 200
    if lost == "half":
        said = as_the_guide_says(stack, "Restore the database")
        assert "\n1 outcomes were taken over" in said
    else:
        empty(stack)
        succeeds(stack, "down")
        said = as_the_guide_says(stack, "No backup, but Kafka is there")
        assert f"{len(posted):,} records" in said
        succeeds(stack, "up", "--detach")
    after = settle(stack, posted)
    assert after.qualified == before.qualified
    with Client(stack) as client:
        states = {one["id"]: one["state"] for one in client.handoffs(before.qualified[-1]["lead"]["id"])}
        assert states[answered] == "accepted"


@pytest.mark.long
def test_a_lost_kafka_stops_the_services_until_they_are_told_to_go_on(stack: Detached) -> None:
    posted = sample(seed=8)
    post(stack, posted)
    before = settle(stack, posted)
    succeeds(stack, "down")
    shutil.rmtree(stack.data.kafka)
    failed = kizashi(stack, "up", "--detach")
    assert failed.returncode == 1
    assert b"belongs to this database" in failed.stderr
    assert b"docs/backup.md" in failed.stderr
    said = as_the_guide_says(stack, "Kafka is lost")
    assert f"{len(before.states):,} leads will be published again" in said
    succeeds(stack, "up", "--detach")
    wait_for(lambda: len(books_of(stack).states) == len(before.states), SETTLED_WITHIN_S)
    models = {label: orjson.loads(value)["models"] for label, value in before.states.items()}
    assert {label: orjson.loads(value)["models"] for label, value in books_of(stack).states.items()} == models
    with Client(stack) as client:
        client.post({"type": "seminar_attended", "lead": {"email": "new@example.jp"}, "id": "n1"})
        assert wait_for(lambda: client.lead("new@example.jp"))["score"] == 10
    assert books_of(stack).qualified == []
