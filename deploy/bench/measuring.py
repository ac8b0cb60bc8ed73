"""How a figure comes about: subject and limit by turns, the median of three after a discarded warm-up.

On a shared machine absolute figures wander, the ratio of two things measured within the same minute does not. Where the
limit itself wandered by more than a fifth, no ratio means anything: more rounds follow until it keeps still, and where
it does not, none is given. What the subject did has no say in that.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

ROUNDS = 3
AT_MOST = 4
"""So many times these rounds are measured for a limit that does not keep still."""
STEADY = 0.20
"""Two measurements of one limit may differ by this share of the smaller."""

Measure = Callable[[], Awaitable[float]]
"""Does the work once and gives the figure, in the line's unit."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What a line has to reach, `of` which of its figures; lower is better where `at_most`."""

    of: Literal["value", "ratio", "factor"]
    bound: float
    aim: float
    at_most: bool = False

    def met_by(self, figure: float | None) -> bool:
        """Whether the figure is on the right side of the bound; one that is missing is not."""
        if figure is None:
            return False
        return figure <= self.bound if self.at_most else figure >= self.bound

    def reach(self, figure: float | None) -> float:
        """How much of the bound is reached: 1 is on it, 2 twice as good, 0 a figure that is missing."""
        if not figure:
            return 0.0
        return self.bound / figure if self.at_most else figure / self.bound

    def __str__(self) -> str:
        return f"{self.of} {'≤' if self.at_most else '≥'} {self.bound:g}"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table. `limit` and `naive` are of the same unit; `spread` is (highest - lowest) / median."""

    name: str
    value: float
    unit: str
    spread: float = 0.0
    limit: float | None = None
    limit_spread: float = 0.0
    naive: float | None = None
    problem: str = ""

    @property
    def ratio(self) -> float | None:
        """Value / limit; None without a limit, or where the limit was unsteady."""
        return self.value / self.limit if self.limit and not self.problem else None

    @property
    def factor(self) -> float | None:
        """Value / naive."""
        return self.value / self.naive if self.naive else None

    def figure(self, of: str) -> float | None:
        """One of `value`, `ratio`, `factor`."""
        return {"value": self.value, "ratio": self.ratio, "factor": self.factor}[of]

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "Line":
        """What `to_json` gave, to its digits."""
        names = ("name", "value", "unit", "spread", "limit", "limit_spread", "naive")
        return cls(**{name: raw[name] for name in names}, problem=raw.get("problem", ""))

    def to_json(self, goals: Sequence[Goal] = ()) -> Mapping[str, Any]:
        """The line as `kizashi bench --json` prints it."""
        return {
            "name": self.name,
            "value": round(self.value, 2),
            "unit": self.unit,
            "limit": _rounded(self.limit, 2),
            "ratio": _rounded(self.ratio, 3),
            "naive": _rounded(self.naive, 2),
            "factor": _rounded(self.factor, 2),
            "spread": round(self.spread, 3),
            "limit_spread": round(self.limit_spread, 3),
            "goals": [{"goal": str(goal), "aim": goal.aim, "met": goal.met_by(self.figure(goal.of))} for goal in goals],
            **({"problem": self.problem} if self.problem else {}),
        }


async def compare(
    name: str,
    unit: str,
    subject: Measure,
    *,
    limit: Measure | None = None,
    naive: Measure | None = None,
    rounds: int = ROUNDS,
) -> Line:
    """Measure by turns and take medians of the first `rounds` in a row whose limit kept still; where there are none
    among AT_MOST times as many, of the last, and the line says so.
    """
    measures = {"value": subject, "limit": limit, "naive": naive}
    wanted = {role: measure for role, measure in measures.items() if measure is not None}
    for measure in wanted.values():
        await measure()
    seen: dict[str, deque[float]] = {role: deque(maxlen=rounds) for role in wanted}
    for number in range(1, AT_MOST * rounds + 1):
        for role, measure in wanted.items():
            seen[role].append(await measure())
        if number >= rounds and (limit is None or steady(seen["limit"])):
            break
    return line_of(name, unit, seen)


def line_of(name: str, unit: str, seen: Mapping[str, Collection[float]]) -> Line:
    """A line from its measurements: `value`, and where there are any `limit` and `naive`."""
    limits, naive = seen.get("limit"), seen.get("naive")
    unsteady = limits is not None and not steady(limits)
    return Line(
        name=name,
        value=median(seen["value"]),
        unit=unit,
        spread=spread(seen["value"]),
        limit=median(limits) if limits else None,
        limit_spread=spread(limits) if limits else 0.0,
        naive=median(naive) if naive else None,
        problem=f"the limit wandered between {min(limits):,.0f} and {max(limits):,.0f}" if limits and unsteady else "",
    )


def steady(figures: Collection[float]) -> bool:
    """Whether the figures lie within a fifth of each other."""
    return max(figures) - min(figures) <= STEADY * min(figures)


def spread(figures: Collection[float]) -> float:
    """(highest - lowest) / median."""
    middle = median(figures)
    return (max(figures) - min(figures)) / middle if middle else 0.0


def _rounded(figure: float | None, digits: int) -> float | None:
    return None if figure is None else round(figure, digits)
