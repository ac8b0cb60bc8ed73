"""The timer on a real PostgreSQL: it publishes what time alone changes where that matters, once, and nothing else."""

import asyncio
import time
from datetime import datetime, timedelta
from itertools import pairwise
from math import log2
from pathlib import Path
from typing import Any

import pytest

from services.scoring import models as model_store
from services.scoring.core.lead import LeadState
from services.scoring.refold import refold_some
from services.scoring.repository import ScoringRepository
from services.scoring.timer import look_at_due
from shared.clock import from_rfc3339, to_rfc3339
from shared.identity import EMAIL
from tests.integration.scoring.desk import NOW, Desk, lead_of, open_desk

TARO = lead_of(EMAIL, "taro@example.co.jp")
DAY = timedelta(days=1)
MODEL = """
model: test
watch: [18]
engagement:
  inactivity: {every: 30d, points: -3}
  rules:
    - {id: seminar, activity: seminar_attended, points: 20, repeat: every, decay: {half_life: 60d}}
    - {id: view, activity: page_viewed, points: 0.5, repeat: every, decay: {window: 7d}}
    - {id: quote, activity: quote_requested, points: 0}
level: {1: 75, 2: 50, 3: 19.9, 4: 0}
stages:
  - {id: awareness}
  - {id: research, any: [{did: page_viewed, at_least: 2, within: 2d}]}
"""


@pytest.fixture
async def desk(database: str, tmp_path: Path) -> Any:
    desk = await open_desk(database, tmp_path, MODEL)
    yield desk
    await desk.engine.dispose()
    await desk.pool.close()


def did(kind: str, id_: str, at: datetime = NOW, email: str = "taro@example.co.jp", **more: Any) -> dict[str, Any]:
    return {"id": id_, "type": kind, "occurred_at": to_rfc3339(at), "lead": {"email": email}, **more}


async def causes(desk: Desk) -> list[tuple[str, Any, Any]]:
    """Cause, score and stage of everything published."""
    states = [value for _, value in await desk.published() if value]
    return [(one["cause"], one["models"]["test"]["score"], one["models"]["test"]["stage"]) for one in states]


async def due_at(desk: Desk) -> datetime | None:
    found: datetime | None = await desk.pool.fetchval("SELECT min(at) FROM scoring.due")
    return found


async def until_due(desk: Desk, end: datetime) -> int:
    """Go from one due instant to the next up to `end`; how many times the timer had to look."""
    looks = 0
    while (at := await due_at(desk)) is not None and at <= end:
        desk.now = max(desk.now, at)
        await desk.tick()
        looks += 1
        assert looks < 300
    return looks


async def test_a_level_that_time_takes_is_published_within_a_minute(desk: Desk) -> None:
    await desk.receive(did("seminar_attended", "s1"))
    await until_due(desk, NOW + DAY)
    (_, after) = await causes(desk)
    assert after == ("time", 19.89, "awareness")
    _, state = (await desk.published())[-1]
    # 20 × 2^(-t/60d) falls below 19.895
    moved_at = NOW + 60 * DAY * log2(20 / 19.895)
    assert state
    assert moved_at <= from_rfc3339(state["evaluated_at"]) <= moved_at + timedelta(minutes=1)


async def test_a_watched_total_is_published_and_otherwise_every_point(desk: Desk) -> None:
    await desk.receive(did("seminar_attended", "s1"))
    looks = await until_due(desk, NOW + 25 * DAY)
    scores = [score for _, score, _ in await causes(desk)]
    assert scores[:5] == [20, 19.89, 18.89, 17.99, 16.99]
    assert all(
        round(before - after, 2) >= 1 or (after < 18 <= before) or after == 19.89 for before, after in pairwise(scores)
    )
    assert looks < 60


async def test_what_does_not_matter_is_not_published(desk: Desk) -> None:
    await desk.receive(did("page_viewed", "v1"))
    await until_due(desk, NOW + 20 * DAY)
    # half a point went with its window: less than a point, and no other level or stage
    assert await causes(desk) == [("activity", 0.5, "awareness")]
    assert await desk.score_of(TARO) == 0


