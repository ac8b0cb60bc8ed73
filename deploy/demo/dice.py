"""Chance that falls the same everywhere."""

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """Draws made of `Random.random()` alone: of the standard generator only that is promised to stay the same."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a sample, no secret

    def below(self, end: int) -> int:
        """An integer from 0 up to `end`, exclusive."""
        return int(self._random.random() * end)

    def between(self, low: int, high: int) -> int:
        """An integer from `low` to `high`, inclusive; `low` where `high` lies below it."""
        return low + self.below(max(high - low, 0) + 1)

    def happens(self, percent: int) -> bool:
        """True in so many of a hundred cases."""
        return self.below(100) < percent

    def pick(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self.below(len(options))]
