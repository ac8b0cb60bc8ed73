"""How a bug is put into a running process."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from deploy.chaos.plan import Fault

WINDOW_S = 0.2
"""How long a bug keeps its window open, so that the faults of a short run hit it."""


@dataclass(frozen=True, slots=True)
class Plant:
    """A bug: what it is in words, how it is put in, and the faults that lure it out (nothing: any plan does)."""

    about: str
    plant: Callable[[], None]
    lure: tuple[Fault, ...] = ()


def kills(*targets: str) -> tuple[Fault, ...]:
    """With time enough in between for the process to be at work again."""
    return tuple(Fault("kill", target, pause=4.0) for target in targets)


def exchange(owner: Any, name: str, value: Any) -> None:
    """Another `value` for a part of the service. Raises AttributeError where there is no such part any more."""
    getattr(owner, name)
    setattr(owner, name, value)
