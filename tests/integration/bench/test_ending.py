"""`kizashi bench` that is told to end."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from tests.integration.ingest.process import wait_until

RECEIVER = "deploy.bench.limits.bare_asgi"


def test_a_bench_that_is_ended_leaves_no_process_and_no_data(server_folder: Path) -> None:
    temporary = server_folder / "ended-bench"
    temporary.mkdir()
    temporary.chmod(0o711)
    command = [sys.executable, "-m", "deploy.cli.main", "bench", "--only", "webhook_delivery"]
    bench = subprocess.Popen(command, env={**os.environ, "TMPDIR": str(temporary)}, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: any(_is_receiver(child) for child in _below(bench.pid)), 60)
        assert list(temporary.glob("kizashi-bench-*"))
        started = _below(bench.pid)
        bench.send_signal(signal.SIGTERM)
        assert bench.wait(60) == 128 + signal.SIGTERM
    finally:
        bench.kill()
    assert [child for child in started if child.is_running()] == []
    assert list(temporary.iterdir()) == []


def _below(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def _is_receiver(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return RECEIVER in process.cmdline()
    return False
