"""A supervised process comes back after a kill, ends on request, and never outlives its supervisor."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil
import pytest

from deploy.local.supervisor import Change, Launch, RestartPolicy, StartFailed, Supervised
from tests.integration.local.waiting import wait_for

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)

SUPERVISOR = """
import sys, time
from pathlib import Path
from deploy.local.supervisor import Supervised
from tests.integration.local.test_supervisor import STUBBORN, Script
log = Path(sys.argv[1])
process = Supervised(Script(STUBBORN, log), log)
process.start()
process.wait_ready(20.0)
print(process.pid, flush=True)
time.sleep(600)
"""


@dataclass
class Script:
    """A Python one-liner as a program; ready when its log says so."""

    code: str
    log: Path
    name: str = "script"
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL

    def prepare(self) -> Launch:
        self.log.unlink(missing_ok=True)
        return Launch((sys.executable, "-c", self.code), dict(os.environ), Path("/"))

    def ready(self, _: int) -> bool:
        return self.log.exists() and "up" in self.log.read_text()


@dataclass(slots=True)
class Watched:
    process: Supervised
    changes: list[Change]


class Supervise(Protocol):
    def __call__(self, code: str, policy: RestartPolicy | None = None) -> Watched: ...


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Supervise]:
    started: list[Supervised] = []

    def start(code: str, policy: RestartPolicy | None = None) -> Watched:
        changes: list[Change] = []
        log = tmp_path / "script.log"
        process = Supervised(Script(code, log), log, changes.append, policy)
        started.append(process)
        process.start()
        return Watched(process, changes)

    yield start
    for process in started:
        process.stop(0.5)


def test_a_killed_process_is_started_again(supervise: Supervise) -> None:
    watched = supervise("import time; print('up', flush=True); time.sleep(600)")
    watched.process.wait_ready(10.0)
    first = watched.process.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: [change.kind for change in watched.changes].count("ready") == 2)
    died = next(change for change in watched.changes if change.kind == "died")
    assert (died.detail, died.delay_s) == ("ended by SIGKILL", 0.2)
    assert watched.process.pid not in {None, first}
    assert watched.process.restarts == 1


def test_the_pid_is_the_program_itself(supervise: Supervise) -> None:
    watched = supervise("import os, time; print('up', os.getpid(), flush=True); time.sleep(600)")
    watched.process.wait_ready(10.0)
    assert watched.process.tail().split() == ["up", str(watched.process.pid)]


def test_there_is_no_pid_while_waiting_for_the_next_start(supervise: Supervise) -> None:
    watched = supervise("import sys; sys.exit(3)", RestartPolicy(first_s=60.0))
    wait_for(lambda: any(change.kind == "died" for change in watched.changes))
    assert watched.process.pid is None
    assert watched.changes[-1].detail == "exit code 3"


def test_a_process_that_cannot_start_is_given_up_soon_with_its_last_words(supervise: Supervise) -> None:
    watched = supervise(
        "import sys; sys.exit('no such adapter: hubspott')", RestartPolicy(first_s=1.0, limit_s=1.0)
    )  # the next start empties the log
    with pytest.raises(StartFailed, match="script ends as soon as it starts: exit code 1") as failure:
        watched.process.wait_ready(30.0)
    assert "no such adapter: hubspott" in failure.value.tail


def test_a_process_that_never_gets_ready_is_given_up_after_the_limit(supervise: Supervise) -> None:
    watched = supervise("import time; print('starting', flush=True); time.sleep(600)")
    with pytest.raises(StartFailed, match=r"script did not become ready within 0\.5 s") as failure:
        watched.process.wait_ready(0.5)
    assert failure.value.tail == "starting"


def test_one_that_will_not_end_is_killed_after_its_grace(supervise: Supervise) -> None:
    watched = supervise(STUBBORN)
    watched.process.wait_ready(10.0)
    pid = watched.process.pid
    began = time.monotonic()
    watched.process.stop(0.5)
    assert time.monotonic() - began < 2.0
    assert pid is not None
    assert not psutil.pid_exists(pid)


def test_children_end_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SUPERVISOR, str(tmp_path / "script.log")]
    supervisor = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert supervisor.stdout is not None
    child = int(supervisor.stdout.readline())
    assert psutil.pid_exists(child)
    supervisor.kill()
    supervisor.wait()
    supervisor.stdout.close()
    wait_for(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)
