"""Two versions of a model over the same leads: who would newly qualify, who would drop out, who moves where."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from services.scoring.core.evaluation import Evaluation, as_points

MOST_NAMED = 1_000
BAND = 1_000
"""Width of a band of the distribution in cents."""


class Standing(NamedTuple):
    """Where a lead stands under one version; `score` in cents, None if excluded."""

    score: int | None
    grade: str | None
    level: str | None
    stage: str | None


@dataclass(frozen=True, slots=True)
class SeenLead:
    """A lead under both versions. `known_as` is what people call it: id, name, company, e-mail."""

    known_as: tuple[str, str | None, str | None, str | None]
    before: Standing
    after: Standing


@dataclass(slots=True)
class Preview:
    """What changes at a threshold (cents) from one version to the other."""

    threshold: int
    leads: int = 0
    qualify: list[SeenLead] = field(default_factory=list)
    drop_out: list[SeenLead] = field(default_factory=list)
    above: Counter[str] = field(default_factory=Counter)
    excluded: Counter[str] = field(default_factory=Counter)
    bands: Counter[tuple[str, int]] = field(default_factory=Counter)
    moves: Counter[tuple[str, str | None, str | None]] = field(default_factory=Counter)

    def add(self, seen: Iterable[SeenLead]) -> None:
        """Count more leads."""
        for lead in seen:
            self.leads += 1
            reached = [self._count(side, one) for side, one in (("before", lead.before), ("after", lead.after))]
            if reached == [False, True]:
                self.qualify.append(lead)
            elif reached == [True, False]:
                self.drop_out.append(lead)
            for what in ("grade", "level", "stage"):
                was, is_now = getattr(lead.before, what), getattr(lead.after, what)
                if was != is_now:
                    self.moves[what, was, is_now] += 1

    def _count(self, side: str, standing: Standing) -> bool:
        if standing.score is None:
            self.excluded[side] += 1
            return False
        self.bands[side, standing.score // BAND] += 1
        reached = standing.score >= self.threshold
        self.above[side] += reached
        return reached

    @property
    def warnings(self) -> list[str]:
        """What should not be published unseen."""
        found = []
        if self.leads and self.excluded["after"] == self.leads:
            found.append("the version excludes every lead: nobody would have a score")
        if self.above["before"] and not self.above["after"]:
            found.append("no lead at all would be at the threshold or above")
        return found

    def to_json(self) -> dict[str, Any]:
        """As answered and printed; names of at most 1,000 leads each, those that change most first."""
        return {
            "threshold": as_points(self.threshold),
            "leads": self.leads,
            "at_or_above": {side: self.above[side] for side in ("before", "after")},
            "excluded": {side: self.excluded[side] for side in ("before", "after")},
            "qualify": _named(self.qualify),
            "drop_out": _named(self.drop_out),
            "distribution": self._distribution(),
            "moves": [
                {"what": what, "from": was, "to": is_now, "leads": count}
                for (what, was, is_now), count in sorted(self.moves.items(), key=lambda item: (item[0][0], -item[1]))
            ],
            "warnings": self.warnings,
        }

    def _distribution(self) -> list[dict[str, Any]]:
        numbers = sorted({number for _, number in self.bands})
        return [
            {
                "from": as_points(number * BAND),
                "to": as_points((number + 1) * BAND),
                "before": self.bands["before", number],
                "after": self.bands["after", number],
            }
            for number in numbers
        ]


def standing_of(evaluation: Evaluation) -> Standing:
    """What a preview keeps of an evaluation."""
    return Standing(evaluation.score, evaluation.grade, evaluation.level, evaluation.stage)


def _named(leads: Sequence[SeenLead]) -> dict[str, Any]:
    ranked = sorted(
        leads, key=lambda lead: (-abs((lead.after.score or 0) - (lead.before.score or 0)), lead.known_as[0])
    )
    shown = []
    for lead in ranked[:MOST_NAMED]:
        lead_id, name, company, email = lead.known_as
        before, after = as_points(lead.before.score), as_points(lead.after.score)
        shown.append(
            {"lead_id": lead_id, "name": name, "company": company, "email": email, "before": before, "after": after}
        )
    return {"count": len(leads), "leads": shown}
