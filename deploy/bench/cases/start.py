"""How long a stack takes until it is ready."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

from deploy.bench.measuring import Line, line_of
from deploy.bench.rig import CONFIG, scratch
from deploy.local import stack as local_stack

ROUNDS = 3


async def measure() -> AsyncIterator[Line]:
    """start_warm: everything is set up, and the data folder has been used before."""
    with scratch() as folder:
        seen = [_start(folder / "data") for _ in range(ROUNDS + 1)]
    yield line_of("start_warm", "s", {"value": seen[1:]})


def _start(data_dir: Path) -> float:
    started = time.perf_counter()
    with local_stack.start(data_dir, config_dir=CONFIG):
        return time.perf_counter() - started