async def test_a_stage_that_time_takes_is_published_and_told(desk: Desk) -> None:
    await desk.receive(did("page_viewed", "v1", NOW - DAY), did("page_viewed", "v2"))
    assert await due_at(desk) == NOW + DAY
    await until_due(desk, NOW + DAY)
    assert await causes(desk) == [("activity", 1, "research"), ("time", 1, "awareness")]
    told = [value for _, value in await desk.published("lead-lifecycle") if value]
    assert [(one["from"], one["to"], one["cause"]) for one in told] == [
        ("awareness", "research", "activity"),
        ("research", "awareness", "time"),
    ]


async def test_inactivity_and_expiry_are_published(desk: Desk) -> None:
    await desk.receive(did("quote_requested", "q1"))
    async with desk.http() as http:
        expires = to_rfc3339(NOW + 3 * DAY)
        await http.post(
            f"/v1/leads/{TARO}/points", json={"id": "p", "points": 4, "reason": "met", "expires_at": expires}
        )
    await until_due(desk, NOW + 4 * DAY)
    assert [(cause, score) for cause, score, _ in await causes(desk)] == [("activity", 0), ("manual", 4), ("time", 0)]


async def test_an_earlier_time_is_noted_and_a_later_one_costs_no_write(desk: Desk) -> None:
    await desk.receive(did("page_viewed", "v1"))
    first = await due_at(desk)
    desk.now = NOW + timedelta(minutes=2)
    await desk.receive(did("quote_requested", "q1", NOW + timedelta(minutes=1)))
    assert await due_at(desk) == first
    await desk.receive(did("seminar_attended", "s1", desk.now))
    found = await due_at(desk)
    assert (found or desk.now) < (first or desk.now)


async def test_an_activity_dated_ahead_is_published_when_its_time_has_come(desk: Desk) -> None:
    await desk.receive(did("seminar_attended", "s1", NOW + timedelta(minutes=2)))
    assert await causes(desk) == [("activity", 0, "awareness")]
    await until_due(desk, NOW + timedelta(minutes=2))
    assert (await causes(desk))[1:] == [("time", 20, "awareness")]


STILL = """
model: test
engagement:
  rules:
    - {id: seminar, activity: seminar_attended, points: 20, repeat: every}
"""


async def test_what_was_noted_before_a_lead_was_folded_anew_is_looked_at_once_and_told_of_never(desk: Desk) -> None:
    """A model without anything that fades takes over; what is late, or dated ahead, is folded from the beginning."""
    await desk.receive(did("seminar_attended", "s1", NOW - 2 * DAY))
    (desk.settings.config_dir / "scoring.yaml").write_text(STILL, encoding="utf-8")
    async with desk.pool.acquire() as conn:
        desk.models = await model_store.publish(conn, model_store.read_models(desk.settings.config_dir))
    while await refold_some(desk.pool, desk.settings, desk.models, lambda: desk.now):
        pass
    await desk.receive(did("seminar_attended", "s0", NOW - 3 * DAY))
    ahead = {"lead": {"email": "hanako@example.com"}}
    await desk.receive(did("seminar_attended", "h1", NOW + timedelta(minutes=2)) | ahead)
    desk.now = NOW + 90 * DAY
    looked = [await look_at_due(desk.pool, desk.settings, desk.models, lambda: desk.now) for _ in range(3)]
    assert looked == [2, 0, 0]
    assert [cause for cause, _, _ in await causes(desk)] == ["activity", "model", "activity", "activity", "time"]
    assert await due_at(desk) is None


