"""What of a list was seen before: records that are the same, and persons that are."""

from array import array
from collections.abc import Sequence
from typing import NamedTuple

from shared.identity import EMAIL, Identifier


class Earlier(NamedTuple):
    """The number of an earlier record that is the same, or of the same person."""

    record: int
    same_record: bool


class Seen:
    """The records of one list by eight bytes each of a hash, which is enough to tell two hundred thousand apart."""

    def __init__(self) -> None:
        self._persons: dict[int, int] = {}
        self._records: dict[int, int] = {}
        # Nobody asks for a record before the same person comes again: until then those of whole blocks wait here.
        self._waiting: list[tuple[int, array[int]]] = []

    def add_all(self, ids: Sequence[str], emails: Sequence[str], first: int) -> bool:
        """Take in records numbered from `first` on, if none of their persons was there before nor comes twice; else
        returns False, and they are to be added one by one.
        """
        persons = list(map(hash, emails))
        records = list(range(first, first + len(ids)))
        if list(map(self._persons.setdefault, persons, records)) == records:
            self._waiting.append((first, array("q", map(hash, ids))))
            return True
        # `add` is to find only what stood before each.
        for person in persons:
            if self._persons.get(person, 0) >= first:
                del self._persons[person]
        return False

    def add(self, id_: str, person: Identifier, record: int) -> Earlier | None:
        """Take in one record; returns the first that is the same, or else the first of the same person, if any."""
        known_by = hash(person.value if person.kind == EMAIL else person)
        if (of_person := self._persons.setdefault(known_by, record)) == record:
            self._waiting.append((record, array("q", (hash(id_),))))
            return None
        same = self._look_up().setdefault(hash(id_), record)
        return Earlier(of_person, same_record=False) if same == record else Earlier(same, same_record=True)

    def _look_up(self) -> dict[int, int]:
        for first, ids in self._waiting:
            for record, id_ in enumerate(ids, first):
                self._records.setdefault(id_, record)
        self._waiting.clear()
        return self._records
