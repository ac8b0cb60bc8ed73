"""The whole stack in one process's care: Kafka, PostgreSQL and the services, started in order and kept running."""

import asyncio
import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.local import ports, state
from deploy.local.beforehand import check_before_services
from deploy.local.credentials import ensure_cli_key, ensure_identity_secret
from deploy.local.external import embedded_servers, without_password
from deploy.local.kafka import KafkaProgram
from deploy.local.leftovers import end_leftovers
from deploy.local.paths import ROOT, DataFolder
from deploy.local.postgres import PostgresProgram
from deploy.local.provision import provision
from deploy.local.report import Report, Silent
from deploy.local.services import NAMES, ServiceProgram, service_command, service_env
from deploy.local.supervisor import Change, Program, Supervised
from shared.errors import KizashiError, TransientError
from shared.settings import Settings, load

READY_TIMEOUT_S = 60.0
TOPICS_TIMEOUT_S = 20.0
# Together below the ten seconds that `kizashi down` promises.
SERVICE_GRACE_S = 3.0
SERVER_GRACE_S = 2.5


class AlreadyRunning(KizashiError):
    """Another stack holds the data folder."""


@dataclass(frozen=True, slots=True)
class StackOptions:
    """What a start is asked for. `services` are the names to start; `command` tells how (tests have their own).
    `more_services` are further processes by name, each on its port; `kafka_settings` come on top of the broker's own.
    """

    data_dir: Path
    config_dir: Path | None = None
    port_base: int | None = None
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    services: Sequence[str] = NAMES
    more_services: Mapping[str, int] = field(default_factory=dict)
    command: Callable[[str], tuple[str, ...]] = service_command
    kafka_settings: Mapping[str, str] = field(default_factory=dict)
    ready_timeout_s: float = READY_TIMEOUT_S


