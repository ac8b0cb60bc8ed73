"""The whole stack with real servers; the services are stand-ins that only answer /readyz."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from deploy.cli.status import collect
from deploy.local import ports, state
from deploy.local.end import end_stack, is_running
from deploy.local.leftovers import end_leftovers
from deploy.local.paths import DataFolder
from deploy.local.report import Silent
from deploy.local.run import detach
from deploy.local.stack import AlreadyRunning, Stack, StackOptions
from deploy.local.supervisor import StartFailed
from shared.errors import KizashiError
from tests.integration.local.standin_stack import command
from tests.integration.local.waiting import wait_for

STANDIN_STACK = "tests.integration.local.standin_stack"
NAMES = ["ingest", "scoring", "handoff"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A place for a stack, ended with whatever a failed test left in it."""
    with tempfile.TemporaryDirectory(prefix="kizashi-stack-") as name:
        path = Path(name).resolve()
        path.chmod(0o711)
        # A name that a careless setting would take apart.
        yield path / "my data, ü"
        end_stack(DataFolder.at(path / "my data, ü"))


def options(folder: Path, **others: Any) -> StackOptions:
    base = others.pop("port_base", None) or ports.free_block().base
    return StackOptions(data_dir=folder, port_base=base, command=command, **others)


def running(folder: Path, **others: Any) -> Stack:
    stack = Stack(options(folder, **others), Silent())
    stack.start()
    return stack


def parts(folder: Path) -> dict[str, dict[str, Any]]:
    report = collect(DataFolder.at(folder), os.environ)
    return {**report["services"], "kafka": report["kafka"], "postgres": report["postgres"]}


