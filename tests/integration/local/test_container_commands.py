"""What the guides run in containers, run here by a stand-in for docker: the same commands, on real servers."""

import asyncio
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer

from deploy.cli.servers import prepare_servers
from deploy.local.paths import ROOT
from deploy.local.ports import free_block
from deploy.local.postgres import DATABASE, PostgresProgram, binary
from deploy.local.supervisor import Supervised
from services.handoff.settings import HandoffSettings
from services.scoring.settings import ScoringSettings
from shared import recovery
from shared.clock import system_clock
from shared.keys import create_key, list_keys
from shared.postgres import create_engine, create_pool
from shared.settings import DatabaseSettings, load
from shared.topics import LEAD_SCORES
from tests.conftest import PARTITIONS, START_TIMEOUT_S, STOP_GRACE_S, KafkaServer, PostgresServer, running_kafka

GUIDE = ROOT / "docs" / "backup.md"
PASSWORD = "p@ss/w#rd:100%41 'ü\"?&="
THERE = """
SELECT to_regclass('scoring.later') IS NOT NULL, to_regclass('scoring.recovery_due') IS NOT NULL,
    to_regclass('handoff.recovery_due') IS NOT NULL
"""
DOCKER = """#!{python}
import os, sys
words = sys.argv[2:]
command = {{"exec": "exec -T", "run": "run --rm --no-deps -T"}}.get(words[0])
if command is None:  # starting and stopping containers
    assert words[0] in ("up", "stop"), words
    sys.exit()
assert " ".join(words).startswith(command), words
service, *words = words[len(command.split()) :]
assert service in ("postgres", "ingest", "init")
words = [word.replace("/data", {data!r}) for word in words]
if words[0] == "kizashi":
    words[:1] = [sys.executable, "-m", "deploy.cli.main"]
# What goes in and out passes through the engine: nothing there can seek.
os.execvp("bash", ["bash", "-eo", "pipefail", "-c", 'cat | "$@" | cat', "-", *words])
"""


@pytest.fixture(scope="module")
def kafka(server_folder: Path) -> Iterator[KafkaServer]:
    """One of its own: a restore reads all that stands in the topics."""
    with running_kafka(server_folder, "kafka-of-containers") as server:
        yield server


@pytest.fixture
def env(kafka: KafkaServer, postgres_server: PostgresServer, tmp_path: Path) -> Iterator[dict[str, str]]:
    """As in the containers; `docker` is the stand-in, and the server's programs lie on the path as in its image."""
    data, programs = tmp_path / "data", tmp_path / "programs"
    for folder in (data / "secrets", programs):
        folder.mkdir(parents=True)
    docker = programs / "docker"
    docker.write_text(DOCKER.format(python=sys.executable, data=str(data)))
    docker.chmod(0o755)
    url = postgres_server.program.url(DATABASE).replace("postgres@", "kizashi@")
    postgres_server.execute("CREATE ROLE kizashi LOGIN SUPERUSER")
    kept = {name: text for name, text in os.environ.items() if not name.startswith("KIZASHI_")}
    yield kept | {
        "PATH": f"{programs}:{Path(binary('psql')).parent}:{os.environ['PATH']}",
        "PGHOST": "127.0.0.1",
        "PGPORT": str(postgres_server.program.port),
        "PYTHONPATH": str(ROOT),
        "KIZASHI_CONFIG_DIR": str(ROOT / "config"),
        "KIZASHI_DATA_DIR": str(data),
        "KIZASHI_IDENTITY_SECRET_FILE": str(data / "secrets/identity_secret"),
        "KIZASHI_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "KIZASHI_KAFKA__PARTITIONS": str(PARTITIONS),
        "KIZASHI_DATABASE__URL": url,
    }
    postgres_server.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
    postgres_server.execute(f"CREATE DATABASE {DATABASE}")
    postgres_server.execute("DROP ROLE kizashi")


def blocks() -> list[str]:
    """The commands of the guide's section about containers: backing up, and restoring."""
    section = GUIDE.read_text(encoding="utf-8").partition("## In containers\n")[2].partition("\n## ")[0]
    return re.findall(r"^```sh\n(.+?)^```", section, re.MULTILINE | re.DOTALL)


def shell(commands: str, env: dict[str, str], folder: Path) -> "subprocess.CompletedProcess[str]":
    command = ["bash", "-ec", commands]
    return subprocess.run(
        command, env=env, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
    )


async def query(env: dict[str, str], statement: str) -> list[tuple[object, ...]]:
    conn = await asyncpg.connect(env["KIZASHI_DATABASE__URL"])
    try:
        return [tuple(row) for row in await conn.fetch(statement)]
    finally:
        await conn.close()


