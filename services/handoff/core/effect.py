"""What became of those handed over: counts and shares by rule, source, campaign and band of scores. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from services.handoff.core.states import (
    ACCEPTED,
    CONVERTED,
    EXPIRED,
    LAPSED,
    LOST,
    MERGED,
    RECYCLED,
    REJECTED,
    WAITING,
)
from shared.shares import Share

Dimension = Literal["rule", "source", "campaign", "band", "queue", "owner"]
DIMENSIONS: tuple[Dimension, ...] = ("rule", "source", "campaign", "band", "queue", "owner")
BAND = 10
"""Points in one band of scores."""
FEW = 25
"""Below so many answers a share says little."""
COUNTS = "qualified accepted rejected recycled converted lost expired merged waiting".split()


@dataclass(frozen=True, slots=True)
class Standing:
    """So many handoffs of one group, standing at `state`. `accepted`: at some time; `reason`: why rejected."""

    group: tuple[str | int | None, ...]
    state: str
    accepted: bool
    reason: str | None
    count: int


@dataclass(slots=True)
class Effect:
    """One group. An accepted handoff that was converted or lost later counts as both."""

    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    """Of those that were erased."""

    def add(self, standing: Standing) -> None:
        """Count handoffs that stand alike."""
        self.counts["qualified"] += standing.count
        self.counts["accepted"] += standing.count * standing.accepted
        if standing.state in WAITING:
            self.counts["waiting"] += standing.count
        elif standing.state != ACCEPTED:
            self.counts[standing.state] += standing.count
        if standing.state == LAPSED and not standing.accepted:
            self.unanswered += standing.count
        if standing.state == REJECTED:
            self.reasons[standing.reason or ""] += standing.count

    @property
    def acceptance(self) -> Share:
        """Accepted, of those that sales answered."""
        never = self.counts["waiting"] + self.counts[EXPIRED] + self.counts[MERGED] + self.unanswered
        return Share(self.counts["accepted"], max(self.counts["qualified"] - never, self.counts["accepted"]))

    @property
    def conversion(self) -> Share:
        """Converted, of those of which the end is known."""
        ends = (CONVERTED, LOST, REJECTED, RECYCLED)
        return Share(self.counts[CONVERTED], sum(self.counts[state] for state in ends))


def effects(standings: Iterable[Standing]) -> dict[tuple[str | int | None, ...], Effect]:
    """Each group's effect, the largest first."""
    found: dict[tuple[str | int | None, ...], Effect] = defaultdict(Effect)
    for standing in standings:
        found[standing.group].add(standing)
    return dict(sorted(found.items(), key=lambda item: (-item[1].counts["qualified"], _sortable(item[0]))))


def to_json(by: Sequence[Dimension], group: Sequence[str | int | None], effect: Effect) -> dict[str, Any]:
    """One group as the API shows it; shares with their 95 % interval and a plain word where they rest on little."""
    return {
        **dict(zip(by, map(_band_name, by, group), strict=True)),
        **{name: effect.counts[name] for name in COUNTS},
        "rejected_by_reason": dict(effect.reasons.most_common()),
        "acceptance": _share(effect.acceptance),
        "conversion": _share(effect.conversion),
    }


def to_row(shown: Mapping[str, Any]) -> list[str | float | int | None]:
    """A group as a row of a table: dimensions, counts, then both shares with their bounds."""
    cells: list[str | float | int | None] = []
    for value in shown.values():
        if isinstance(value, Mapping) and "of" in value:
            cells += [value["value"], value["low"], value["high"], value["of"]]
        elif isinstance(value, Mapping):
            cells.append("; ".join(f"{reason or '?'}: {count}" for reason, count in value.items()))
        else:
            cells.append(value)
    return cells


def columns(by: Sequence[Dimension]) -> list[str]:
    """The header of `to_row`'s table."""
    shares = [f"{name}{part}" for name in ("acceptance", "conversion") for part in ("", "_low", "_high", "_of")]
    return [*by, *COUNTS, "rejected_by_reason", *shares]


def _share(share: Share) -> dict[str, Any]:
    return {**share.to_json(), "few": share.of < FEW}


def _band_name(name: Dimension, value: str | int | None) -> str | int | None:
    return f"{value}-{int(value) + BAND - 1}" if name == "band" and value is not None else value


def _sortable(group: tuple[str | int | None, ...]) -> tuple[tuple[bool, str | int], ...]:
    return tuple((value is None, "" if value is None else value) for value in group)
