"""Choices a property makes on its way: drawn by Hypothesis, which shrinks them, or rolled, at a tenth of the price."""

from collections.abc import Sequence
from random import Random
from typing import Protocol, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")


class Choices(Protocol):
    """Who chooses."""

    def order(self, items: Sequence[T]) -> list[T]:
        """Any order of them."""
        ...

    def number(self, low: int, high: int) -> int:
        """One of low to high, both included."""
        ...

    def one(self, items: Sequence[T]) -> T:
        """One of them."""
        ...


class Drawn:
    """Hypothesis chooses."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def order(self, items: Sequence[T]) -> list[T]:
        return self._data.draw(st.permutations(items))

    def number(self, low: int, high: int) -> int:
        return self._data.draw(st.integers(low, high))

    def one(self, items: Sequence[T]) -> T:
        return self._data.draw(st.sampled_from(items))


class Rolled:
    """Dice choose; the same seed chooses the same."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice

    def order(self, items: Sequence[T]) -> list[T]:
        return self._dice.sample(items, len(items))

    def number(self, low: int, high: int) -> int:
        return self._dice.randint(low, high)

    def one(self, items: Sequence[T]) -> T:
        return self._dice.choice(items)
