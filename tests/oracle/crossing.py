"""Crossings once more, plainly: nothing is remembered; each state looks back over the whole history before it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Seen:
    """One judged state: the score (None: excluded), the day, whether the gates pass, whether it is judged silently."""

    score: float | None
    day: float
    gates: bool = True
    silent: bool = False


def raises(
    history: Sequence[Seen], *, enter: float, leave: float, cooldown: float, open_for: float | None
) -> list[int]:
    """Positions of the states that raise a cycle. Spans in days; a handoff is open for `open_for`, None: for ever."""
    taken: list[int] = []
    for here in range(len(history)):
        if _met(history[here], enter) and _armed(history, here, taken, enter, leave, cooldown, open_for):
            taken.append(here)
    return [position for position in taken if not history[position].silent]


def _met(seen: Seen, enter: float) -> bool:
    return seen.gates and seen.score is not None and seen.score >= enter


def _armed(
    history: Sequence[Seen],
    here: int,
    taken: Sequence[int],
    enter: float,
    leave: float,
    cooldown: float,
    open_for: float | None,
) -> bool:
    """Whether the rule was never taken, or came to rest at some state after it was last taken, up to this one."""
    if not taken:
        return True
    loud = [position for position in taken if not history[position].silent]
    return any(
        _below(history[position - 1], leave) and _at_rest(history, position, loud, cooldown, open_for)
        for position in range(taken[-1] + 1, here + 1)
    )


def _below(seen: Seen, leave: float) -> bool:
    return seen.score is None or seen.score < leave


def _at_rest(
    history: Sequence[Seen], position: int, loud: Sequence[int], cooldown: float, open_for: float | None
) -> bool:
    """Cooldown and handoff count from the last cycle; a silent one has neither."""
    if not loud:
        return True
    if open_for is None:
        return False
    waited = timedelta(days=history[position].day) - timedelta(days=history[loud[-1]].day)
    return waited >= timedelta(days=cooldown) and waited >= timedelta(days=open_for)
