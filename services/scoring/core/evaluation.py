"""What an evaluation says: sums and reasons in cents, bands, stage."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple


class Reason(NamedTuple):
    """One line of the explanation: a rule or a correction, its cents, and the number of entries that pay."""

    rule: str
    points: int
    entries: int


@dataclass(frozen=True, slots=True)
class ManualPoints:
    """Points a person gave or took, in cents, from `given_at` until `expires_at` (exclusive), for a stated reason."""

    points: int
    given_at: datetime
    author: str
    reason: str
    expires_at: datetime | None = None


@dataclass(slots=True)
class Evaluation:
    """A lead under one model at one instant; sums in cents. An excluded lead has no score, sums, bands or stage.

    Not frozen, because one is made for every lead of every batch; no one writes to it.
    """

    score: int | None
    engagement: int | None
    fit: int | None
    manual: int
    grade: str | None
    level: str | None
    stage: str | None
    coverage: float | None
    reasons: tuple[Reason, ...]

    @property
    def excluded(self) -> bool:
        """Whether the model does not score this lead at all."""
        return self.score is None

    @property
    def cell(self) -> str | None:
        """Grade and level: A1 is best."""
        return None if self.grade is None or self.level is None else self.grade + self.level

    def to_json(self) -> dict[str, Any]:
        """As events and answers carry it; points with two decimals."""
        return {
            "score": as_points(self.score),
            "engagement": as_points(self.engagement),
            "fit": as_points(self.fit),
            "manual": as_points(self.manual),
            "grade": self.grade,
            "level": self.level,
            "cell": self.cell,
            "stage": self.stage,
            "coverage": self.coverage,
            "reasons": [
                {"rule": rule, "points": as_points(points), "count": entries} for rule, points, entries in self.reasons
            ],
        }


def as_points(cents: int | None) -> float | None:
    """Cents as points; the nearest double, which prints with at most two decimals."""
    return None if cents is None else cents / 100
