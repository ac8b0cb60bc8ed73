"""The law again, on as many leads and models as are asked for.

PROPERTY_EXAMPLES=100000 PROPERTY_SEED=1 pytest tests/unit/scoring/core/test_bulk.py -m long -s
"""

from collections.abc import Callable
from random import Random

import pytest

from tests.unit.scoring.core.bulk import Pools, any_order, any_path, chosen_seed, everybody, examples, oracle_agrees

pytestmark = [pytest.mark.long, pytest.mark.timeout(0)]


@pytest.fixture(scope="module")
def pools() -> Pools:
    return Pools(chosen_seed())


@pytest.mark.parametrize("holds", [oracle_agrees, any_path, any_order, everybody])
def test_it_holds_for_so_many(pools: Pools, holds: Callable[[Pools, Random], None]) -> None:
    number, wanted = pools.number, examples()
    print(f"{holds.__name__}: seed {number}, {wanted:,} examples")
    for example in range(wanted):
        try:
            holds(pools, Random(f"{number}:{example}"))
        except BaseException:
            print(f"{holds.__name__}: example {example} of seed {number}")
            raise
