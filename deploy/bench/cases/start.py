"""How long a stack takes until it is ready."""

import os
import queue
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

from deploy.bench.measuring import Line, line_of
from deploy.bench.rig import CONFIG, scratch
from deploy.local import stack as local_stack
from deploy.local.paths import ROOT
from shared.errors import KizashiError

ROUNDS = 3
COLD_WITHIN_S = 600.0
READY = "Kizashi is ready"
_MADE = shutil.ignore_patterns(".git", ".venv", ".cache", ".kizashi", ".*_cache", ".hypothesis", "__pycache__")


async def measure() -> AsyncIterator[Line]:
    """start_warm: everything is set up, and the data folder has been used before. start_cold: a fresh checkout."""
    with scratch() as folder:
        seen = [_start(folder / "data") for _ in range(ROUNDS + 1)]
    yield line_of("start_warm", "s", {"value": seen[1:]})
    with scratch() as folder:
        yield Line("start_cold", _cold(folder), "s")


def _start(data_dir: Path) -> float:
    started = time.perf_counter()
    with local_stack.start(data_dir, config_dir=CONFIG):
        return time.perf_counter() - started


def _cold(folder: Path) -> float:
    """`make up` in a copy of this checkout with an empty home: everything is fetched. Once, as it asks registries."""
    tree, home = folder / "kizashi", folder / "home"
    shutil.copytree(ROOT, tree, ignore=_MADE)
    home.mkdir()
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("KIZASHI_", "UV_", "XDG_", "MAKE"))
    }
    started = time.perf_counter()
    process = subprocess.Popen(
        ["make", "up"],  # noqa: S607 - the README's command
        cwd=tree,
        env={**kept, "HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        _await_ready(process)
        return time.perf_counter() - started
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)


def _await_ready(process: "subprocess.Popen[str]") -> None:
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in process.stdout or ():
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    said: list[str] = []
    deadline = time.monotonic() + COLD_WITHIN_S
    while (line := lines.get(timeout=max(0.0, deadline - time.monotonic()))) is not None:
        if READY in line:
            return
        said.append(line)
    raise KizashiError(f"`make up` in a fresh checkout ended: {''.join(said)[-500:]}")
