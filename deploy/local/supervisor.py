"""Keeping one process running: start it, know when it is ready, start it again when it dies, end it."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal, Protocol

from deploy.local import launch
from shared.errors import KizashiError

POLL_S = 0.03
LOG_LIMIT_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Launch:
    """How a process is to be started; `privileges` are options of launch.py."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    privileges: tuple[str, ...] = ()


class Program(Protocol):
    """What the supervisor needs to know of a program. Called in the supervising thread, and may block there."""

    name: str
    stop_signal: signal.Signals
    death_signal: signal.Signals
    """Sent by the kernel when the supervisor dies (Linux)."""

    def prepare(self) -> Launch:
        """Called before every start: clean up after the last one. Raises KizashiError or OSError to be tried again."""

    def ready(self, pid: int, /) -> bool:
        """Whether the process does its work; asked until it says yes once."""


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """How long to wait before a restart: doubling while it keeps dying, from the first wait again once it held."""

    first_s: float = 0.2
    limit_s: float = 5.0
    healthy_s: float = 10.0

    def delay(self, previous_s: float | None, healthy_for_s: float) -> float:
        """`previous_s` is the wait before the run that just ended, None for the first; all in seconds."""
        if previous_s is None or healthy_for_s >= self.healthy_s:
            return self.first_s
        return min(previous_s * 2, self.limit_s)


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happened to a process; `detail` says how it ended and `delay_s` how long until the next start."""

    name: str
    kind: Literal["started", "ready", "died", "stopped"]
    pid: int | None = None
    detail: str = ""
    delay_s: float = 0.0


class StartFailed(KizashiError):
    """A process did not become ready; `tail` is the end of its log."""

    def __init__(self, name: str, reason: str, tail: str) -> None:
        super().__init__(f"{name} {reason}")
        self.name = name
        self.tail = tail


@dataclass(slots=True)
class _Run:
    """The state of one supervised process; written by its thread alone."""

    process: subprocess.Popen[bytes] | None = None
    deaths: int = 0
    last_end: str = ""
    ready_at: float | None = None
    delay_s: float | None = None
    ready: threading.Event = field(default_factory=threading.Event)
    stop: threading.Event = field(default_factory=threading.Event)


class Supervised:
    """One program and the thread that keeps it running.

    The thread lives as long as the program is wanted: Linux ends a child when the thread that started it ends.
    """

    def __init__(
        self,
        program: Program,
        log: Path,
        notify: Callable[[Change], None] = lambda _: None,
        policy: RestartPolicy | None = None,
    ) -> None:
        self.program = program
        self.log = log
        self._notify = notify
        self._policy = policy or RestartPolicy()
        self._run = _Run()
        self._thread = threading.Thread(target=self._supervise, name=f"supervise-{program.name}", daemon=True)

    @property
    def pid(self) -> int | None:
        """The process itself; None while there is none."""
        process = self._run.process
        return process.pid if process is not None and process.returncode is None else None

    @property
    def restarts(self) -> int:
        return self._run.deaths

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def wait_ready(self, timeout_s: float, patience: int = 3) -> None:
        """Wait until the program was ready once.

        Raises StartFailed after `timeout_s`, or at once when it died `patience` times before: what fails three times
        within a second will not come right by itself.
        """
        deadline = time.monotonic() + timeout_s
        while not self._run.ready.wait(POLL_S):
            if self._run.deaths >= patience:
                raise StartFailed(self.program.name, f"ends as soon as it starts: {self._run.last_end}", self.tail())
            if time.monotonic() > deadline or self._run.stop.is_set():
                raise StartFailed(self.program.name, f"did not become ready within {timeout_s:g} s", self.tail())

    def request_stop(self) -> None:
        """Ask it to end, without waiting."""
        self._run.stop.set()

    def stop(self, grace_s: float) -> None:
        """End it: politely first, by SIGKILL after `grace_s`."""
        self.request_stop()
        if self._thread.is_alive():
            self._thread.join(grace_s)
        process = self._run.process
        if process is not None and process.poll() is None:
            process.kill()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def tail(self, lines: int = 20) -> str:
        """The end of its log."""
        return tail_of(self.log, lines)

    def _supervise(self) -> None:
        run = self._run
        while not run.stop.is_set():
            run.ready_at = None
            end = self._start_and_wait()
            if run.stop.is_set():
                break
            run.deaths += 1
            run.last_end = end
            healthy_for = time.monotonic() - run.ready_at if run.ready_at is not None else 0.0
            run.delay_s = self._policy.delay(run.delay_s, healthy_for)
            self._notify(Change(self.program.name, "died", detail=end, delay_s=run.delay_s))
            run.stop.wait(run.delay_s)
        self._notify(Change(self.program.name, "stopped"))

    def _start_and_wait(self) -> str:
        """One life of the process. Returns how it ended."""
        run = self._run
        try:
            launched = self.program.prepare()
            process = run.process = _spawn(self.program, launched, self.log)
        except (KizashiError, OSError, subprocess.SubprocessError) as error:
            return str(error)
        self._notify(Change(self.program.name, "started", process.pid))
        while process.poll() is None and not run.stop.wait(POLL_S):
            if run.ready_at is None and self.program.ready(process.pid):
                run.ready_at = time.monotonic()
                run.ready.set()
                self._notify(Change(self.program.name, "ready", process.pid))
            _shorten(self.log)
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(self.program.stop_signal)
            process.wait()
        return _how_it_ended(process.returncode)


def _spawn(program: Program, launched: Launch, log: Path) -> subprocess.Popen[bytes]:
    options = ("--parent", str(os.getpid()), "--death-signal", str(int(program.death_signal)), *launched.privileges)
    return run_through_launcher(launched, options, log)


def run_through_launcher(launched: Launch, options: tuple[str, ...], log: Path) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own (Ctrl-C of the terminal is the supervisor's to handle), its output
    appended to `log`. Raises OSError.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", launch.__file__, *options, "--", *launched.argv],
            env=dict(launched.env),
            cwd=launched.cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"ended by signal {-code}"


def _shorten(log: Path) -> None:
    """Keep the last part of an overlong log beside it. Works under the writer, which appends."""
    with contextlib.suppress(OSError):
        if log.stat().st_size > LOG_LIMIT_BYTES:
            log.with_suffix(".log.1").write_bytes(log.read_bytes())
            os.truncate(log, 0)


def tail_of(path: Path, lines: int) -> str:
    """The last lines of a text file, at most 16 KiB; empty when it cannot be read."""
    try:
        with path.open("rb") as file:
            _seek_back(file, 16_384)
            return "\n".join(file.read().decode("utf-8", "replace").splitlines()[-lines:])
    except OSError:
        return ""


def _seek_back(file: IO[bytes], size: int) -> None:
    file.seek(0, os.SEEK_END)
    file.seek(max(file.tell() - size, 0))
