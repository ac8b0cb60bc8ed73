"""Leads that will cool, once more, plainly: day by day, looking at nothing but the last state published by then."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Foretold:
    """A state: the day, the score, and on which day it will fall below `leave`; None: never."""

    day: int
    score: float | None
    falls: int | None
    silent: bool = False


def tells(states: Sequence[Foretold], *, enter: float, leave: float, within: int, until: int) -> list[int]:
    """The days on which it is told that the lead will cool: whenever that becomes true, except by a silent state."""
    told, hot, was = [], False, False
    last: Foretold | None = None
    for day in range(until + 1):
        arriving: list[Foretold | None] = [state for state in states if state.day == day]
        for state in [last, *arriving]:
            if state is None:
                continue
            if state is not last:
                hot = state.score is not None and (state.score >= enter or (hot and state.score >= leave))
            cools = hot and state.falls is not None and state.falls - day <= within
            if cools and not was and not (state is not last and state.silent):
                told.append(day)
            was, last = cools, state
    return told
