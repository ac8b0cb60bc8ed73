"""The checker is checked: bugs that such systems have had are put in, and every one of them must be found."""

import random

import pytest

from deploy.chaos.plants import PLANTS
from deploy.chaos.run import Options, run
from deploy.local.report import Silent

pytestmark = pytest.mark.long


@pytest.mark.parametrize("name", sorted(PLANTS))
def test_a_planted_bug_is_found(name: str) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    print("seed", seed)
    lure = PLANTS[name].lure * 4
    verdict = run(Options(seed, kills=0, others=0, activities=6_000, per_second=400, plant=name, lure=lure), Silent())
    assert verdict.differences
