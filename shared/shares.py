"""Shares with their uncertainty: how often something happened, and whether two shares differ."""

from dataclasses import dataclass
from math import sqrt
from typing import Any

Z95 = 1.959963984540054
"""The standard normal quantile behind a two-sided 95 % interval."""


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `of`, with the 95 % interval by Wilson (E. B. Wilson 1927, score interval)."""

    hits: int
    of: int

    @property
    def value(self) -> float | None:
        """None of nothing."""
        return self.hits / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float]:
        """The shares that these numbers do not speak against; all of them without numbers."""
        if not self.of:
            return 0.0, 1.0
        share, squared = self.hits / self.of, Z95 * Z95 / self.of
        middle = (share + squared / 2) / (1 + squared)
        half = Z95 * sqrt(share * (1 - share) / self.of + squared / (4 * self.of)) / (1 + squared)
        return max(middle - half, 0.0), min(middle + half, 1.0)

    def to_json(self) -> dict[str, Any]:
        """As answered and printed."""
        low, high = self.interval
        value = None if self.value is None else round(self.value, 4)
        return {"value": value, "hits": self.hits, "of": self.of, "low": round(low, 4), "high": round(high, 4)}


@dataclass(frozen=True, slots=True)
class Difference:
    """One share less another, with the 95 % interval by Newcombe (R. G. Newcombe 1998, hybrid score, his method 10)."""

    one: Share
    other: Share

    @property
    def value(self) -> float | None:
        """None where either is a share of nothing."""
        if self.one.value is None or self.other.value is None:
            return None
        return self.one.value - self.other.value

    @property
    def interval(self) -> tuple[float, float]:
        """The differences that these numbers do not speak against; all of them without numbers."""
        first, second, value = self.one.value, self.other.value, self.value
        if first is None or second is None or value is None:
            return -1.0, 1.0
        (low, high), (other_low, other_high) = self.one.interval, self.other.interval
        down = sqrt((first - low) ** 2 + (other_high - second) ** 2)
        up = sqrt((high - first) ** 2 + (second - other_low) ** 2)
        return max(value - down, -1.0), min(value + up, 1.0)

    def to_json(self) -> dict[str, Any]:
        """As answered and printed."""
        low, high = self.interval
        value = None if self.value is None else round(self.value, 4)
        return {"value": value, "low": round(low, 4), "high": round(high, 4)}
