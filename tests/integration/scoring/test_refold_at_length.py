"""A million activities folded again while live scoring goes on: nothing is lost, and how fast it is, is printed."""

import asyncio
import statistics
import time
from datetime import timedelta
from functools import partial

import pytest

from services.scoring.core.lead import is_current
from services.scoring.helper import Helpers
from services.scoring.judging import preview
from services.scoring.model_changes import Change, create, publish
from services.scoring.refold import Refolder
from services.scoring.refold_repository import RefoldRepository
from shared.activity import Activity
from shared.identity import EMAIL, Identifier
from shared.waiting import until_it_works
from tests.integration.scoring.desk import NOW, Desk
from tests.integration.scoring.model_desk import worth

LEADS, EACH = 50_000, 20
LIVE_BATCH = 10


def activity(id_: str, lead: int, minutes: int) -> Activity:
    return Activity(
        id=id_,
        source="long",
        type="document_downloaded",
        occurred_at=NOW - timedelta(minutes=minutes),
        received_at=NOW,
        identifiers=(Identifier(EMAIL, f"p{lead}@example.com"),),
        email=f"p{lead}@example.com",
        attributes={},
        properties={"document": f"d{id_}"},
        consent=None,
        flags=(),
    )


async def live(desk: Desk, number: int) -> float:
    """A small batch of new activities of known leads; the seconds until it is scored."""
    made = [activity(f"live{number}-{place}", (number * LIVE_BATCH + place) % LEADS, 0) for place in range(LIVE_BATCH)]
    batch = await desk.of(made)
    started = time.perf_counter()
    await until_it_works(partial(desk.handler().handle, batch), lambda _: None)
    return time.perf_counter() - started


def told(name: str, seconds: list[float]) -> None:
    cut = statistics.quantiles(seconds, n=100)
    print(f"live batches {name}: {len(seconds)}, p50 {cut[49] * 1000:.1f} ms, p99 {cut[98] * 1000:.1f} ms")


async def previewed(desk: Desk) -> None:
    """All leads under the model that is now in force and under another one, by two processes."""
    at, started = NOW + timedelta(minutes=1), time.perf_counter()
    found = await preview(desk.settings.database, worth(8), worth(3), at, 10_000, lambda _done, _of: None, 2)
    print(f"previewed: {LEADS:,} leads in {time.perf_counter() - started:.1f} s")
    body = found.to_json()
    assert body["leads"] == LEADS
    assert body["drop_out"]["count"] == body["at_or_above"]["before"] - body["at_or_above"]["after"] > 0


@pytest.mark.long
@pytest.mark.timeout(3_600)
async def test_a_million_activities_are_folded_again_beside_live_scoring(desk: Desk) -> None:
    for start in range(0, LEADS, 250):
        batch = [
            activity(f"{lead}-{each}", lead, 100 + EACH - each)
            for lead in range(start, min(start + 250, LEADS))
            for each in range(EACH)
        ]
        await desk.handler().handle(await desk.of(batch))
    before = [await live(desk, number) for number in range(200)]
    draft = await create(desk.pool, "test", worth(8), None)
    await publish(desk.pool, Change("test", draft.name, draft.version), None, None)

    async def fold() -> float:
        started = time.perf_counter()
        helpers = Helpers()
        refolder = Refolder(desk.pool, desk.settings, desk.models, lambda: NOW, helpers)
        while await until_it_works(refolder.some, lambda _: None):
            pass
        took = time.perf_counter() - started
        await helpers.end()
        return took

    meanwhile: list[float] = []
    folding = asyncio.ensure_future(fold())
    while not folding.done():
        meanwhile.append(await live(desk, 200 + len(meanwhile)))
        await asyncio.sleep(0)
    took = await folding
    print(f"folded again: {LEADS * EACH:,} activities of {LEADS:,} leads in {took:.1f} s, {LEADS * EACH / took:,.0f}/s")
    await previewed(desk)
    told("before", before)
    told("meanwhile", meanwhile)
    states = await desk.states()
    assert len(states) == LEADS
    assert all(is_current(desk.models.current, state) for state in states.values())
    assert sum(state.profile.count for state in states.values()) == LEADS * EACH + LIVE_BATCH * (200 + len(meanwhile))
    async with desk.pool.acquire() as conn:
        job = await RefoldRepository(conn).latest(draft.name, draft.version)
    assert job is not None
    assert job.finished_at is not None
    assert job.done == LEADS
