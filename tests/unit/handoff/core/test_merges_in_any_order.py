"""Leads that merge, part and survive each other in turn: whatever partition is read first, the same leads stand."""

from dataclasses import dataclass, field
from itertools import permutations
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import few
from tests.unit.handoff.room import Room

LEADS = "abcd"


@dataclass
class Published:
    """What scoring publishes of a few leads, and who is whom by then; `of` holds the records of each lead in order."""

    into: dict[str, str] = field(default_factory=lambda: {lead: lead for lead in LEADS})
    versions: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LEADS, 0))
    of: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {lead: [] for lead in LEADS})

    def __post_init__(self) -> None:
        for lead in LEADS:
            self._publish(lead)

    def happen(self, dice: Random) -> None:
        """A merge, of which one that had been merged may be the survivor; a lead taken out; or nothing of the kind."""
        one, other = dice.sample(LEADS, 2)
        ours, theirs = self.into[one], self.into[other]
        if ours == theirs and one != ours and dice.random() < 0.5:
            self.into[one] = one
            self._publish(one, unmerged_from=ours)
            self._publish(ours)
        elif ours == theirs and one != ours:
            self._take_over(one, ours)
        elif ours != theirs:
            self._take_over(ours, theirs)
        else:
            self._publish(ours)

    def _take_over(self, survivor: str, merged: str) -> None:
        for lead, into in self.into.items():
            if into == merged:
                self.into[lead] = survivor
        self.into[survivor] = survivor
        last = self.versions[merged]
        self._publish(survivor, cause="merge", merged_from=[merged], merged_versions={merged: last})

    def _publish(self, lead: str, **more: Any) -> None:
        self.versions[lead] += 1
        self.of[lead].append({"version": self.versions[lead], **more})


@few(200)
@given(st.integers(0, 8), st.randoms(use_true_random=False))
def test_the_same_leads_stand_whatever_is_read_first(events: int, dice: Random) -> None:
    published, room = Published(), Room()
    for _ in range(events):
        published.happen(dice)
    unread = {lead: list(records) for lead, records in published.of.items()}
    while waiting := sorted(lead for lead, records in unread.items() if records):
        lead = dice.choice(waiting)
        room.take(lead, 10, 1, **unread[lead].pop(0))
    standing = {lead for lead in LEADS if room.judging.leads[lead].merged_into is None}
    assert standing == set(published.into.values())
    for lead in standing:
        room.take(lead, 52, 40, version=published.versions[lead] + 1)
    assert sorted(raised for raised, _, _ in room.raised()) == sorted(standing)


IN_TURN = [
    # Two leads of one person, of which something late makes now the one, now the other the older.
    ("a", 52, {}),
    ("b", 10, {}),
    ("b", 57, {"a": 1}),
    ("a", 58, {"b": 2}),
    ("b", 59, {"a": 2}),
]


@pytest.mark.parametrize("count", [4, 5])
@pytest.mark.parametrize("order", sorted(set(permutations("aabbb"))), ids="".join)
def test_a_person_whose_leads_survive_each_other_in_turn_is_handed_over_once(
    order: tuple[str, ...], count: int
) -> None:
    room, stands = Room(), IN_TURN[count - 1][0]
    unread = {name: [(score, merged) for lead, score, merged in IN_TURN[:count] if lead == name] for name in "ab"}
    for lead in order:
        if unread[lead]:
            score, merged = unread[lead].pop(0)
            room.take(lead, score, 1, cause="merge", silent=False, merged_from=[*merged], merged_versions=merged)
    assert {name for name in "ab" if room.judging.leads[name].merged_into is None} == {stands}
    assert len(room.raised()) == 1
    room.answer(1, "rejected", lead=room.raised()[0][0])
    room.take(stands, 10, 40)
    room.take(stands, 52, 41)
    assert room.raised()[1:] == [(stands, "hot", 2)]
