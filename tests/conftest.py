"""Real servers for the tests that ask for them, started once per test process and stopped at its end."""

import asyncio
import itertools
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
from hypothesis import settings

from deploy.local import ports
from deploy.local.kafka import KafkaProgram
from deploy.local.postgres import PostgresProgram
from deploy.local.provision import provision
from deploy.local.report import Silent
from deploy.local.supervisor import Supervised

START_TIMEOUT_S = 60.0
# One for all: the broker is shared, and whoever comes first makes the topics.
PARTITIONS = 6
STOP_GRACE_S = 5.0
_numbers = itertools.count(1)

# How long one example takes says more about the machine than about the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@dataclass(frozen=True, slots=True)
class KafkaServer:
    """A running broker; `process.pid` may be killed, it comes back on the same port with its data."""

    bootstrap_servers: str
    process: Supervised


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server; `url` is that of a superuser on the database `postgres`."""

    program: PostgresProgram
    process: Supervised

    @property
    def url(self) -> str:
        return self.program.url("postgres")

    def execute(self, statement: str) -> None:
        """Run one statement as superuser. In a thread, as a test's event loop may be set already."""

        async def run() -> None:
            connection = await asyncpg.connect(self.url)
            try:
                await connection.execute(statement)
            finally:
                await connection.close()

        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, run()).result()

    def create_database(self, template: str = "template1") -> str:
        """Make a database with a name of its own, a copy of `template`, and return its URL."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.program.url(name)

    def drop_database(self, url: str) -> None:
        """Remove a database, ending its connections."""
        self.execute(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """Where the servers keep their data: a folder that others may enter, as PostgreSQL does not run as root."""
    with tempfile.TemporaryDirectory(prefix="kizashi-test-") as name:
        folder = Path(name).resolve()
        folder.chmod(0o711)
        yield folder


@pytest.fixture(scope="session")
def kafka_server(server_folder: Path) -> Iterator[KafkaServer]:
    """A real Kafka. Tests take topics and groups of random names."""
    with running_kafka(server_folder, "kafka") as server:
        yield server


@contextmanager
def running_kafka(folder: Path, name: str) -> Iterator[KafkaServer]:
    """A real Kafka with its data under a name in `folder`, for those who need one that nobody else has written to."""
    provision(Silent())
    block = ports.free_block()
    program = KafkaProgram(folder / name, block.kafka, block.controller)
    process = Supervised(program, folder / f"{name}.log")
    process.start()
    try:
        process.wait_ready(START_TIMEOUT_S)
        yield KafkaServer(program.bootstrap_servers, process)
    finally:
        process.stop(STOP_GRACE_S)


@pytest.fixture(scope="session")
def postgres_server(server_folder: Path) -> Iterator[PostgresServer]:
    """A real PostgreSQL."""
    program = PostgresProgram(server_folder / "postgres", ports.free_block().postgres)
    process = Supervised(program, server_folder / "postgres.log")
    process.start()
    try:
        process.wait_ready(START_TIMEOUT_S)
        yield PostgresServer(program, process)
    finally:
        process.stop(STOP_GRACE_S)


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty database of this test's own."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)
