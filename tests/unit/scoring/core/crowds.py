"""Several people whose leads merge by what they send and by what others say: random histories, and what has to hold."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from services.scoring.core.compile import compile_model
from services.scoring.core.lead import LiveModel, Models
from services.scoring.core.loader import model_from
from tests.oracle import people, scoring
from tests.unit.scoring.core.choices import Choices
from tests.unit.scoring.core.lives import says_what_the_oracle_says
from tests.unit.scoring.core.memory import Memory, id_for
from tests.unit.scoring.core.strategies import START, identifier, models, to_activity, to_entries

NAMES = ["e1", "e2", "e3", "x1", "x2", "p1", "p2", "a1", "a2"]
KINDS = "expa"
NOW = START + timedelta(days=40)
TREE: dict[str, Any] = {
    "model": "crowd",
    "timezone": "Asia/Tokyo",
    "daily_max": 2,
    "engagement": {
        "rules": [
            {"id": "document", "activity": "document_downloaded", "points": 5, "decay": {"half_life": "7d"}},
            {"id": "seminar", "activity": "webinar_attended", "points": 3, "repeat": {"once_per": "2d"}},
            {"id": "often", "activity": "*", "cells": [{"at_least": 3, "within": "7d", "points": 4}]},
        ]
    },
}


def names() -> st.SearchStrategy[tuple[str, ...]]:
    """Up to three identifiers of one activity, the strongest first; at most one of every kind."""
    chosen = st.sets(st.sampled_from(NAMES), min_size=1, max_size=3)
    one_of_each = chosen.filter(lambda some: len({name[0] for name in some}) == len(some))
    return one_of_each.map(lambda some: tuple(sorted(some, key=lambda name: (KINDS.index(name[0]), name))))


def crowds() -> st.SearchStrategy[list[scoring.Act]]:
    """Activities of a few people on a few days."""
    one = st.tuples(
        names(), st.integers(0, 8), st.sampled_from(["document_downloaded", "webinar_attended"]), st.integers(0, 2)
    )
    return st.lists(one, min_size=1, max_size=12).map(
        lambda items: [
            scoring.Act(str(place), "web", kind, START + timedelta(days=day), {"document": f"d{n}"}, names=named)
            for place, (named, day, kind, n) in enumerate(items)
        ]
    )


def trees() -> st.SearchStrategy[dict[str, Any]]:
    """Mostly one model in which it matters whose an activity is; else any."""
    return st.one_of(st.just(TREE), st.just(TREE), models())


def leads_are_the_oracles(
    tree: dict[str, Any], acts: list[scoring.Act], entries: list[scoring.Entry], choices: Choices
) -> None:
    """In whatever order activities, entries and words about leads come, everybody ends where the oracle says."""
    memory = Memory(Models((LiveModel(tree["model"], 1, compile_model(model_from(tree))),)))
    arrival = choices.order(acts)
    entered: list[tuple[str, scoring.Entry]] = []
    start, waiting = 0, list(zip(entries, to_entries(entries), strict=True))
    while start < len(arrival):
        size = choices.number(1, 5)
        memory.receive([to_activity(act) for act in arrival[start : start + size]], NOW)
        start += size
        _say_something(memory, choices, ["nothing", "nothing", "merge"])
        if waiting and choices.number(0, 1):
            said, stored = waiting.pop()
            lead_id = choices.one(sorted(memory.packed))
            anchor = memory.anchor_of(lead_id)
            memory.enter(lead_id, replace(stored, anchor=anchor), NOW)
            entered.append((_name(anchor), said))
    _say_something(memory, choices, ["nothing", "merge", "unmerge"])
    _say_something(memory, choices, ["nothing", "merge"])
    compare(memory, tree, acts, entered)


def compare(
    memory: Memory, tree: dict[str, Any], acts: Sequence[scoring.Act], entered: Sequence[tuple[str, scoring.Entry]]
) -> None:
    """The same people, each with the oracle's score."""
    said = [people.Said(link.kind, _name(link.survivor), _name(link.other)) for link in memory.links]
    expected = {frozenset(act.id for act in person.acts): person for person in people.people(acts, said) if person.acts}
    found = {frozenset(one.id for one in memory.stored[lead_id]): lead_id for lead_id in memory.packed}
    assert found.keys() == expected.keys()
    for ids, person in expected.items():
        own = [entry for anchor, entry in entered if anchor in person.names]
        answer = scoring.score(tree, person.acts, NOW, entries=own)
        says_what_the_oracle_says(memory.evaluation(found[ids], NOW), answer)
        assert person.called is not None
        assert found[ids] == id_for(identifier(person.called))
        for name in person.names:
            hashed = id_for(identifier(name))
            assert memory.merged_into.get(hashed, found[ids]) == found[ids]


def _say_something(memory: Memory, choices: Choices, words: Sequence[str]) -> None:
    leads, word = sorted(memory.packed), choices.one(words)
    if word == "merge" and len(leads) > 1:
        one, other = choices.order(leads)[:2]
        names = [name for name, owner in memory.owners.items() if owner.lead_id in (one, other)]
        memory.merge(one, other, NOW)
        assert len({memory.owners[name].lead_id for name in names}) == 1
    elif word == "unmerge" and (pairs := memory.separable()):
        memory.unmerge(*choices.one(pairs), NOW)


def _name(anchor: str) -> str:
    return next(name for name in NAMES if id_for(identifier(name)) == anchor)
