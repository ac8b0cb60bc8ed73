"""Handlers on a migrated database; and the service as a process on real servers."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.handoff.tables import SCHEMA
from shared.migrate import upgrade
from shared.settings import DatabaseSettings, KafkaSettings
from tests.conftest import PARTITIONS, KafkaServer, PostgresServer
from tests.integration.handoff.desk import MIGRATIONS, Desk, open_desk
from tests.integration.handoff.service import Stack
from tests.integration.handoff.weekly import use


@pytest.fixture
async def desk(database: str) -> AsyncIterator[Desk]:
    desk = await open_desk(database)
    yield desk
    await desk.pool.close()


@pytest.fixture
def weekly(desk: Desk) -> Desk:
    """With a rule that hands over on Fridays."""
    use(desk)
    return desk


@pytest.fixture(scope="session")
def template(postgres_server: PostgresServer) -> Iterator[str]:
    """A migrated database to be copied: migrating costs more than most tests of deliveries."""
    url = postgres_server.create_database()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, upgrade(DatabaseSettings(url=SecretStr(url)), MIGRATIONS, SCHEMA)).result()
    yield url.rpartition("/")[2]
    postgres_server.drop_database(url)


@pytest.fixture
def migrated(postgres_server: PostgresServer, template: str) -> Iterator[str]:
    """The URL of a migrated database of this test's own."""
    url = postgres_server.create_database(template)
    yield url
    postgres_server.drop_database(url)


@pytest.fixture
async def stack(kafka_server: KafkaServer, database: str, tmp_path: Path) -> AsyncIterator[Stack]:
    kafka = KafkaSettings(bootstrap_servers=kafka_server.bootstrap_servers, partitions=PARTITIONS)
    stack = Stack(kafka, database, tmp_path)
    await stack.prepare()
    yield stack
    stack.stop()
