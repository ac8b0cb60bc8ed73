"""A stack for as long as someone wants it: in the foreground until a signal, or detached from whoever asked for it.

`python -m deploy.local.run OPTIONS` is the detached supervisor itself.
"""

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from deploy.local import state
from deploy.local.paths import DataFolder
from deploy.local.report import Lines, Report
from deploy.local.stack import Stack, StackOptions
from deploy.local.supervisor import StartFailed
from shared.errors import KizashiError

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_POLL_S = 0.05


class Ended(BaseException):
    """A signal asked for the end."""


def run_until_ended(options: StackOptions, report: Report, on_ready: Callable[[Stack], None]) -> int:
    """Start a stack, call `on_ready`, wait for Ctrl-C or SIGTERM, stop everything. Returns the exit code."""
    for number in _ENDING:
        # Under nohup a closed terminal is no reason to end.
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise_ended)
    stack = Stack(options, report)
    try:
        stack.start()
        on_ready(stack)
        while True:
            signal.pause()
    except Ended:
        report.say("stopping")
    except (KizashiError, OSError) as error:
        describe_failure(error, report)
        return 1
    finally:
        stack.stop()
    return 0


def describe_failure(error: Exception, report: Report) -> None:
    """Say why a start failed, with the end of the log of the process to blame."""
    report.say(f"kizashi: {error}")
    if isinstance(error, StartFailed) and error.tail:
        report.say(f"the end of its log:\n{error.tail}")


def detach(options: StackOptions, report: Report, module: str = "deploy.local.run") -> state.StackState:
    """Start a supervisor that outlives this process and shares none of its descriptors; return when all is ready.

    `module` is what runs as the supervisor. Raises KizashiError with the reason when it does not come to that.
    """
    data = DataFolder.at(options.data_dir)
    data.create()
    log = data.log("supervisor")
    offset = log.stat().st_size if log.exists() else 0
    with log.open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", module, *_arguments(options)],
            env={**options.env, "PYTHONSAFEPATH": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        with report.part("Stack", "started in the background"):
            reached = _await_ready(data, child)
    except BaseException:
        child.terminate()
        raise
    if reached is None:
        said = log.read_bytes()[offset:].decode("utf-8", "replace").strip()
        raise KizashiError(said.partition("kizashi: ")[2] or said)
    for text in reached.said:
        report.say(text)
    child.returncode = 0  # it lives on, and is not this process's to wait for
    return reached


def main(arguments: Sequence[str]) -> int:
    """The detached supervisor. Returns the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--config-dir", type=Path)
    parser.add_argument("--port-base", type=int)
    given = parser.parse_args(arguments)
    options = StackOptions(data_dir=given.data_dir, config_dir=given.config_dir, port_base=given.port_base)
    return run_until_ended(options, Lines(), lambda _: None)


def _arguments(options: StackOptions) -> list[str]:
    chosen = {"--data-dir": options.data_dir, "--config-dir": options.config_dir, "--port-base": options.port_base}
    return [part for name, value in chosen.items() if value is not None for part in (name, str(value))]


def _await_ready(data: DataFolder, child: subprocess.Popen[bytes]) -> state.StackState | None:
    """The state once all is ready, None when the supervisor gave up."""
    while child.poll() is None:
        now = state.read(data.state)
        if now is not None and now.supervisor.pid == child.pid and now.phase == "ready":
            return now
        time.sleep(_POLL_S)
    return None


def _raise_ended(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the signature of a handler
    # Once is enough: a second Ctrl-C must not cut the stopping short.
    for each in _ENDING:
        signal.signal(each, signal.SIG_IGN)
    raise Ended


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
