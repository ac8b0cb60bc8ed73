"""A model judged by what became of leads: precision, recall, lift, conversion per band of score, on later leads.

Every number stands beside its sample size and its interval. Nothing here chooses by the outcomes it is judged on.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from math import ceil
from typing import Any, NamedTuple

from services.scoring.core.evaluation import as_points
from shared.clock import to_rfc3339
from shared.shares import Share

ENOUGH = 25
"""Fewer converted leads than this, or fewer others, tell next to nothing."""
_WEEK = timedelta(days=7)
DEFAULT_EDGES = (0, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 10000)
"""Lower bounds of the bands in cents; below the first there is one more."""


class Case(NamedTuple):
    """A lead that sales judged: when, whether it converted, and its score in cents just before (None: excluded)."""

    lead: str
    at: datetime
    converted: bool
    score: int | None


class Course(NamedTuple):
    """A lead's score in cents when the judged time began and its highest since; None where it has none."""

    start: int | None
    peak: int | None


@dataclass(frozen=True, slots=True)
class Judged:
    """Some cases at one threshold (cents)."""

    cases: Sequence[Case]
    threshold: int

    @property
    def converted(self) -> int:
        """How many converted."""
        return sum(case.converted for case in self.cases)

    @property
    def base(self) -> Share:
        """What share converts of all, whatever their score."""
        return Share(self.converted, len(self.cases))

    @property
    def precision(self) -> Share:
        """What share of those at the threshold or above converts."""
        chosen = [case for case in self.cases if self._reaches(case)]
        return Share(sum(case.converted for case in chosen), len(chosen))

    @property
    def recall(self) -> Share:
        """What share of those that convert is at the threshold or above."""
        return Share(self.precision.hits, self.converted)

    @property
    def lift(self) -> float | None:
        """Precision as a multiple of what choosing by chance gives."""
        precision, base = self.precision.value, self.base.value
        return precision / base if precision is not None and base else None

    @property
    def too_few(self) -> str | None:
        """Said plainly where the numbers cannot carry a judgement."""
        converted, others = self.converted, len(self.cases) - self.converted
        if converted >= ENOUGH and others >= ENOUGH:
            return None
        return f"too few: {converted} converted and {others} not; at least {ENOUGH} of each are needed"

    def _reaches(self, case: Case) -> bool:
        return case.score is not None and case.score >= self.threshold

    def to_json(self) -> dict[str, Any]:
        """As answered and printed."""
        return {
            "leads": len(self.cases),
            "converted": self.converted,
            "too_few": self.too_few,
            "base": self.base.to_json(),
            "precision": self.precision.to_json(),
            "recall": self.recall.to_json(),
            "lift": None if self.lift is None else round(self.lift, 2),
        }


class Band(NamedTuple):
    """Scores from `low` up to `high` (cents, exclusive; None: without bound), and what share converts."""

    low: int | None
    high: int | None
    share: Share


@dataclass(frozen=True, slots=True)
class Backtest:
    """The whole result. `split_at` parts the earlier cases from the later ones, on which the model is judged. `untold`
    leads are left out, as what they did by then was removed for its age.
    """

    threshold: int
    split_at: datetime | None
    earlier: Judged
    later: Judged
    bands: Sequence[Band]
    weekly: float | None
    for_volume: int | None
    per_week: float | None
    untold: int = 0

    @property
    def warnings(self) -> list[str]:
        """What a reader must not overlook."""
        found = [self.later.too_few] if self.later.too_few else []
        if self.untold:
            found.append(f"{self.untold} leads are left out: their activities of that time were removed for their age")
        known = [band for band in self.bands if band.share.of]
        for lower, higher in pairwise(known):
            if (higher.share.value or 0) < (lower.share.value or 0):
                sure = higher.share.interval[1] < lower.share.interval[0]
                found.append(
                    f"leads from {_bound(higher.low)} points convert less ({_percent(higher.share)}) than those from"
                    f" {_bound(lower.low)} ({_percent(lower.share)}){'' if sure else '; this may be chance'}"
                )
        return found

    def to_json(self) -> dict[str, Any]:
        """As answered and printed."""
        volume = None
        if self.per_week is not None:
            volume = {"leads_per_week": self.per_week, "threshold": as_points(self.for_volume)}
        return {
            "threshold": as_points(self.threshold),
            "split_at": to_rfc3339(self.split_at) if self.split_at else None,
            "judged": self.later.to_json(),
            "earlier": self.earlier.to_json(),
            "bands": [
                {"from": as_points(band.low), "to": as_points(band.high), "conversion": band.share.to_json()}
                for band in self.bands
            ],
            "leads_per_week": None if self.weekly is None else round(self.weekly, 1),
            "for_volume": volume,
            "warnings": self.warnings,
        }


