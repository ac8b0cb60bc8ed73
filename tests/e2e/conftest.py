"""A whole stack, started once: three services on a real Kafka and a real PostgreSQL."""

from collections.abc import Iterator

import pytest

from deploy.local import stack as local_stack
from deploy.local.stack import Stack
from tests.conftest import PARTITIONS
from tests.e2e.client import Client
from tests.e2e.webhook_sources import SECRETS, tool_apis, write_config


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    # PostgreSQL does not run as root and has to pass through.
    for parent in (folder, folder.parent, folder.parent.parent):
        parent.chmod(0o711)
    with tool_apis() as apis:
        env = {"KIZASHI_KAFKA__PARTITIONS": str(PARTITIONS), "KIZASHI_OUTGOING__ALLOW": apis, **SECRETS}
        config = write_config(folder / "config", apis)
        with local_stack.start(folder / "data", config_dir=config, env=env) as started:
            yield started


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    with Client(stack) as opened:
        yield opened
