"""The store that `growth` measures on is one that scoring goes on with."""

import pytest

from deploy.bench.cases import growth
from deploy.bench.sample import email_of
from deploy.bench.scoring_rig import Desk
from services.scoring.core.lead import LeadState

SMALL, LARGE = 40, 200


async def test_copies_are_leads_that_are_scored_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[int, set[str | None]] = {}

    async def multiply(desk: Desk, leads: int) -> None:
        await original(desk, leads)
        async with desk.pool.acquire() as conn:
            states = await conn.fetch("SELECT state FROM scoring.lead")
            assert await conn.fetchval("SELECT count(*) FROM scoring.activity") == leads * growth.EACH
        seen[leads] = {LeadState.unpack(state).profile.email for (state,) in states}

    original = growth.multiply
    for name, value in {"SMALL": SMALL, "LARGE": LARGE, "COUNT": 100, "ROUNDS": 1, "multiply": multiply}.items():
        monkeypatch.setattr(growth, name, value)
    (line,) = [line async for line in growth.measure()]
    assert seen == {leads: {email_of(number) for number in range(leads)} for leads in (SMALL, LARGE)}
    assert line.value > 0
    assert line.limit is not None
    assert line.limit > 0
