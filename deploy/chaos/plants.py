"""Bugs put in on purpose, to see that the checker finds them."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plant:
    """A bug: what it is in words, and the function that puts it into the running process."""

    about: str
    plant: Callable[[], None]


PLANTS: dict[str, Plant] = {}
