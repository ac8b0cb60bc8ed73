"""Waiting by condition."""

import time
from collections.abc import Callable


def wait_for(condition: Callable[[], bool], timeout_s: float = 30.0) -> float:
    """The seconds until `condition` held. Raises AssertionError after `timeout_s`."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout_s, "still waiting"
        time.sleep(0.01)
    return time.monotonic() - started
