"""Ending a stack from outside."""

import contextlib
import fcntl
import os
import time

import psutil

from deploy.local import state
from deploy.local.leftovers import end_leftovers
from deploy.local.paths import DataFolder
from shared.errors import KizashiError

PATIENCE_S = 7.5
_POLL_S = 0.05


def is_running(data: DataFolder) -> bool:
    """Whether a supervisor holds the folder."""
    descriptor = _try_lock(data)
    if descriptor is None:
        return data.lock.exists()
    os.close(descriptor)
    return False


def end_stack(data: DataFolder) -> bool:
    """End the stack of a folder and whatever an earlier one left there, within ten seconds.

    Returns whether there was anything to end. Raises KizashiError when processes do not end.
    """
    if not data.lock.exists():
        return False
    was_running = is_running(data)
    if was_running:
        _ask_supervisor(data)
    deadline = time.monotonic() + PATIENCE_S
    while (descriptor := _try_lock(data)) is None:
        if time.monotonic() > deadline:
            _kill_supervisor(data)
        if time.monotonic() > deadline + 1.0:
            raise KizashiError(f"the stack on {data.path} does not end")
        time.sleep(_POLL_S)
    try:
        ended = end_leftovers(data)
        data.state.unlink(missing_ok=True)
    finally:
        os.close(descriptor)
    return was_running or ended > 0


def _ask_supervisor(data: DataFolder) -> None:
    process = _supervisor(data)
    if process is not None:
        with contextlib.suppress(psutil.Error):
            process.terminate()


def _kill_supervisor(data: DataFolder) -> None:
    process = _supervisor(data)
    if process is not None:
        with contextlib.suppress(psutil.Error):
            process.kill()


def _supervisor(data: DataFolder) -> psutil.Process | None:
    now = state.read(data.state)
    process = state.find(now.supervisor) if now else None
    return process if process is not None and process.pid != os.getpid() else None


def _try_lock(data: DataFolder) -> int | None:
    try:
        descriptor = os.open(data.lock, os.O_WRONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
