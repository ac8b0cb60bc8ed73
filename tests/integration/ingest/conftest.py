import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.kafka.admin import ensure_topics
from shared.settings import KafkaSettings
from tests.conftest import PARTITIONS, KafkaServer
from tests.integration.ingest.process import IngestProcess, running_ingest


@pytest.fixture(scope="package")
def topics(kafka_server: KafkaServer) -> KafkaServer:
    """The broker, with the topics of the product."""
    kafka = KafkaSettings(bootstrap_servers=kafka_server.bootstrap_servers, partitions=PARTITIONS)
    asyncio.run(ensure_topics(kafka))
    return kafka_server


@pytest.fixture(scope="package")
def ingest(topics: KafkaServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[IngestProcess]:
    """One service for the tests that leave it running; it waits 1.5 s for Kafka's acknowledgement."""
    folder: Path = tmp_path_factory.mktemp("ingest")
    with running_ingest(folder, topics.bootstrap_servers, ack_timeout_s="1.5") as running:
        yield running


@pytest.fixture
def source() -> str:
    """A source of this test's own, by which it finds its records."""
    return f"test-{uuid.uuid4().hex[:12]}"
