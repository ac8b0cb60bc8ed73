"""When a fault campaign takes scoring to be quiet."""

from datetime import timedelta
from uuid import uuid4

import pytest

from deploy.chaos.fading_check import QUIET_WITHIN_S, left_to_do
from shared.clock import system_clock
from tests.integration.scoring.desk import Desk

AN_HOUR = 3_600.0


@pytest.mark.parametrize(("ahead_s", "waited_for"), [(-AN_HOUR, 1), (0.0, 1), (QUIET_WITHIN_S - 60, 1), (AN_HOUR, 0)])
async def test_what_a_clock_an_hour_fast_has_noted_is_not_waited_for(
    desk: Desk, ahead_s: float, waited_for: int
) -> None:
    at = system_clock() + timedelta(seconds=ahead_s)
    await desk.pool.execute("INSERT INTO scoring.due (lead_id, at) VALUES ($1, $2)", uuid4(), at)
    async with desk.pool.acquire() as conn:
        assert (await left_to_do(conn)).get("leads that are due", 0) == waited_for
