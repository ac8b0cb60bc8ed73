"""Planted bugs find their place: one whose place is gone would be found by nobody."""

import subprocess
import sys

import pytest

from deploy.chaos.planting import exchange


def test_every_bug_can_be_put_in() -> None:
    # In a process of its own, which ends with them.
    code = "from deploy.chaos.plants import PLANTS\nfor plant in PLANTS.values(): plant.plant()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_part_that_is_not_there_cannot_be_exchanged() -> None:
    with pytest.raises(AttributeError, match="no_such_part"):
        exchange(subprocess, "no_such_part", None)