def split_instant(instants: Sequence[datetime], share: float) -> datetime | None:
    """The instant from which cases are judged: so that about `share` of them lie before it. None without cases."""
    ordered = sorted(instants)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else None


def backtest(
    cases: Sequence[Case],
    courses: Sequence[Course],
    split_at: datetime | None,
    end: datetime | None,
    threshold: int,
    per_week: float | None = None,
    edges: Sequence[int] = DEFAULT_EDGES,
) -> Backtest:
    """Judge `cases` from `split_at` on; `courses` are all leads between then and `end`."""
    later = [case for case in cases if split_at is not None and case.at >= split_at]
    earlier = [case for case in cases if split_at is not None and case.at < split_at]
    weeks = max((end - split_at) / _WEEK, 1 / 7) if split_at is not None and end is not None else None
    weekly = _arrivals(courses, threshold) / weeks if weeks else None
    for_volume = _threshold_for(courses, per_week * weeks) if weeks and per_week is not None else None
    return Backtest(
        threshold, split_at, Judged(earlier, threshold), Judged(later, threshold), bands_of(later, edges), weekly,
        for_volume, per_week,
    )  # fmt: skip


def bands_of(cases: Sequence[Case], edges: Sequence[int]) -> list[Band]:
    """Conversion per band of score, empty bands at both ends left out; excluded leads have no band."""
    lows = [None, *edges]
    highs = [*edges, None]
    found = [Band(low, high, Share(0, 0)) for low, high in zip(lows, highs, strict=True)]
    for case in cases:
        if case.score is not None:
            place = bisect_left(edges, case.score + 1)
            low, high, share = found[place]
            found[place] = Band(low, high, Share(share.hits + case.converted, share.of + 1))
    used = [place for place, band in enumerate(found) if band.share.of]
    return found[used[0] : used[-1] + 1] if used else []


def _arrivals(courses: Sequence[Course], threshold: int) -> int:
    """Leads that came to the threshold, having been below it when the time began."""
    return sum(
        course.peak is not None and course.peak >= threshold and (course.start is None or course.start < threshold)
        for course in courses
    )


def _threshold_for(courses: Sequence[Course], wanted: float) -> int | None:
    """The lowest whole number of points such that, at it and above, no more leads come than wanted."""
    peaks = [course.peak for course in courses if course.peak is not None]
    top = ceil(max(0, *peaks) / 100) + 1 if peaks else 1
    rises: list[int] = [0] * (top + 2)
    for start, peak in courses:
        if peak is None:
            continue
        # At whole thresholds t with start < t <= peak this lead comes.
        first = max(start // 100 + 1 if start is not None else 0, 0)
        last = peak // 100
        if first <= last:
            rises[first] += 1
            rises[last + 1] -= 1
    count, counts = 0, []
    for change in rises[: top + 1]:
        count += change
        counts.append(count)
    found = top
    while found > 0 and counts[found - 1] <= wanted:
        found -= 1
    return found * 100


def _bound(cents: int | None) -> str:
    return "below" if cents is None else f"{cents / 100:g}"


def _percent(share: Share) -> str:
    return f"{(share.value or 0) * 100:.0f} % of {share.of}"
