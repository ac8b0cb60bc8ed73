"""The servers that are measured, and those they are measured against."""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil

from deploy.local import ports
from deploy.local import stack as local_stack
from deploy.local.stack import Stack
from shared.errors import KizashiError

CONFIG = Path(__file__).parent / "config"
START_WITHIN_S = 30.0
MIB = 1_048_576


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that other users may enter, as PostgreSQL does not run as root; removed in the end."""
    with tempfile.TemporaryDirectory(prefix="kizashi-bench-") as name:
        folder = Path(name).resolve()
        folder.chmod(0o711)
        yield folder


@contextmanager
def stack_of(services: Sequence[str], *, started_before: bool = False) -> Iterator[Stack]:
    """A stack with the measurements' own model and these services, on fresh data; or, as most starts are, on data that
    a start before has prepared.
    """
    # All load comes from one address.
    env = {"KIZASHI_HANDOFF__FIRST_START_GRACE_S": "0", "KIZASHI_RATE__PER_ADDRESS": ""}
    with scratch() as folder:
        start = partial(local_stack.start, folder / "data", config_dir=CONFIG, services=services, env=env)
        if started_before:
            with start():
                pass
        with start() as stack:
            yield stack


def cli_key(stack: Stack) -> str:
    """The stack's own API key."""
    return stack.data.cli_key.read_text(encoding="ascii").strip()


@contextmanager
def serving(module: str, *arguments: str) -> Iterator[str]:
    """Run `python -m module PORT arguments…` and give its address once it listens."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", module, str(port), *arguments])
    try:
        _await_port(port, process)
        yield f"http://{ports.HOST}:{port}"
    finally:
        process.terminate()
        process.wait(START_WITHIN_S)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((ports.HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _await_port(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_WITHIN_S
    while True:
        with socket.socket() as probe:
            probe.settimeout(0.2)
            if probe.connect_ex((ports.HOST, port)) == 0:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise KizashiError(f"{process.args!r} does not listen")
        time.sleep(0.05)


def resident_mib(pid: int | None) -> float:
    """The largest resident size a process has had so far, and what its helpers take beside it now, in MiB; on macOS all
    of it now. Raises KizashiError.
    """
    if pid is None:
        raise KizashiError("the process is not running")
    helpers = [child.memory_full_info().uss for child in psutil.Process(pid).children(recursive=True)]
    return _peak(pid) + sum(helpers) / MIB


def _peak(pid: int) -> float:
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        peak = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) / 1024
    return float(psutil.Process(pid).memory_info().rss) / MIB
