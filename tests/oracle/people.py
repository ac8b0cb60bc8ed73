"""Which activities are one lead's, looked at name by name, to compare the leads with; shares no code with them.

A name is an identifier as the test writes it: `e…` an address, `x…` an external id, `p…` a mobile phone, `a…` a
browser. An activity names the strongest first, and belongs to whoever holds that one in the end.

A lead is called by one of its names: as if everything had come in the order in which it happened, and of two that
become one the identified one, or else the older, had lived on.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tests.oracle.scoring import Act

JOINED, PARTED = "joined", "parted"
Place = tuple[datetime, str, str]


@dataclass(frozen=True)
class Said:
    """Somebody's word about two leads, each by one of its names."""

    kind: str
    survivor: str
    other: str


@dataclass
class Person:
    """One lead: its names, and its activities. `chosen` is the name of whom somebody let live on by hand."""

    names: set[str]
    acts: list[Act] = field(default_factory=list)
    lives: list[tuple[Place, str]] = field(default_factory=list)
    chosen: str | None = None

    @property
    def has_address(self) -> bool:
        return any(name.startswith("e") for name in self.names)

    @property
    def called(self) -> str | None:
        """By the word of somebody, unless it was about browsers and the lead is known by now."""
        known = self.lives and not _is_browser(self.lives[0][1])
        if self.chosen and not (_is_browser(self.chosen) and known):
            return self.chosen
        return self.lives[0][1] if self.lives else None

    def live(self, act: Act) -> None:
        """The first time that it does something."""
        if not self.lives:
            self.lives = [(act.place, act.names[0])]

    def swallow(self, other: "Person") -> None:
        """Become one with `other`; the first of `lives` is what it goes on as, from when the older of them began."""
        self.names |= other.names
        self.chosen = self.chosen or other.chosen
        both = sorted(self.lives + other.lives, key=lambda life: (_is_browser(life[1]), life[0]))
        self.lives = [(min(place for place, _ in both), both[0][1])] if both else []


def _is_browser(name: str) -> bool:
    return name.startswith("a")


def people(acts: Iterable[Act], said: Sequence[Said] = ()) -> list[Person]:
    """Everybody, from all activities and all that was ever said."""
    acts = sorted(acts, key=lambda act: act.place)
    found = [Person({name}) for name in {name for act in acts for name in act.names}]

    def of(name: str) -> Person:
        return next(person for person in found if name in person.names)

    def become_one(one: Person, other: Person) -> None:
        found.remove(other)
        one.swallow(other)

    for place, word in enumerate(said):
        if word.kind == JOINED and _still_joined(word, said[place + 1 :]):
            one, other = of(word.survivor), of(word.other)
            if one is not other:
                one.chosen = one.chosen or word.survivor
                become_one(one, other)
    apart = [
        {word.survivor, word.other}
        for place, word in enumerate(said)
        if word.kind == PARTED and _still_apart(word, said[place + 1 :])
    ]
    for act in acts:
        of(act.names[0]).live(act)
        for name in act.names[1:]:
            one, other = of(act.names[0]), of(name)
            kept_apart = any(len(pair & one.names) == len(pair & other.names) == 1 for pair in apart)
            if one is not other and not (one.has_address and other.has_address) and not kept_apart:
                become_one(one, other)
    for act in acts:
        of(act.names[0]).acts.append(act)
    return found


def _still_joined(word: Said, later: Sequence[Said]) -> bool:
    """A lead that was taken out again is out, whatever it had been joined to."""
    return all(one.other != word.other for one in later if one.kind == PARTED)


def _still_apart(word: Said, later: Sequence[Said]) -> bool:
    pair = {word.survivor, word.other}
    return all({one.survivor, one.other} != pair for one in later if one.kind == JOINED)
