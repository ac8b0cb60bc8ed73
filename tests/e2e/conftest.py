"""A whole stack, started once: three services on a real Kafka and a real PostgreSQL."""

import socket
from collections.abc import Iterator

import pytest

from deploy.local import stack as local_stack
from deploy.local.stack import Stack
from tests.conftest import PARTITIONS
from tests.e2e.client import Client
from tests.e2e.webhook_sources import SECRETS, tool_apis, write_config


@pytest.fixture(scope="session")
def receiver_port() -> int:
    """Where a test may receive webhooks: the stack is allowed to send there, beside public addresses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, receiver_port: int) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    # PostgreSQL does not run as root and has to pass through.
    for parent in (folder, folder.parent, folder.parent.parent):
        parent.chmod(0o711)
    with tool_apis() as apis:
        allow = f"{apis},127.0.0.1:{receiver_port}"
        env = {"KIZASHI_KAFKA__PARTITIONS": str(PARTITIONS), "KIZASHI_OUTGOING__ALLOW": allow, **SECRETS}
        config = write_config(folder / "config", apis)
        with local_stack.start(folder / "data", config_dir=config, env=env) as started:
            yield started


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    with Client(stack) as opened:
        yield opened
