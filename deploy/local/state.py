"""What a running stack tells the other commands, in one small file of the data folder."""

import contextlib
import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import psutil

Phase = Literal["starting", "ready", "stopping", "failed"]


@dataclass(frozen=True, slots=True)
class ProcessState:
    """One supervised process; `started` is its start in seconds since 1970, which tells it from a later one of the
    same pid. `pid` is None while it is being restarted.
    """

    pid: int | None = None
    started: float = 0.0
    ready: bool = False
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where everything is. `embedded` names the servers the stack runs itself; URLs hold no password."""

    services: dict[str, str]
    bootstrap_servers: str
    database_url: str
    embedded: tuple[str, ...] = ("kafka", "postgres")


@dataclass(frozen=True, slots=True)
class StackState:
    """The whole file. `problem` says why a start failed, `said` what the user should know of one that did not."""

    supervisor: ProcessState
    addresses: Addresses
    phase: Phase = "starting"
    problem: str = ""
    said: tuple[str, ...] = ()
    config_dir: str = "config"
    processes: dict[str, ProcessState] = field(default_factory=dict)

    def with_process(self, name: str, **changes: Any) -> "StackState":
        """A copy in which one process has changed."""
        changed = replace(self.processes.get(name, ProcessState()), **changes)
        return replace(self, processes={**self.processes, name: changed})


def write(path: Path, state: StackState) -> None:
    """Replace the file, whole or not at all."""
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(asdict(state), indent=1), encoding="utf-8")
    draft.replace(path)


def read(path: Path) -> StackState | None:
    """The state as last written, also by a stack that is gone; None when there never was one, or none readable."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        tree = json.loads(path.read_text(encoding="utf-8"))
        addresses = tree["addresses"]
        return StackState(
            supervisor=ProcessState(**tree["supervisor"]),
            addresses=Addresses(**{**addresses, "embedded": tuple(addresses["embedded"])}),
            phase=tree["phase"],
            problem=tree["problem"],
            said=tuple(tree["said"]),
            config_dir=tree["config_dir"],
            processes={name: ProcessState(**item) for name, item in tree["processes"].items()},
        )
    return None


def describe_process(pid: int | None, **others: Any) -> ProcessState:
    """The state of the process with this pid; without one if it is gone already."""
    if pid is None:
        return ProcessState(**others)
    with contextlib.suppress(psutil.Error):
        return ProcessState(pid=pid, started=psutil.Process(pid).create_time(), **others)
    return ProcessState(**others)


def myself() -> ProcessState:
    """The state of this process."""
    return describe_process(os.getpid(), ready=True)


def find(state: ProcessState) -> psutil.Process | None:
    """The live process that the state speaks of, never another that got its pid later; None when it is gone."""
    if state.pid is None:
        return None
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(state.pid)
        # Start times are counted in ticks of the system's clock, a hundredth of a second.
        if abs(process.create_time() - state.started) < 0.5 and is_alive(process):
            return process
    return None


def is_alive(process: psutil.Process) -> bool:
    """Whether it can still do or hold anything. One whose main thread has ended is shown as a zombie while its other
    threads end, and until then its ports are taken.
    """
    try:
        return process.is_running() and (process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1)
    except psutil.Error:
        return False
