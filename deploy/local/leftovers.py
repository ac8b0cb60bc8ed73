"""Finding and ending what a stack left running that died without a chance to stop its processes."""

import contextlib
import os
import time
from collections.abc import Iterator

import psutil

from deploy.local import state as states
from deploy.local.paths import DataFolder
from deploy.local.postgres import processes_in
from shared.errors import KizashiError

GRACE_S = 3.0
LIMIT_S = 8.0


def find_leftovers(data: DataFolder) -> list[psutil.Process]:
    """Live processes of this folder's stack. Call it holding the folder's lock: then none of them is wanted.

    By what the dead stack wrote down (pid and start time), and, as it may have died between a start and writing it
    down, by what only a process of this folder has: its settings file, its data folder, its environment.
    """
    found: dict[int, psutil.Process] = {}
    last = states.read(data.state)
    for item in last.processes.values() if last else ():
        process = states.find(item)
        if process is not None:
            found[process.pid] = process
    for process in (*processes_in(data.postgres / "data"), *_belonging(data)):
        found[process.pid] = process
    found.pop(os.getpid(), None)
    return list(found.values())


def end_leftovers(data: DataFolder) -> int:
    """End them, politely first. Returns how many there were. Raises KizashiError when one does not end."""
    leftovers = find_leftovers(data)
    for process in leftovers:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    deadline = time.monotonic() + GRACE_S
    alive = leftovers
    while alive:
        alive = [process for process in alive if states.is_alive(process)]
        if time.monotonic() > deadline:
            for process in alive:
                with contextlib.suppress(psutil.Error):
                    process.kill()
        if time.monotonic() > deadline + LIMIT_S:
            raise KizashiError(f"processes of an earlier stack do not end: {[process.pid for process in alive]}")
        time.sleep(0.02)
    return len(leftovers)


def _belonging(data: DataFolder) -> Iterator[psutil.Process]:
    properties = str(data.kafka / "server.properties")
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        with contextlib.suppress(psutil.Error, OSError):
            if not states.is_alive(process):
                continue
            is_service = len(command) > 2 and command[1] == "-m" and command[2].startswith("services.")
            if command[-1:] == [properties] or (
                is_service and process.environ().get("KIZASHI_DATA_DIR") == str(data.path)
            ):
                yield process
