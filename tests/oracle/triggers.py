"""Crossings by instant qualifiers and by rises once more, plainly: each state looks back over everything before it.

Enter 50, leave 45, cooldown 30 days; a rise of 20 points within 7 days.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

ENTER, LEAVE, COOLDOWN = 50, 45, 30.0
POINTS, WITHIN = 20, 7.0


@dataclass(frozen=True)
class Moment:
    """One state, so many days after the one before it: its score, whether a demo was asked for in it, whether the gates
    pass, whether it is judged silently.
    """

    wait: float
    score: int
    asked: bool
    gates: bool
    silent: bool


def instants_raise(moments: Sequence[Moment], open_for: float) -> list[int]:
    """Positions that raise a cycle where an asked demo stands for the score."""
    days = _days(moments)

    def qualifies(here: int, raised: Sequence[int]) -> bool:
        since = max([*raised, *(number for number in range(here + 1) if moments[number].silent)], default=-1)
        return any(
            moments[number].asked and days[here] - days[number] < COOLDOWN for number in range(since + 1, here + 1)
        )

    return _raised(moments, days, open_for, qualifies)


def rises_raise(moments: Sequence[Moment], open_for: float) -> list[int]:
    """Positions that raise a cycle where a rise stands for the score."""
    days = _days(moments)

    def qualifies(here: int, raised: Sequence[int]) -> bool:
        begin = max([*raised, *(number for number in range(here + 1) if moments[number].silent)], default=-1)
        if begin == here:
            return False
        in_force = [
            moments[number].score
            for number in range(max(begin, 0), here + 1)
            if number == here or days[number + 1] > days[here] - WITHIN
        ]
        # A new lead had nothing until its first state, which counts while that state is not older than the span.
        if begin == -1 and days[0] > days[here] - WITHIN:
            in_force.append(0)
        return moments[here].score - min(in_force) >= POINTS

    return _raised(moments, days, open_for, qualifies)


def _days(moments: Sequence[Moment]) -> list[float]:
    return [sum(moment.wait for moment in moments[: number + 1]) for number in range(len(moments))]


def _raised(
    moments: Sequence[Moment],
    days: Sequence[float],
    open_for: float,
    qualifies: Callable[[int, Sequence[int]], bool],
) -> list[int]:
    raised: list[int] = []
    armed = True
    for here, moment in enumerate(moments):
        waited = days[here] - days[raised[-1]] if raised else float("inf")
        below = here == 0 or moments[here - 1].score < LEAVE
        armed = armed or (below and waited >= max(COOLDOWN, open_for))
        met = moment.gates and (moment.score >= ENTER or qualifies(here, raised))
        if met and armed and not moment.silent:
            raised.append(here)
        armed = armed and not met
    return raised
