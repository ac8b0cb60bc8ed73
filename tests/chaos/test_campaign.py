"""The fault campaign: every process killed and frozen, connections broken, disks full, clocks wrong; then the books."""

import random

import pytest

from deploy.chaos.run import Options, run
from deploy.local.report import Silent


@pytest.mark.timeout(600)
def test_nothing_is_lost_and_nothing_counts_twice() -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    print("seed", seed)
    verdict = run(Options(seed, kills=16, others=16, activities=15_000, per_second=400), Silent())
    assert verdict.differences == []
    assert verdict.kills == 16
    assert verdict.delivered == verdict.qualified > 50
    assert verdict.attempts > verdict.delivered


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_neither_while_points_fade_and_models_are_published() -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    print("seed", seed)
    verdict = run(Options(seed, kills=16, others=16, activities=15_000, per_second=400, fading=True), Silent())
    assert verdict.differences == []
    assert verdict.faded is not None
    assert verdict.faded.by_time > 10
    assert verdict.faded.primary == max(verdict.faded.published) == 2
