"""Telling that two processes use one instance name: each throws the other out of the group, for ever."""

import time
from collections import deque
from collections.abc import Callable

import structlog

WITHIN_S, TOO_MANY = 30.0, 10
"""A group that grows, shrinks or is restarted one by one shares its partitions out anew a few times."""

log = structlog.get_logger()


class Rivals:
    """Counts how often a member of a group was given its partitions anew. Without an instance name it has no rivals."""

    def __init__(self, group: str, instance: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._group = group
        self._instance = instance
        self._clock = clock
        self._assigned: deque[float] = deque(maxlen=TOO_MANY)
        self._told = False

    def note_assignment(self) -> None:
        """Partitions were given out."""
        self._assigned.append(self._clock())

    def problem(self) -> str | None:
        """What is wrong for an operator's eyes, None where nothing is."""
        often = len(self._assigned) == TOO_MANY and self._clock() - self._assigned[0] < WITHIN_S
        if self._instance is None or not often:
            self._told = False
            return None
        if not self._told:
            log.warning("instance_name_taken", group=self._group, instance=self._instance)
        self._told = True
        return (
            f"kafka: {self._group} was given its partitions {TOO_MANY} times within {WITHIN_S:.0f} s;"
            f" does another process use the instance name {self._instance}?"
        )
