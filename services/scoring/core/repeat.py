"""How often a rule pays one lead."""

from dataclasses import dataclass

from services.scoring.core.calendar import NEVER, micros_of
from services.scoring.core.rules import MaxPer, OncePer


@dataclass(frozen=True, slots=True)
class Repeat:
    """A policy as data, because every activity asks it.

    `by_object`: the first activity about each thing. Otherwise fewer than `limit` paid activities younger than `span`
    microseconds; a limit of 0 is none. Looking at the last `limit` paid ones is enough: the oldest of them tells.
    """

    by_object: bool = False
    limit: int = 0
    span: int = NEVER


_WORDS = {"every": Repeat(), "once": Repeat(limit=1), "once_per_object": Repeat(by_object=True)}


def compile_repeat(schema: str | OncePer | MaxPer) -> Repeat:
    """The policy a rule names."""
    if isinstance(schema, OncePer):
        return Repeat(limit=1, span=micros_of(schema.once_per))
    if isinstance(schema, MaxPer):
        return Repeat(limit=schema.max, span=micros_of(schema.per))
    return _WORDS[schema]
