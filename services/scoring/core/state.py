"""What a fold has to remember of a lead: only what can still change a score at or after the last folded instant."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

from shared.clock import from_micros, to_micros

FORMAT = 1
"""Of encoded states; another number means that they have to be folded again."""


class Entries:
    """What one rule has paid to one lead. Mutable: a fold writes it in place.

    `count` paid entries in all; `times` of those a decay or cells still need, in microseconds; `recent` of those a
    repeat policy needs; `keys` of the objects paid for; `day` the ordinal of the last paid local day, with the numbers
    paid on it and on the day before (clocks that go back over midnight return to it).
    """

    __slots__ = ("count", "day", "keys", "recent", "times", "today", "yesterday")

    # Positional, in the order of `encode`: a handful of these are read and written for every lead of every batch.
    def __init__(
        self,
        count: int = 0,
        day: int = 0,
        today: int = 0,
        yesterday: int = 0,
        times: list[int] | None = None,
        recent: list[int] | None = None,
        keys: Iterable[str] = (),
    ) -> None:
        self.count, self.day, self.today, self.yesterday = count, day, today, yesterday
        self.times: list[int] = [] if times is None else times
        self.recent: list[int] = [] if recent is None else recent
        self.keys: dict[str, None] = dict.fromkeys(keys) if keys else {}

    def encode(self) -> list[Any]:
        """As JSON."""
        return [self.count, self.day, self.today, self.yesterday, self.times, self.recent, list(self.keys)]


@dataclass(frozen=True, slots=True)
class Recycling:
    """From `at` on, what was earned before it counts `factor` times (0 is the policy `reset`)."""

    at: datetime
    factor: Fraction


class State:
    """One lead under one model. Mutable; belongs to whoever folds.

    `last` is the place in fold order of the last activity (microseconds, id, source); `attributes` those the model
    asks about; `did` per activity type a count and, where asked for, times; `needs_refold` is set when an attribute
    changed that rules have used on earlier activities: then everything has to be folded again from a new state. `fit`
    says which fit rules hold and `fit_sum` what they are worth in cents; None until somebody asks.
    """

    __slots__ = (
        "attributes",
        "coverage",
        "did",
        "email_domain",
        "entries",
        "fit",
        "fit_sum",
        "last",
        "last_active",
        "mailbox_domain",
        "needs_refold",
        "recyclings",
        "sensitive",
    )

    def __init__(self, rules: int, recyclings: Sequence[Recycling] = ()) -> None:
        self.last: tuple[int, str, str] | None = None
        self.last_active: int | None = None
        self.attributes: dict[str, Any] = {}
        self.email_domain: str | None = None
        self.mailbox_domain: str | None = None
        self.entries: list[Entries | None] = [None] * rules
        self.did: dict[str, list[Any]] = {}
        self.fit: list[bool] | None = None
        self.fit_sum = 0
        self.coverage: float | None = None
        self.sensitive = False
        self.needs_refold = False
        self.recyclings = tuple(sorted(recyclings, key=lambda recycling: recycling.at))

    @property
    def domain(self) -> str | None:
        """The e-mail domain conditions see: of the lead's own address, else of the shared mailbox it used."""
        return self.email_domain or self.mailbox_domain


def encode(state: State) -> dict[str, Any]:
    """The state as primitives for JSON; only states that need no refold are worth keeping."""
    return {
        "format": FORMAT,
        "last": state.last,
        "active": state.last_active,
        "attributes": state.attributes,
        "domains": [state.email_domain, state.mailbox_domain],
        "entries": {str(index): entry.encode() for index, entry in enumerate(state.entries) if entry is not None},
        "rules": len(state.entries),
        "did": state.did,
        "sensitive": state.sensitive,
        "fit": None if state.fit is None else [state.fit, state.fit_sum, state.coverage],
        "recyclings": [[to_micros(one.at), str(one.factor)] for one in state.recyclings],
    }


def decode(raw: Mapping[str, Any]) -> State:
    """The inverse of `encode`; to be read with the model version it was folded by.

    Raises ValueError for a state that another version of the engine has written.
    """
    if raw.get("format") != FORMAT:
        raise ValueError("the state was written by another version of the engine: fold again from a new state")
    recyclings = [Recycling(from_micros(at), Fraction(factor)) for at, factor in raw["recyclings"]]
    state = State(raw["rules"], recyclings)
    state.last = tuple(raw["last"]) if raw["last"] else None
    state.last_active = raw["active"]
    state.attributes = raw["attributes"]
    state.email_domain, state.mailbox_domain = raw["domains"]
    for index, entry in raw["entries"].items():
        state.entries[int(index)] = Entries(*entry)
    state.did = raw["did"]
    state.sensitive = raw["sensitive"]
    if raw["fit"] is not None:
        state.fit, state.fit_sum, state.coverage = raw["fit"]
    return state
