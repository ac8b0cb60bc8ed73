"""What is stored of a lead beside its activities: points given by hand, and that sales sent it back."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

from services.scoring.core.evaluation import ManualPoints
from services.scoring.core.state import Recycling
from shared.clock import from_rfc3339, to_rfc3339

POINTS, RECYCLED = "points", "recycled"
KEEP, RESET = "keep", "reset"
Policy = str | Mapping[str, Any] | None
"""`keep`, `reset` or `{"factor": f}`; None leaves it to the model."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored entry, never changed once stored. `id` is unique within its kind, `at` is when it takes effect.

    `anchor` is the keyed hash of the strongest identifier its lead had: wherever that identifier goes in merges and
    splits, the entry goes too.
    """

    kind: str
    id: str
    anchor: str
    at: datetime
    body: Mapping[str, Any]

    @property
    def order(self) -> tuple[datetime, str]:
        """Its place among the entries of a lead."""
        return (self.at, self.id)


def points_entry(id_: str, anchor: str, at: datetime, given: ManualPoints) -> Entry:
    """The entry that keeps `given`."""
    body = {
        "points": given.points,
        "author": given.author,
        "reason": given.reason,
        "expires_at": to_rfc3339(given.expires_at) if given.expires_at else None,
    }
    return Entry(POINTS, id_, anchor, at, body)


def manual_of(entries: Iterable[Entry]) -> tuple[ManualPoints, ...]:
    """The points given by hand, in the order in which they were given."""
    return tuple(
        ManualPoints(
            points=entry.body["points"],
            given_at=entry.at,
            author=entry.body["author"],
            reason=entry.body["reason"],
            expires_at=from_rfc3339(entry.body["expires_at"]) if entry.body["expires_at"] else None,
        )
        for entry in sorted(entries, key=lambda entry: entry.order)
        if entry.kind == POINTS
    )


def recyclings_of(entries: Iterable[Entry], default: Fraction) -> list[Recycling]:
    """What recycling makes of earlier activities under a model whose own factor is `default`; 1 changes nothing."""
    found = []
    for entry in sorted(entries, key=lambda entry: entry.order):
        if entry.kind == RECYCLED:
            factor = factor_of(entry.body.get("policy"), default)
            if factor != 1:
                found.append(Recycling(entry.at, factor))
    return found


def factor_of(policy: Policy, default: Fraction) -> Fraction:
    """What earlier activities are multiplied by. Raises ValueError for what is no policy."""
    if policy is None:
        return default
    if isinstance(policy, Mapping):
        number = policy.get("factor")
        if isinstance(number, (int, float)) and not isinstance(number, bool) and 0 <= number <= 1:
            return Fraction(repr(number))
    elif policy in (KEEP, RESET):
        return Fraction(policy == KEEP)
    raise ValueError("expected keep, reset or a factor from 0 to 1")
