"""The other side of `helper.py`: what runs in a helper's process, with all that its work needs loaded ahead."""

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import services.ingest.reading  # noqa: F401 - loaded before the first body comes
from shared.garbage import settle


@dataclass(frozen=True, slots=True)
class Outcome:
    """What some work gave, or the error that it raised."""

    value: Any = None
    error: Exception | None = None

    def result(self) -> Any:
        """Gives the one, raises the other."""
        if self.error is not None:
            raise self.error
        return self.value


def helped(works: Sequence[Callable[[], Any]]) -> list[Outcome]:
    """Do all of it in a helper's process."""
    _settle()
    return [outcome_of(work) for work in works]


def outcome_of(work: Callable[[], Any]) -> Outcome:
    """Do some work, whatever comes of it."""
    try:
        return Outcome(work())
    except Exception as error:
        return Outcome(error=error)


@cache
def _settle() -> None:
    # A terminal sends Ctrl-C to the whole group; a helper ends with the process it belongs to.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settle()
