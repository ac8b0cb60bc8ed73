"""Leads and models by the hundred thousand: put together by dice from pools that Hypothesis has filled.

To draw a lead anew costs Hypothesis ten times what it costs to score and to check it.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from random import Random, SystemRandom
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.oracle import scoring as oracle
from tests.oracle.fading import span
from tests.unit.scoring.core import strategies
from tests.unit.scoring.core.choices import Rolled
from tests.unit.scoring.core.crowds import TREE, leads_are_the_oracles, names
from tests.unit.scoring.core.lives import agrees, holds_for_any_path, permuted_and_cut

T = TypeVar("T")
POOL = 1_000
LATER = timedelta(days=70)
EDGES = [timedelta(), *map(span, strategies.SPANS), timedelta(days=31)]
"""Ages at which windows, repeats, cells and silence change something."""


def examples(least: int = 3_000) -> int:
    """How many are asked for."""
    return int(os.environ.get("PROPERTY_EXAMPLES") or least)


def chosen_seed() -> int:
    """The seed to repeat a run by; else a new one."""
    return int(os.environ.get("PROPERTY_SEED") or SystemRandom().randrange(1_000_000))


def pool(strategy: st.SearchStrategy[T], number: int) -> list[T]:
    """Many different examples of a strategy, the same for the same number."""
    found: list[T] = []

    @seed(number)
    @settings(
        max_examples=POOL,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(one: T) -> None:
        found.append(one)

    collect()
    return found


class Pools:
    """What leads and models are put together from."""

    def __init__(self, number: int) -> None:
        self.number = number

    @cached_property
    def acts(self) -> list[oracle.Act]:
        return pool(strategies.acts(0), self.number)

    @cached_property
    def bursts(self) -> list[list[oracle.Act]]:
        return pool(strategies.bursts(99), self.number)

    @cached_property
    def entries(self) -> list[list[oracle.Entry]]:
        return pool(strategies.entries(), self.number)

    @cached_property
    def trees(self) -> list[dict[str, Any]]:
        return pool(strategies.models(), self.number)

    @cached_property
    def names(self) -> list[tuple[str, ...]]:
        return pool(names(), self.number)

    def fill(self) -> None:
        """Fill all pools."""
        assert all((self.acts, self.bursts, self.entries, self.trees, self.names))

    def tree(self, dice: Random) -> dict[str, Any]:
        """A model: the frame of one, with rules and inactivity of others."""
        frame, others = dice.choice(self.trees), [dice.choice(self.trees) for _ in range(dice.randint(1, 4))]
        rules = [dice.choice(one["engagement"]["rules"]) | {"id": f"r{place}"} for place, one in enumerate(others)]
        section: dict[str, Any] = frame["engagement"] | {"rules": rules}
        if "inactivity" in others[0]["engagement"]:
            section |= {"inactivity": others[0]["engagement"]["inactivity"]}
        return frame | {"engagement": section}

    def lead(self, dice: Random, most: int = 30) -> list[oracle.Act]:
        """Activities of one lead."""
        count = dice.randint(0, most)
        acts = [
            replace(dice.choice(self.acts), id=f"{dice.randint(0, 9)}-{place}", at=self.instant(dice))
            for place in range(count)
        ]
        return [*acts, *dice.choice(self.bursts)] if dice.randint(0, 3) == 0 else acts

    def instant(self, dice: Random) -> datetime:
        """As `strategies.instants`."""
        beside = timedelta(microseconds=dice.choice([0, 0, 0, 1, -1]))
        return strategies.START + timedelta(hours=3 * dice.randint(0, 480)) + beside

    def readings(self, dice: Random, acts: Sequence[oracle.Act], entered: Sequence[oracle.Entry]) -> list[datetime]:
        """One to four instants, sometimes long after the last activity; half of them where something begins or ends."""
        edges = [one.at + dice.choice(EDGES) for one in acts]
        edges += [edge for one in entered for edge in (one.at, getattr(one, "until", None)) if edge is not None]
        free = [self.instant(dice) + dice.choice([timedelta(), LATER]) for _ in range(4)]
        return [dice.choice(edges) if edges and dice.randint(0, 1) else one for one in free[: dice.randint(1, 4)]]

    def crowd(self, dice: Random) -> list[oracle.Act]:
        """Activities of several people."""
        kinds = ["document_downloaded", "webinar_attended"]
        return [
            oracle.Act(
                str(place), "web", dice.choice(kinds), strategies.START + timedelta(days=dice.randint(0, 8)),
                {"document": f"d{dice.randint(0, 2)}"}, names=dice.choice(self.names),
            )
            for place in range(dice.randint(1, 14))
        ]  # fmt: skip

    def crowds_tree(self, dice: Random) -> dict[str, Any]:
        """As `crowds.trees`."""
        return TREE if dice.randint(0, 2) else self.tree(dice)


def oracle_agrees(pools: Pools, dice: Random) -> None:
    """Of the whole set at once."""
    tree, lead, entered = pools.tree(dice), pools.lead(dice, 40), dice.choice(pools.entries)
    agrees(tree, lead, pools.readings(dice, lead, entered)[0], entered)


def any_path(pools: Pools, dice: Random) -> None:
    """However it came."""
    tree, lead, entered = pools.tree(dice), pools.lead(dice), dice.choice(pools.entries)
    holds_for_any_path(tree, lead, entered, pools.readings(dice, lead, entered), Rolled(dice))


def any_order(pools: Pools, dice: Random) -> None:
    """Whatever the order and the cuts."""
    tree, lead = pools.tree(dice), pools.lead(dice)
    permuted_and_cut(tree, lead, pools.readings(dice, lead, ())[0], Rolled(dice))


def everybody(pools: Pools, dice: Random) -> None:
    """Of several people, whoever is whoever."""
    leads_are_the_oracles(pools.crowds_tree(dice), pools.crowd(dice), dice.choice(pools.entries), Rolled(dice))
