"""Which activities are one lead's, looked at name by name, to compare the leads with; shares no code with them.

A name is an identifier as the test writes it: `e…` an address, `x…` an external id, `p…` a mobile phone, `a…` a
browser. An activity names the strongest first, and belongs to whoever holds that one in the end.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.oracle.scoring import Act

JOINED, PARTED = "joined", "parted"


@dataclass(frozen=True)
class Said:
    """Somebody's word about two leads, each by one of its names."""

    kind: str
    survivor: str
    other: str


@dataclass
class Person:
    """One lead: its names, and its activities."""

    names: set[str]
    acts: list[Act] = field(default_factory=list)

    @property
    def has_address(self) -> bool:
        return any(name.startswith("e") for name in self.names)


def people(acts: Iterable[Act], said: Sequence[Said] = ()) -> list[Person]:
    """Everybody, from all activities and all that was ever said."""
    acts = sorted(acts, key=lambda act: act.place)
    found = [Person({name}) for name in {name for act in acts for name in act.names}]

    def of(name: str) -> Person:
        return next(person for person in found if name in person.names)

    def become_one(one: Person, other: Person) -> None:
        if one is not other:
            found.remove(other)
            one.names |= other.names

    for place, word in enumerate(said):
        if word.kind == JOINED and _still_joined(word, said[place + 1 :]):
            become_one(of(word.survivor), of(word.other))
    apart = [
        {word.survivor, word.other}
        for place, word in enumerate(said)
        if word.kind == PARTED and _still_apart(word, said[place + 1 :])
    ]
    for act in acts:
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
