"""What a container setup does before its services, against real servers and as the process that it is."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from deploy.local.credentials import ensure_identity_secret
from deploy.local.paths import DataFolder
from deploy.local.ports import free_block
from services.scoring.app import ScoringService
from services.scoring.settings import ScoringSettings
from services.scoring.tables import SCHEMA
from shared.errors import KizashiError
from shared.known_secret import learn_secret
from shared.migrate import upgrade
from shared.settings import load
from tests.conftest import PARTITIONS, KafkaServer


@pytest.fixture
def env(kafka_server: KafkaServer, database: str, tmp_path: Path) -> dict[str, str]:
    """As docker-compose.yml has it, with a database and a data folder that hold nothing."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("KIZASHI_")}
    return kept | {
        "KIZASHI_DATA_DIR": str(tmp_path / "data"),
        "KIZASHI_IDENTITY_SECRET_FILE": str(tmp_path / "data/secrets/identity_secret"),
        "KIZASHI_KAFKA__BOOTSTRAP_SERVERS": kafka_server.bootstrap_servers,
        "KIZASHI_KAFKA__PARTITIONS": str(PARTITIONS),
        "KIZASHI_DATABASE__URL": database,
    }


def initialise(env: dict[str, str]) -> tuple[int, str]:
    """The exit code and what it said."""
    command = [sys.executable, "-m", "deploy.local.initialise"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


async def begin(env: dict[str, str]) -> None:
    """A database that has read something and knows no lead: less is refused beside topics that all tests share."""
    settings = load(ScoringSettings, _without_file(env))
    await upgrade(settings.database, ScoringService.migrations, SCHEMA)
    conn = await asyncpg.connect(settings.database.url.get_secret_value())
    await conn.execute("INSERT INTO scoring.consumer_offset VALUES ('lead-activities', 0, 1, 'cluster')")
    await conn.execute("CREATE SCHEMA handoff; CREATE TABLE handoff.lead AS SELECT 1 AS id")
    await conn.close()


async def first_start_of_scoring(env: dict[str, str]) -> None:
    """As far as the secret goes."""
    settings = load(ScoringSettings, env)
    conn = await asyncpg.connect(settings.database.url.get_secret_value())
    await learn_secret(conn, SCHEMA, settings.identity_key)
    await conn.close()


def _without_file(env: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in env.items() if name != "KIZASHI_IDENTITY_SECRET_FILE"}


def scoring_says(env: dict[str, str]) -> str:
    """What the service says when it ends by itself, as with a fault that no retry would mend."""
    port = str(free_block().base)
    command = [sys.executable, "-m", "services.scoring"]
    done = subprocess.run(command, env=env | {"KIZASHI_HTTP__PORT": port}, capture_output=True, timeout=60, check=False)
    assert done.returncode != 0
    return (done.stdout + done.stderr).decode()


def other_folder(env: dict[str, str], folder: Path) -> dict[str, str]:
    secret = folder / "secrets" / "identity_secret"
    return {**env, "KIZASHI_DATA_DIR": str(folder), "KIZASHI_IDENTITY_SECRET_FILE": str(secret)}


def test_a_used_database_gets_no_new_secret(env: dict[str, str], tmp_path: Path) -> None:
    given = env | {"KIZASHI_IDENTITY_SECRET": "of before"}
    asyncio.run(begin(env))
    assert initialise(given) == (0, "")
    secret = tmp_path / "data/secrets/identity_secret"
    assert secret.read_text() == "of before\n"
    asyncio.run(first_start_of_scoring(env))
    assert initialise(env) == initialise(given) == (0, "")
    emptied = other_folder(env, tmp_path / "emptied")
    for _ in range(2):
        code, said = initialise(emptied)
        assert code == 1
        assert "there is no identity secret" in said
        assert not (tmp_path / "emptied/secrets/identity_secret").exists()
    for another in (emptied | {"KIZASHI_IDENTITY_SECRET": "another"}, env | {"KIZASHI_IDENTITY_SECRET": "another"}):
        code, said = initialise(another)
        assert code == 1
        assert "is not the" in said
    secret.write_text("another\n")
    code, said = initialise(env)
    assert code == 1
    assert "is not the one" in said
    assert "is not the one" in scoring_says(env)


@pytest.mark.parametrize("kept", ["postgres/data", "kafka/data"])
def test_a_folder_that_holds_leads_gets_no_new_secret(tmp_path: Path, kept: str) -> None:
    data = DataFolder.at(tmp_path)
    data.create()
    (tmp_path / kept).mkdir(parents=True)
    with pytest.raises(KizashiError, match=r"identity_secret is missing, but .* holds leads"):
        ensure_identity_secret(data)
    assert not data.identity_secret.exists()
