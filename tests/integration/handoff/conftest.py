"""Handlers on a migrated database; and the service as a process on real servers."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.settings import KafkaSettings
from tests.conftest import PARTITIONS, KafkaServer
from tests.integration.handoff.desk import Desk, open_desk
from tests.integration.handoff.service import Stack


@pytest.fixture
async def desk(database: str) -> AsyncIterator[Desk]:
    desk = await open_desk(database)
    yield desk
    await desk.pool.close()


@pytest.fixture
async def stack(kafka_server: KafkaServer, database: str, tmp_path: Path) -> AsyncIterator[Stack]:
    kafka = KafkaSettings(bootstrap_servers=kafka_server.bootstrap_servers, partitions=PARTITIONS)
    stack = Stack(kafka, database, tmp_path)
    await stack.prepare()
    yield stack
    stack.stop()