def test_backup_and_restore_in_containers(env: dict[str, str], tmp_path: Path) -> None:
    save, restore = blocks()
    data = tmp_path / "data"
    secret, keys = data / "secrets/identity_secret", data / "keys.json"
    secret.write_text("of the leads\n")
    secret.chmod(0o600)
    create_key(keys, "site", ["leads:read"], system_clock())
    asyncio.run(prepare_servers(load(ScoringSettings, env), load(HandoffSettings, env)))
    lead = "INSERT INTO scoring.lead (id, version, state) VALUES ('00000000-0000-8000-a000-00000000000{}', 7, '')"
    mine = "SELECT id::text FROM scoring.lead WHERE id::text LIKE '00000000-0000-8000-a000-%'"
    asyncio.run(query(env, lead.format(1)))
    done = shell(save, env, tmp_path)
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE((tmp_path / "backups/monday").stat().st_mode) == 0o700
    secret.write_text("made since\n")
    keys.unlink()
    asyncio.run(query(env, lead.format(2)))
    # Of a later release: in the way of whoever drops what the dump names.
    asyncio.run(query(env, "CREATE TABLE scoring.later AS SELECT id FROM scoring.lead"))
    done = shell(restore, env, tmp_path)
    assert done.returncode == 0, done.stderr
    assert asyncio.run(query(env, mine)) == [("00000000-0000-8000-a000-000000000001",)]
    assert asyncio.run(query(env, THERE)) == [(False, False, False)]
    assert secret.read_text() == "of the leads\n"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert "site" in [key.name for key in list_keys(keys)]


def test_a_cut_dump_changes_nothing_and_an_ended_restore_is_known(env: dict[str, str], tmp_path: Path) -> None:
    save, restore = blocks()
    for name in ("secrets/identity_secret", "keys.json"):
        (tmp_path / "data" / name).write_text("[]")
    asyncio.run(prepare_servers(load(ScoringSettings, env), load(HandoffSettings, env)))
    assert shell(save, env, tmp_path).returncode == 0
    asyncio.run(query(env, "CREATE TABLE scoring.later (id int)"))
    dump = tmp_path / "backups/monday/kizashi.dump"
    whole = dump.read_bytes()
    dump.write_bytes(whole[: len(whole) * 9 // 10])
    assert shell(restore, env, tmp_path).returncode != 0
    assert asyncio.run(query(env, THERE)) == [(True, False, False)]
    dump.write_bytes(whole)
    assert shell(restore.replace("kizashi restore", "false"), env, tmp_path).returncode != 0
    assert asyncio.run(query(env, THERE)) == [(False, True, True)]


def test_a_record_that_no_service_has_written_is_named(env: dict[str, str], tmp_path: Path, kafka: KafkaServer) -> None:
    save, restore = blocks()
    (tmp_path / "data/secrets/identity_secret").write_text("of the leads\n")
    create_key(tmp_path / "data/keys.json", "site", ["leads:read"], system_clock())
    asyncio.run(prepare_servers(load(ScoringSettings, env), load(HandoffSettings, env)))
    assert shell(save, env, tmp_path).returncode == 0

    async def write() -> None:
        async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer:
            await producer.send_and_wait(LEAD_SCORES.name, b'{"mine": 1}', key=b"k", partition=0)

    asyncio.run(write())
    done = shell(restore, env, tmp_path)
    assert done.returncode == 1
    assert re.search(r"lead-scores, partition 0, offset \d+: no state that scoring has written", done.stderr)
    assert "Traceback" not in done.stderr


@pytest.fixture
def guarded(server_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DatabaseSettings]:
    """A server that asks user kizashi for PASSWORD, and the settings of docker-compose.yml for it."""
    rules = server_folder / "pg_hba.conf"
    rules.write_text("host all postgres all trust\nhost all kizashi all scram-sha-256\n")
    rules.chmod(0o644)
    program = PostgresProgram(server_folder / "guarded", free_block().postgres, {"hba_file": str(rules)})
    process = Supervised(program, server_folder / "guarded.log")
    process.start()
    try:
        process.wait_ready(START_TIMEOUT_S)
        server = PostgresServer(program, process)
        quoted = PASSWORD.replace("'", "''")
        server.execute(f"CREATE ROLE kizashi LOGIN PASSWORD '{quoted}'")
        monkeypatch.setenv("PGPASSWORD", PASSWORD)
        yield DatabaseSettings(url=program.url().replace("postgres@", "kizashi@"))
    finally:
        process.stop(STOP_GRACE_S)


async def test_a_password_of_any_text_reaches_the_database(guarded: DatabaseSettings) -> None:
    conn = await recovery.connect(guarded)
    await conn.close()
    pool = await create_pool(guarded, name="test", size=2)
    assert await pool.fetchval("SELECT current_user") == "kizashi"
    await pool.close()
    engine = create_engine(guarded, name="test")
    async with engine.connect() as connection:
        assert (await connection.exec_driver_sql("SELECT current_user")).scalar() == "kizashi"
    await engine.dispose()