async def test_a_lead_in_other_hands_is_left_for_the_next_time(desk: Desk) -> None:
    await desk.receive(did("page_viewed", "v1", NOW - DAY), did("page_viewed", "v2"))
    desk.now = NOW + DAY
    async with desk.pool.acquire() as conn, conn.transaction():
        await conn.execute("SELECT FROM scoring.lead WHERE id = $1::uuid FOR UPDATE", TARO)
        assert await look_at_due(desk.pool, desk.settings, desk.models, lambda: desk.now) == 0
    assert await look_at_due(desk.pool, desk.settings, desk.models, lambda: desk.now) == 1
    assert [cause for cause, _, _ in await causes(desk)] == ["activity", "time"]


FLEETING = """
model: test
engagement:
  rules:
    - {id: view, activity: page_viewed, points: 2, repeat: every, decay: {window: 7d}}
"""


async def test_a_lead_that_another_process_looked_at_meanwhile_is_not_told_of_again(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have found it due; the other was first, and noted that nothing will change any more."""
    desk = await open_desk(database, tmp_path, FLEETING)
    await desk.receive(did("page_viewed", "v1"))
    desk.now = NOW + 8 * DAY
    find, found_by = ScoringRepository.due_leads, list[int]()

    async def due_leads(repository: ScoringRepository, now: datetime, limit: int) -> list[str]:
        ids = await find(repository, now, limit)
        found_by.append(len(ids))
        if len(found_by) == 1:
            await look_at_due(desk.pool, desk.settings, desk.models, lambda: desk.now)
        return ids

    monkeypatch.setattr(ScoringRepository, "due_leads", due_leads)
    await look_at_due(desk.pool, desk.settings, desk.models, lambda: desk.now)
    assert found_by == [1, 1]
    assert await causes(desk) == [("activity", 2, None), ("time", 0, None)]
    await desk.engine.dispose()
    await desk.pool.close()


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_a_hundred_thousand_due_in_one_minute_do_not_hold_up_activities(desk: Desk) -> None:
    leads = 100_000
    for start in range(0, leads, 1_000):
        await desk.receive(
            *(
                did("page_viewed", f"{kind}-{number}", at, f"p{number}@example.co.jp")
                for number in range(start, start + 1_000)
                for kind, at in (("a", NOW - DAY), ("b", NOW))
            )
        )
    desk.now = NOW + DAY + timedelta(minutes=1)
    latencies: list[float] = []
    looks = asyncio.ensure_future(_look_until_done(desk))
    number = 0
    while not looks.done():
        began = time.perf_counter()
        await desk.receive(did("quote_requested", f"new-{number}", desk.now, f"p{number * 7 % leads}@example.co.jp"))
        latencies.append(time.perf_counter() - began)
        number += 1
        await asyncio.sleep(0.02)
    took, rounds = await looks
    latencies.sort()
    print(
        f"{leads:,} leads due at once: {took:.1f} s in {rounds} rounds; {number} activities meanwhile,"
        f" p50 {latencies[number // 2] * 1e3:.0f} ms, p99 {latencies[number * 99 // 100] * 1e3:.0f} ms,"
        f" slowest {latencies[-1] * 1e3:.0f} ms"
    )
    assert await desk.pool.fetchval("SELECT count(*) FROM scoring.due WHERE at <= $1", desk.now) == 0
    published = await desk.pool.fetchval(
        "SELECT count(DISTINCT key) FROM scoring.outbox WHERE topic = 'lead-lifecycle'"
        " AND convert_from(value, 'utf8')::jsonb->>'to' = 'awareness'"
    )
    assert published == leads
    assert all(state.due_at is None or state.due_at > desk.now for state in await _some_states(desk))


async def _look_until_done(desk: Desk) -> tuple[float, int]:
    began, rounds = time.perf_counter(), 0
    while True:
        turn = time.perf_counter()
        if not await look_at_due(desk.pool, desk.settings, desk.models, lambda: desk.now):
            return time.perf_counter() - began, rounds
        rounds += 1
        await asyncio.sleep(time.perf_counter() - turn)


async def _some_states(desk: Desk) -> list[LeadState]:
    return [LeadState.unpack(row[0]) for row in await desk.pool.fetch("SELECT state FROM scoring.lead LIMIT 1000")]
