"""Removing old activities changes no score: opening entries hold what can still count."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.core import openings, removal
from tests.oracle import scoring as oracle
from tests.properties import few
from tests.unit.scoring.core.bulk import Pools, chosen_seed, examples
from tests.unit.scoring.core.choices import Drawn, Rolled
from tests.unit.scoring.core.retained import (
    joins_as_before,
    keeps_every_score,
    late_ones_find_their_place,
    other_points_find_the_same_past,
    parts_as_before,
)
from tests.unit.scoring.core.strategies import acts, entries, leads, models

PLACES = st.integers(0, 14)
SOME = st.lists(st.integers(0, 99).flatmap(acts), max_size=8, unique_by=lambda act: act.id)


@few()
@given(models(), models(), leads(), entries(), st.data())
def test_a_lead_without_its_old_activities_is_what_it_was(
    tree: dict[str, Any],
    shadow: dict[str, Any],
    told: list[oracle.Act],
    given_: list[oracle.Entry],
    data: st.DataObject,
) -> None:
    keeps_every_score([tree, shadow], told, given_, Drawn(data))


@few()
@given(models(), models(), leads(), entries(), st.data())
def test_a_version_with_other_points_finds_the_same_past(
    tree: dict[str, Any], other: dict[str, Any], told: list[oracle.Act], given_: list[oracle.Entry], data: st.DataObject
) -> None:
    other_points_find_the_same_past(tree, other, told, given_, Drawn(data))


@few()
@given(models(), SOME, SOME, st.data())
def test_two_leads_join_as_they_would_have(
    tree: dict[str, Any], one: list[oracle.Act], other: list[oracle.Act], data: st.DataObject
) -> None:
    joins_as_before(tree, one, other, Drawn(data))


@few()
@given(models(), SOME, st.data())
def test_a_lead_comes_apart_as_it_would_have(tree: dict[str, Any], told: list[oracle.Act], data: st.DataObject) -> None:
    parts_as_before(tree, told, Drawn(data))


@few()
@given(models(), SOME, SOME, st.data())
def test_late_activities_find_their_place_among_removed_ones(
    tree: dict[str, Any], told: list[oracle.Act], late: list[oracle.Act], data: st.DataObject
) -> None:
    late_ones_find_their_place(tree, told, late, Drawn(data))


def _any_lead(pools: Pools, dice: Random) -> None:
    trees = [pools.tree(dice) for _ in range(dice.randint(1, 2))]
    keeps_every_score(trees, pools.lead(dice, 40), dice.choice(pools.entries), Rolled(dice))


@pytest.mark.long
@pytest.mark.timeout(0)
def test_a_lead_without_its_old_activities_is_what_it_was_at_length() -> None:
    pools = Pools(chosen_seed())
    print("seed", pools.number)
    for example in range(examples()):
        _any_lead(pools, Random(f"{pools.number}:{example}"))


MISTAKES: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "objects forgotten": (removal, "stored_key", lambda _key: ""),
    "signs of life forgotten": (openings.Before, "_signs_of_life", lambda *_: iter(())),
    "parts taken for the whole": (openings.Openings, "stands", lambda *_: (openings.BOTH, openings.PART)),
}


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", sorted(MISTAKES))
def test_a_planted_mistake_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pools = Pools(chosen_seed())
    print("seed", pools.number)
    pools.fill()
    monkeypatch.setattr(*MISTAKES[name])
    assert any(not _holds(pools, example) for example in range(3_000))


def _holds(pools: Pools, example: int) -> bool:
    try:
        _any_lead(pools, Random(f"{pools.number}:{example}"))
    except AssertionError:
        return False
    return True
