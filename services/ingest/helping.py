"""The other side of `helper.py`: what runs in a helper's process, with all that its work needs loaded ahead."""

import gc
import signal
from collections.abc import Callable
from functools import cache
from typing import TypeVar

import services.ingest.reading  # noqa: F401 - loaded before the first body comes

Result = TypeVar("Result")


def helped(work: Callable[[], Result]) -> Result:
    """Do `work` in a helper's process."""
    _settle()
    return work()


@cache
def _settle() -> None:
    # A terminal sends Ctrl-C to the whole group; a helper ends with the process it belongs to.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
