"""How many examples a property is tried on: a handful in `make test`, at least a thousand in `make test-long`.

PROPERTY_EXAMPLES asks for another number; `--hypothesis-seed` repeats a run.
"""

import os
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings

Test = TypeVar("Test", bound=Callable[..., Any])
_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


def few(examples: int = 25) -> Callable[[Test], Test]:
    """For every run of the tests; `make test-long` asks for more of the same."""
    wanted = settings(max_examples=_wanted(examples), deadline=None, suppress_health_check=_SLOW)
    return lambda test: pytest.mark.property(wanted(test))


def many(examples: int = 2_000) -> settings:
    """For the long run alone, with larger examples."""
    return settings(max_examples=_wanted(examples), deadline=None, suppress_health_check=_SLOW, database=None)


def _wanted(examples: int) -> int:
    return int(os.environ.get("PROPERTY_EXAMPLES") or examples)