class Stack:
    """A started stack. Leave it as a context manager, or call `stop`."""

    def __init__(self, options: StackOptions, report: Report) -> None:
        self.data = DataFolder.at(options.data_dir)
        self._options = options
        self._report = report
        self._lock: int | None = None
        self._claim: ports.Claim | None = None
        self._writing = threading.Lock()
        self._servers: list[Supervised] = []
        self._services: list[Supervised] = []
        self._state: state.StackState | None = None
        self._complete = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def addresses(self) -> state.Addresses:
        """Where everything is."""
        if self._state is None:
            raise KizashiError("the stack is not started")
        return self._state.addresses

    @property
    def config_dir(self) -> Path:
        """The folder of the configuration, absolute."""
        chosen = self._options.config_dir or self._options.env.get("KIZASHI_CONFIG_DIR")
        return Path(chosen).expanduser().resolve() if chosen else ROOT / "config"

    def process(self, name: str) -> Supervised:
        """One of the supervised processes. Raises KeyError for a name that is not among them."""
        return {item.program.name: item for item in (*self._servers, *self._services)}[name]

    def start(self) -> None:
        """Start everything and wait until it is ready; on any failure stop what was started.

        Raises AlreadyRunning, StartFailed, ConfigError, KizashiError.
        """
        try:
            self._start()
        except BaseException as error:
            self._fail(error)
            raise

    def stop(self) -> None:
        """End the services, then the servers; within eight seconds. Harmless when nothing runs."""
        self._complete = False
        self._change_phase("stopping")
        for group, grace_s in ((self._services, SERVICE_GRACE_S), (self._servers, SERVER_GRACE_S)):
            _stop_all(group, grace_s)
            group.clear()
        if self._claim is not None:
            self._claim.release()
            self._claim = None
        if self._lock is not None:
            if self._state is not None and self._state.phase != "failed":
                self.data.state.unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def _start(self) -> None:
        env, options = self._options.env, self._options
        settings = load(Settings, env)
        embedded = embedded_servers(env, settings)
        self.data.create()
        self._lock = _lock(self.data)
        ended = end_leftovers(self.data)
        left = f"ended {ended} processes that an earlier stack left behind" if ended else ""
        self._claim = ports.choose(self.data.ports, options.port_base)
        block = self._claim.block
        ports.keep(self.data.ports, block)
        said = tuple(filter(None, (left, self._claim.said)))
        for text in said:
            self._report.say(text)
        self._begin_state(block, embedded, settings, said)
        ensure_identity_secret(self.data)
        ensure_cli_key(self.data, settings.key_store or self.data.key_store)
        if "kafka" in embedded:
            provision(self._report)
        self._start_servers(block)
        if self._options.services:
            check_before_services(load(Settings, self._env_of(block.base)))
        # The services wait for the topics by themselves; meanwhile they load.
        self._start_services(block)
        with self._report.part("Topics", "ready"):
            _create_topics(load(Settings, self._env_of(block.base)))
        self._await(self._services)
        self._complete = True
        self._change_phase("ready")

    def _start_servers(self, block: ports.PortBlock) -> None:
        embedded = self.addresses.embedded
        if "kafka" in embedded:
            self._supervise(self._servers, self._kafka(block))
        if "postgres" in embedded:
            self._supervise(self._servers, PostgresProgram(self.data.postgres, block.postgres))
        self._await(self._servers)

    def _kafka(self, block: ports.PortBlock) -> KafkaProgram:
        return KafkaProgram(self.data.kafka, block.kafka, block.controller, extra=self._options.kafka_settings)

    def _start_services(self, block: ports.PortBlock) -> None:
        ports_of = {name: block.services[name] for name in self._options.services}
        for name, port in {**ports_of, **self._options.more_services}.items():
            program = ServiceProgram(name, port, self._env_of(port), self._options.command(name))
            self._supervise(self._services, program)

    def _env_of(self, port: int) -> dict[str, str]:
        return service_env(self._options.env, self.data, self.addresses, str(self.config_dir), port)

    def _supervise(self, group: list[Supervised], program: Program) -> None:
        supervised = Supervised(program, self.data.log(program.name), self._on_change)
        group.append(supervised)
        supervised.start()

    def _await(self, group: list[Supervised]) -> None:
        labels = {"kafka": "Kafka", "postgres": "PostgreSQL"}
        for supervised in group:
            name = supervised.program.name
            with self._report.part(labels.get(name, name), "ready"):
                supervised.wait_ready(self._options.ready_timeout_s)

    def _begin_state(
        self, block: ports.PortBlock, embedded: tuple[str, ...], settings: Settings, said: tuple[str, ...]
    ) -> None:
        kafka = f"{ports.HOST}:{block.kafka}" if "kafka" in embedded else settings.kafka.bootstrap_servers
        given = settings.database.url.get_secret_value()
        database = PostgresProgram(self.data.postgres, block.postgres).url() if "postgres" in embedded else given
        services = {name: f"http://{ports.HOST}:{port}" for name, port in block.services.items()}
        addresses = state.Addresses(services, kafka, without_password(database), embedded)
        self._state = state.StackState(state.myself(), addresses, config_dir=str(self.config_dir), said=said)
        state.write(self.data.state, self._state)

    def _on_change(self, change: Change) -> None:
        if change.kind == "died" and self._complete:
            self._report.say(f"{change.name} died ({change.detail}); starting it again in {change.delay_s:.1f} s")
        if change.kind == "ready" and self._complete:
            self._report.say(f"{change.name} is ready again")
        with self._writing:
            if self._state is None:
                return
            now = state.describe_process(change.pid)
            before = self._state.processes.get(change.name, state.ProcessState())
            self._state = self._state.with_process(
                change.name,
                pid=now.pid,
                started=now.started,
                ready=change.kind == "ready",
                restarts=before.restarts + (change.kind == "died"),
            )
            self._write_state()

    def _change_phase(self, phase: state.Phase, problem: str = "") -> None:
        with self._writing:
            if self._state is not None and self._state.phase != "failed":
                self._state = replace(self._state, phase=phase, problem=problem)
                self._write_state()

    def _write_state(self) -> None:
        if self._state is not None:
            # A full disk must not end the supervision; the file is for looking at.
            with contextlib.suppress(OSError):
                state.write(self.data.state, self._state)

    def _fail(self, error: BaseException) -> None:
        if not isinstance(error, AlreadyRunning):
            self._change_phase("failed", str(error))
        self.stop()


def start(
    data_dir: Path,
    *,
    config_dir: Path | None = None,
    port_base: int | None = None,
    env: Mapping[str, str] | None = None,
    services: Sequence[str] = NAMES,
    report: Report | None = None,
) -> Stack:
    """Start a stack and return it when all is ready; `env` is added to this process's environment.

    Use as `with start(folder) as stack: …`. Raises AlreadyRunning, StartFailed, ConfigError, KizashiError.
    """
    options = StackOptions(
        data_dir=data_dir,
        config_dir=config_dir,
        port_base=port_base,
        env={**os.environ, **(env or {})},
        services=services,
    )
    stack = Stack(options, report or Silent())
    stack.start()
    return stack


def _lock(data: DataFolder) -> int:
    descriptor = os.open(data.lock, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise AlreadyRunning(f"a stack runs on {data.path} already; `kizashi down` ends it") from None
    return descriptor


def _create_topics(settings: Settings) -> None:
    from shared.kafka.admin import ensure_topics  # noqa: PLC0415 - 0.4 s that run while the servers start elsewhere

    deadline = time.monotonic() + TOPICS_TIMEOUT_S
    while True:
        try:
            # In a thread: the caller may have an event loop of its own.
            with ThreadPoolExecutor(1) as pool:
                return pool.submit(lambda: asyncio.run(ensure_topics(settings.kafka))).result()
        except TransientError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _stop_all(group: list[Supervised], grace_s: float) -> None:
    for supervised in group:
        supervised.request_stop()
    deadline = time.monotonic() + grace_s
    for supervised in group:
        supervised.stop(max(deadline - time.monotonic(), 0.1))
