"""The checker is checked: bugs that such systems have had are put in, and every one of them must be found."""

import random

import pytest

from deploy.chaos.model_plants import MODEL_PLANTS
from deploy.chaos.plan import Fault
from deploy.chaos.plants import PLANTS
from deploy.chaos.run import Options, run
from deploy.local.report import Silent

pytestmark = pytest.mark.long

EXPECTED = {
    "switched-without-refold": "engagement",
    "left-behind": "ends with the models",
    "due-forgotten": "leads that are due",
    "looked-at-twice": "because of time",
}
"""What the checker says of each."""


@pytest.mark.parametrize("name", sorted(PLANTS.keys() - MODEL_PLANTS.keys()))
def test_a_planted_bug_is_found(name: str) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    print("seed", seed)
    lure = PLANTS[name].lure * 4
    options = Options(seed, kills=0, others=0, activities=6_000, per_second=400, plant=name, lure=lure)
    assert run(options, Silent()).differences


@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("name", sorted(MODEL_PLANTS))
def test_a_planted_bug_of_models_or_of_the_timer_is_found(name: str) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    print("seed", seed)
    waits = [Fault("clock_jump", "ingest", seconds=0.1, pause=30.0)] * 4
    options = Options(seed, kills=0, others=0, activities=6_000, per_second=400, plant=name, lure=waits, fading=True)
    differences = run(options, Silent()).differences
    print(differences[:5])
    assert any(EXPECTED[name] in one for one in differences)