def self_report(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/self") as answer:
        report: dict[str, Any] = json.loads(answer.read())
        return report


def test_everything_is_started_told_shown_and_stopped(folder: Path) -> None:
    with running(folder) as stack:
        shown = parts(folder)
        assert {name: part["healthy"] for name, part in shown.items()} == dict.fromkeys(
            [*NAMES, "kafka", "postgres"], True
        )
        assert shown["kafka"]["bootstrap_servers"] == stack.addresses.bootstrap_servers
        assert shown["postgres"]["url"] == stack.addresses.database_url
        for name in NAMES:
            report = self_report(shown[name]["url"])
            assert report["pid"] == shown[name]["pid"]
            assert report["env"]["KIZASHI_DATABASE__URL"] == stack.addresses.database_url
        with pytest.raises(AlreadyRunning, match=r"runs on .* already"):
            running(folder)
        assert parts(folder) == shown
    assert not is_running(stack.data)
    assert {(part["pid"], part["healthy"]) for part in parts(folder).values()} == {(None, False)}
    block = ports.kept_block(stack.data.ports)
    assert block is not None
    assert ports.taken_ports(block) == []


@pytest.mark.parametrize("name", ["scoring", "kafka", "postgres"])
def test_what_is_killed_comes_back_and_is_reported(folder: Path, name: str) -> None:
    with running(folder) as stack:
        before = parts(folder)[name]["pid"]
        os.kill(before, signal.SIGKILL)
        wait_for(lambda: parts(folder)[name]["pid"] is None, 5.0)
        wait_for(lambda: bool(parts(folder)[name]["healthy"]))
        after = parts(folder)[name]
        assert after["pid"] != before
        assert after["restarts"] == stack.process(name).restarts == 1


def test_a_supervisor_that_is_killed_leaves_no_mess(folder: Path) -> None:
    base = str(ports.free_block().base)
    arguments = [sys.executable, "-m", STANDIN_STACK, "--data-dir", str(folder), "--port-base", base]
    # Nothing on the PATH: no java, no postgres, no shell tools of the machine are needed.
    env = {**os.environ, "PATH": str(folder), "JAVA_HOME": "/nowhere", "PGDATA": "/nowhere", "PGPORT": "1"}
    supervisor = subprocess.Popen(arguments, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert supervisor.stdout is not None
    assert supervisor.stdout.readline() == b"ready\n"
    pids = [part["pid"] for part in parts(folder).values()]
    supervisor.kill()
    supervisor.wait()
    supervisor.stdout.close()
    assert all(part["healthy"] is False for part in parts(folder).values())

    with running(folder, port_base=int(base)):
        assert all(part["healthy"] for part in parts(folder).values())
        assert not any(_is_live(pid) for pid in pids)


def _is_live(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


async def test_data_and_ports_are_kept_from_one_start_to_the_next(folder: Path) -> None:
    with running(folder) as stack:
        addresses = stack.addresses
        connection = await asyncpg.connect(addresses.database_url)
        await connection.execute("CREATE TABLE kept AS SELECT 1 AS id")
        await connection.close()
        secrets = [path.read_bytes() for path in (stack.data.identity_secret, stack.data.cli_key)]
        assert [path.stat().st_mode & 0o777 for path in (stack.data.identity_secret, stack.data.cli_key)] == [0o600] * 2
        assert stack.data.secrets.stat().st_mode & 0o777 == 0o700

    with Stack(StackOptions(data_dir=folder, command=command), Silent()) as again:
        again.start()
        assert again.addresses == addresses
        connection = await asyncpg.connect(addresses.database_url)
        assert await connection.fetchval("SELECT id FROM kept") == 1
        await connection.close()
        assert [path.read_bytes() for path in (again.data.identity_secret, again.data.cli_key)] == secrets


def test_a_detached_stack_keeps_no_descriptor_of_its_caller_and_ends_within_ten_seconds(folder: Path) -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    try:
        reached = detach(options(folder), Silent(), STANDIN_STACK)
        assert reached.phase == "ready"
    finally:
        os.close(writing)
    # End of file at once: nobody else holds the other end.
    assert os.read(reading, 1) == b""
    os.close(reading)
    assert all(part["healthy"] for part in parts(folder).values())
    supervisor = psutil.Process(reached.supervisor.pid)
    assert {file.path for file in supervisor.open_files()} <= {str(DataFolder.at(folder).log("supervisor"))} | {
        str(DataFolder.at(folder).lock)
    }
    began = time.monotonic()
    assert end_stack(DataFolder.at(folder))
    assert time.monotonic() - began < 10.0
    assert not end_stack(DataFolder.at(folder))


def test_a_service_that_does_not_start_is_named_with_the_end_of_its_log(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN_FAILS", "scoring")
    with pytest.raises(StartFailed, match="scoring ends as soon as it starts") as failure:
        running(folder)
    assert "expected a known adapter" in failure.value.tail
    assert not is_running(DataFolder.at(folder))
    with pytest.raises(KizashiError, match=r"scoring ends as soon as it starts(.|\n)*expected a known adapter"):
        detach(options(folder), Silent(), STANDIN_STACK)


def test_a_taken_port_is_an_error_when_chosen_and_avoided_otherwise(folder: Path) -> None:
    block = ports.free_block()
    kept = folder.parent / "ports.json"
    ports.keep(kept, block)
    with socket.create_server(("127.0.0.1", block.kafka)):
        with pytest.raises(KizashiError, match=f"port {block.kafka} is taken"):
            running(folder, port_base=block.base)
        claim = ports.choose(kept, None)
        assert block.kafka not in claim.block.all
        assert claim.said.startswith(f"ports from {block.base} are taken in part; using {claim.block.base} to ")
        claim.release()
    claim = ports.choose(kept, None)
    assert (claim.block, claim.said) == (block, "")
    claim.release()


def test_a_block_is_taken_from_the_moment_it_is_chosen(tmp_path: Path) -> None:
    block = ports.free_block()
    kept = tmp_path / "ports.json"
    ports.keep(kept, block)
    first, second = ports.choose(kept, None), ports.choose(kept, None)
    assert first.block == block
    assert not set(first.block.all) & set(second.block.all)
    with pytest.raises(KizashiError, match=f"port {block.base} is taken"):
        ports.choose(kept, block.base)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", block.base), timeout=5)
    first.release()
    again = ports.choose(kept, block.base)
    assert again.block == block
    for claim in (second, again):
        claim.release()


# Its main thread ends, so that it is shown as a zombie, and another thread keeps its port.
_HALF_DEAD = """
import ctypes, socket, threading, time
held = socket.create_server(("127.0.0.1", {port}))
threading.Thread(target=time.sleep, args=(600,)).start()
ctypes.CDLL(None).pthread_exit(None)
"""


def test_a_leftover_counts_as_ended_only_once_its_ports_are_free(folder: Path) -> None:
    data = DataFolder.at(folder)
    data.create()
    block = ports.free_block()
    dying = subprocess.Popen([sys.executable, "-c", _HALF_DEAD.format(port=block.kafka)])
    try:
        wait_for(lambda: not ports.is_free(block.kafka))
        wait_for(lambda: psutil.Process(dying.pid).status() == psutil.STATUS_ZOMBIE)
        processes = {"kafka": state.describe_process(dying.pid, ready=True)}
        state.write(data.state, state.StackState(state.myself(), state.Addresses({}, "", ""), processes=processes))
        assert end_leftovers(data) == 1
        assert ports.taken_ports(block) == []
    finally:
        dying.kill()
        dying.wait()


def test_only_its_own_leftovers_are_ended(folder: Path, tmp_path: Path) -> None:
    data = DataFolder.at(folder)
    data.create()
    module = tmp_path / "services" / "waiting.py"
    module.parent.mkdir()
    (module.parent / "__init__.py").touch()
    module.write_text("import time; time.sleep(600)")
    sleeper = [sys.executable, str(module)]
    service = [sys.executable, "-m", "services.waiting"]
    mine, others = ({**os.environ, "KIZASHI_DATA_DIR": str(place)} for place in (folder, tmp_path))
    # Written down; of a pid that was given away again; not written down but ours; another folder's.
    known, reused = subprocess.Popen(sleeper), subprocess.Popen(sleeper)
    unknown, foreign = (subprocess.Popen(service, cwd=tmp_path, env=env) for env in (mine, others))
    try:
        written = state.describe_process(known.pid, ready=True)
        stale = state.ProcessState(pid=reused.pid, started=written.started - 3_600)
        processes = {"ingest": written, "kafka": stale}
        state.write(data.state, state.StackState(state.myself(), state.Addresses({}, "", ""), processes=processes))
        wait_for(lambda: "-m" in psutil.Process(unknown.pid).cmdline())
        assert end_leftovers(data) == 2
        assert [process.wait(5.0) for process in (known, unknown)] == [-signal.SIGTERM] * 2
        assert [process.poll() for process in (reused, foreign)] == [None, None]
    finally:
        for process in (known, reused, unknown, foreign):
            process.kill()
            process.wait()
