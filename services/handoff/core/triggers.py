"""What stands for the score besides `enter`: single activities and signals, and a rise within a span."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from services.handoff.core.state import LeadState
from shared import codec
from shared.clock import from_rfc3339, to_rfc3339

UNTRUSTED = frozenset({"suspected", "scan"})


@dataclass(frozen=True, slots=True, order=True)
class Instant:
    """An activity that qualifies at once. `used`: it has raised a cycle, or was noted when nothing was to be raised."""

    source: str
    id: str
    occurred_at: datetime
    used: bool = False


def instants(
    known: Iterable[Instant], named: frozenset[str], state: LeadState, cooldown: timedelta
) -> tuple[Instant, ...]:
    """The ones younger than the cooldown: known before, or standing in this state."""
    found = {(one.source, one.id): one for one in _standing_in(state, named)} if named else {}
    found |= {(one.source, one.id): one for one in known}
    young = (one for one in found.values() if one.occurred_at > state.evaluated_at - cooldown)
    return tuple(sorted(young))


def used(known: Iterable[Instant]) -> tuple[Instant, ...]:
    """All of them, spent."""
    return tuple(replace(one, used=True) for one in known)


def _standing_in(state: LeadState, named: frozenset[str]) -> Iterator[Instant]:
    for activity in (*state.recent_activities, *state.late_activities):
        if activity.get("type") in named and activity.get("verdict") not in UNTRUSTED:
            yield from _instant(activity)
    for activity in state.signal_activities:
        if activity.get("signal") in named:
            yield from _instant(activity)


def _instant(activity: dict[str, Any]) -> Iterator[Instant]:
    source, id_, occurred_at = (activity.get(name) for name in ("source", "id", "occurred_at"))
    if isinstance(source, str) and isinstance(id_, str) and isinstance(occurred_at, str):
        with suppress(ValueError):
            yield Instant(source, id_, from_rfc3339(occurred_at))


Low = tuple[datetime, int]
"""A score in cents, and until when it held; of the present one since when it holds."""


def lows(known: tuple[Low, ...], at: datetime, cents: int, within: timedelta) -> tuple[Low, ...]:
    """The scores of the last `within` that a rise can be measured from, rising; the first one is the lowest.

    A score that a later one undercuts can never be the lowest again.
    """
    past = [*known[:-1], *((at, score) for _, score in known[-1:])]
    return (*(low for low in past if low[0] > at - within and low[1] < cents), (at, cents))


def pack_triggers(known: tuple[Instant, ...], scores: tuple[Low, ...]) -> bytes | None:
    """Both as stored; None where there is nothing to remember."""
    if not known and not scores:
        return None
    return codec.encode(
        [
            [[one.source, one.id, to_rfc3339(one.occurred_at), one.used] for one in known],
            [[to_rfc3339(at), cents] for at, cents in scores],
        ]
    )


def unpack_triggers(packed: bytes | None) -> tuple[tuple[Instant, ...], tuple[Low, ...]]:
    """The inverse of `pack_triggers`."""
    if packed is None:
        return (), ()
    known, scores = codec.decode(packed)
    return (
        tuple(Instant(source, id_, from_rfc3339(at), used) for source, id_, at, used in known),
        tuple((from_rfc3339(at), cents) for at, cents in scores),
    )
