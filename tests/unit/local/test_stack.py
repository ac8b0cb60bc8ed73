"""Decisions of a start that need no process: which servers are ours, what a service is told, what is shown."""

from pathlib import Path

import pytest

from deploy.local.external import embedded_servers, password_of, without_password
from deploy.local.paths import DataFolder
from deploy.local.ports import PortBlock
from deploy.local.services import service_env
from deploy.local.state import Addresses
from shared.errors import KizashiError
from shared.settings import Settings, load

KAFKA = {"KIZASHI_KAFKA__BOOTSTRAP_SERVERS": "broker:9092"}
DATABASE = {"KIZASHI_DATABASE__URL": "postgresql://kizashi:secret@db:5432/kizashi"}
PRODUCTION = {"KIZASHI_ENV": "production"}


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, ("kafka", "postgres")),
        (KAFKA, ("postgres",)),
        (DATABASE, ("kafka",)),
        ({"KIZASHI_DATABASE__URL_FILE": "/run/secrets/url"}, ("kafka",)),
        (KAFKA | DATABASE, ()),
        (PRODUCTION | KAFKA | DATABASE, ()),
    ],
)
def test_servers_named_by_the_environment_replace_ours(env: dict[str, str], expected: tuple[str, ...]) -> None:
    readable = {name: text for name, text in env.items() if not name.endswith("_FILE")}
    assert embedded_servers(env, load(Settings, readable)) == expected


@pytest.mark.parametrize("env", [PRODUCTION, PRODUCTION | KAFKA, PRODUCTION | DATABASE])
def test_production_is_refused_servers_that_trust_everyone(env: dict[str, str]) -> None:
    with pytest.raises(KizashiError, match="production needs servers of your own"):
        embedded_servers(env, load(Settings, env))


def test_a_service_is_told_ports_servers_and_secrets() -> None:
    data = DataFolder(Path("/data"))
    addresses = Addresses({}, "127.0.0.1:8004", "postgresql://postgres@127.0.0.1:8006/kizashi")
    env = service_env({"PATH": "/bin", "KIZASHI_LOG_LEVEL": "DEBUG"}, data, addresses, "/config", 8001)
    assert env == {
        "PATH": "/bin",
        "KIZASHI_LOG_LEVEL": "DEBUG",
        "KIZASHI_DATA_DIR": "/data",
        "KIZASHI_CONFIG_DIR": "/config",
        "KIZASHI_HTTP__PORT": "8001",
        "KIZASHI_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:8004",
        "KIZASHI_SCORING__INSTANCE": "local",
        "KIZASHI_HANDOFF__INSTANCE": "local",
        "KIZASHI_DATABASE__URL": "postgresql://postgres@127.0.0.1:8006/kizashi",
        "KIZASHI_IDENTITY_SECRET_FILE": "/data/secrets/identity_secret",
        "PYTHONUNBUFFERED": "1",
        "PYTHONSAFEPATH": "1",
        "MALLOC_ARENA_MAX": "1",
    }


def test_what_the_caller_says_of_secrets_and_servers_stays() -> None:
    given = KAFKA | DATABASE | {"KIZASHI_IDENTITY_SECRET": "mine"}
    addresses = Addresses({}, "broker:9092", "postgresql://kizashi@db:5432/kizashi", embedded=())
    env = service_env(given, DataFolder(Path("/data")), addresses, "/config", 8001)
    assert given.items() <= env.items()
    assert "KIZASHI_IDENTITY_SECRET_FILE" not in env


@pytest.mark.parametrize(
    ("url", "shown", "password"),
    [
        ("postgresql://u:p%40ss@db:5432/kizashi", "postgresql://u@db:5432/kizashi", "p@ss"),
        ("postgresql://u@db/kizashi?sslmode=require", "postgresql://u@db/kizashi?sslmode=require", None),
        (
            "postgresql://db/kizashi?user=u&password=s%26cret&sslmode=require",
            "postgresql://db/kizashi?user=u&sslmode=require",
            "s&cret",
        ),
        ("postgresql://db/kizashi", "postgresql://db/kizashi", None),
    ],
)
def test_no_password_is_shown(url: str, shown: str, password: str | None) -> None:
    assert (without_password(url), password_of(url)) == (shown, password)


def test_a_block_counts_from_its_base() -> None:
    block = PortBlock(8000)
    assert block.services == {"ingest": 8001, "scoring": 8002, "handoff": 8003}
    assert len({8000, *block.services.values(), block.kafka, block.controller, block.postgres}) == len(block.all)
