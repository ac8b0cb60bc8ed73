"""Runs and lists on a real PostgreSQL: collected, handed over once, the same rows whenever they are asked for."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest

from services.handoff.core.due_runs import hot_list
from services.handoff.core.rules import load_rules
from services.handoff.extraction_reading import ExtractionReader
from services.handoff.extraction_repository import ExtractionRepository
from services.handoff.recovery import _handoff, _note_collected
from shared.postgres import create_engine
from tests.integration.handoff.desk import Desk
from tests.integration.handoff.weekly import AFTER, FRIDAY, KEY, extractions, started, use

LEVELS = """
queues: {inside: {}, field: {}}
rules:
  - {id: inside, enter: 30, to: inside, when: immediately}
  - {id: field, enter: 60, to: field, when: {every: "FRI 09:00", timezone: Asia/Tokyo},
     require: {handoff: {rule: inside, state: [accepted, converted]}}}
"""


@dataclass
class StandIn:
    """A backlog that is judged when the test says so."""

    is_judged: bool = False
    began: list[datetime] = field(default_factory=list)
    since: datetime | None = None

    async def judged(self, now: datetime) -> datetime | None:
        if self.since is None:
            self.began.append(now)
        since, self.since = self.since or now, None if self.is_judged else self.since or now
        return since if self.is_judged else None


async def rows_of(desk: Desk, database: str, id_: Any) -> list[Any]:
    engine = create_engine(desk.settings.database, name="test")
    try:
        return [row async for part in ExtractionReader(engine).rows(UUID(str(id_))) for row in part]
    finally:
        await engine.dispose()


async def test_leads_of_a_week_are_handed_over_on_friday_once(weekly: Desk, database: str) -> None:
    await started(weekly)
    await weekly.states(weekly.published("a", 52), weekly.published("b", 60), weekly.published("c", 55))
    await weekly.states(weekly.published("b", 44, 2))
    await weekly.run_at(FRIDAY - AFTER)
    assert await weekly.cycles() == []
    await weekly.run_at(FRIDAY + AFTER)
    assert sorted(await weekly.cycles()) == [("a", "weekly", 1), ("c", "weekly", 1)]
    assert await extractions(weekly) == [(KEY, "completed", 2, 1)]
    states = await weekly.pool.fetch(
        "SELECT lead_id, state, owner, handed_over_at FROM handoff.handoff ORDER BY lead_id"
    )
    assert [tuple(row)[:3] for row in states] == [
        ("a", "qualified", "sato"),
        ("b", "lapsed", None),
        ("c", "qualified", "sato"),
    ]
    assert states[0]["handed_over_at"] == FRIDAY + AFTER
    first = next(item for item in await weekly.outbox("qualified-leads") if item["lead"]["id"] == "a")
    run = await weekly.pool.fetchval("SELECT id FROM handoff.extraction")
    assert first["handoff"]["extraction"] == str(run)
    assert first["reasons"] == [{"rule": "seminar-attended", "points": 52, "count": 1}]
    completed = [item for item in await weekly.outbox("lead-lifecycle") if "extraction_id" in item]
    assert [(item["run"], item["kind"], item["count"], item["queue"]) for item in completed] == [
        (KEY, "records", 2, "desk")
    ]
    rows = await rows_of(weekly, database, run)
    assert sorted(row[0] for row in rows) == ["a", "c"]
    await weekly.states(weekly.published("a", 90, 6))
    await weekly.run_at(FRIDAY + timedelta(days=1))
    assert len(await weekly.cycles()) == 2
    assert await rows_of(weekly, database, run) == rows


async def test_a_crossing_after_the_run_waits_for_the_next_one(weekly: Desk) -> None:
    await started(weekly)
    await weekly.run_at(FRIDAY + AFTER)
    assert await extractions(weekly) == [(KEY, "completed", 0, 0)]
    await weekly.states(weekly.published("a", 52, 5.5))
    await weekly.run_at(FRIDAY + timedelta(days=6))
    assert await weekly.cycles() == []
    await weekly.run_at(FRIDAY + timedelta(days=7) + AFTER)
    assert await weekly.cycles() == [("a", "weekly", 1)]


async def test_a_run_that_is_interrupted_after_any_batch_goes_on(weekly: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.handoff.runs.BATCH", 3)
    await started(weekly)
    await weekly.states(*(weekly.published(f"l{number}", 52) for number in range(10)))
    weekly.now = FRIDAY + AFTER
    assert await weekly.runs().tick()
    assert len(await weekly.cycles()) == 3
    await weekly.pool.execute("ALTER TABLE handoff.outbox RENAME TO away")
    with pytest.raises(Exception, match="outbox"):
        await weekly.runs().tick()
    await weekly.pool.execute("ALTER TABLE handoff.away RENAME TO outbox")
    assert await extractions(weekly) == [(KEY, "running", 3, 0)]
    await weekly.run_at(FRIDAY + timedelta(minutes=10))
    assert len(set(await weekly.cycles())) == len(await weekly.cycles()) == 10
    assert await extractions(weekly) == [(KEY, "completed", 10, 0)]
    numbers = await weekly.pool.fetch("SELECT number, lead_id FROM handoff.extraction_row ORDER BY number")
    assert [row[0] for row in numbers] == list(range(1, 11))
    assert len({row[1] for row in numbers}) == 10


async def test_processes_that_run_at_once_do_it_once(weekly: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.handoff.runs.BATCH", 4)
    await started(weekly)
    await weekly.states(*(weekly.published(f"l{number}", 52) for number in range(30)))
    weekly.now = FRIDAY + AFTER

    async def work() -> None:
        while "completed" not in {state for _, state, _, _ in await extractions(weekly)}:
            await weekly.runs().tick()

    async with asyncio.timeout(60):
        await asyncio.gather(work(), work(), work())
    found = await weekly.cycles()
    assert len(found) == len(set(found)) == 30
    assert await extractions(weekly) == [(KEY, "completed", 30, 0)]


@pytest.mark.parametrize(
    ("missed", "states", "handed_over"),
    [("run_once", ["missed", "completed"], 1), ("skip", ["missed", "missed"], 0)],
)
async def test_missed_runs(desk: Desk, missed: str, states: list[str], handed_over: int) -> None:
    use(desk, missed)
    await started(desk)
    await desk.states(desk.published("a", 52))
    await desk.run_at(FRIDAY + timedelta(days=8))
    assert [state for _, state, _, _ in await extractions(desk)] == states
    assert len(await desk.cycles()) == handed_over
    await desk.run_at(FRIDAY + timedelta(days=14) + AFTER)
    assert len(await desk.cycles()) == 1


async def test_no_run_begins_before_the_backlog_is_judged(weekly: Desk) -> None:
    await started(weekly)
    backlog = StandIn()
    runs = weekly.runs(backlog)
    for hours in (2, 3):
        weekly.now = FRIDAY + timedelta(hours=hours)
        assert not await runs.tick()
    assert await extractions(weekly) == []
    await weekly.states(weekly.published("a", 52))
    backlog.is_judged = True
    assert await runs.tick()
    assert await weekly.cycles() == [("a", "weekly", 1)]


async def test_a_wait_for_the_backlog_makes_no_run_late(desk: Desk) -> None:
    use(desk, "skip")
    await started(desk)
    await desk.states(desk.published("a", 52))
    backlog, desk.now = StandIn(), FRIDAY - AFTER
    runs = desk.runs(backlog)
    for at in (FRIDAY + AFTER, FRIDAY + timedelta(days=7) - AFTER):
        desk.now = at
        await runs.tick()
    backlog.is_judged = True
    await runs.tick()
    assert (await extractions(desk))[0][:2] == (KEY, "running")
    assert len(await desk.cycles()) == 1


async def test_what_falls_due_while_another_waits_for_its_backlog_waits_for_its_own(weekly: Desk) -> None:
    await started(weekly)
    backlog = StandIn()
    runs = weekly.runs(backlog)
    for days in (0, 7):
        weekly.now = FRIDAY + timedelta(days=days) + AFTER
        await runs.tick()
    backlog.is_judged = True
    while await runs.plan(weekly.now):
        assert len(await extractions(weekly)) < 2
        await runs.tick()
    assert backlog.began == [FRIDAY + AFTER, FRIDAY + timedelta(days=7) + AFTER]
    assert [state for _, state, _, _ in await extractions(weekly)] == ["completed", "completed"]


async def test_a_lead_that_was_merged_while_it_waited_is_handed_over_with_the_survivors_state(weekly: Desk) -> None:
    await started(weekly)
    await weekly.states(weekly.published("a", 52))
    await weekly.states(weekly.published("b", 70, 2, cause="merge", merged_from=["a"]))
    await weekly.merged_away("a", into="b")
    await weekly.run_at(FRIDAY + AFTER)
    (event,) = await weekly.outbox("qualified-leads")
    assert (event["lead"]["id"], event["score"]) == ("a", 70.0)


async def test_a_run_between_a_merged_leads_end_and_its_survivors_record_loses_nobody(weekly: Desk) -> None:
    await started(weekly)
    await weekly.states(weekly.published("a", 52), weekly.published("b", 10))
    await weekly.merged_away("a", into="b")
    await weekly.run_at(FRIDAY + AFTER)
    assert await weekly.cycles() == [("a", "weekly", 1)]
    await weekly.states(weekly.published("b", 57, 5.1, cause="merge", merged_from=["a"], merged_versions={"a": 1}))
    await weekly.run_at(FRIDAY + timedelta(days=7) + AFTER)
    assert await weekly.cycles() == [("a", "weekly", 1)]
    assert await weekly.standing() == ["qualified"]
    assert await weekly.pool.fetchval("SELECT state FROM handoff.lead WHERE id = 'a'") is None


async def test_an_erased_lead_is_not_handed_over(weekly: Desk) -> None:
    await started(weekly)
    await weekly.states(weekly.published("a", 52))
    await weekly.states(("a", None))
    assert await weekly.pool.fetchval("SELECT state FROM handoff.lead WHERE id = 'a'") is None
    await weekly.run_at(FRIDAY + AFTER)
    assert await weekly.cycles() == []
    assert await weekly.standing() == ["lapsed"]


async def test_what_was_handed_over_before_a_restore_is_not_handed_over_again(weekly: Desk) -> None:
    await started(weekly)
    await weekly.states(weekly.published("a", 52))
    await weekly.run_at(FRIDAY + AFTER)
    (event,) = await weekly.outbox("qualified-leads")
    await weekly.pool.execute("UPDATE handoff.handoff SET handed_over_at = NULL, owner = NULL, extraction = NULL")
    await weekly.pool.execute("DELETE FROM handoff.extraction")
    async with weekly.pool.acquire() as conn:
        await _note_collected(conn, [_handoff(event, {})])
    row = await weekly.pool.fetchrow("SELECT handed_over_at, owner, due_at FROM handoff.handoff")
    assert tuple(row) == (FRIDAY + AFTER, "sato", FRIDAY + AFTER + timedelta(hours=4))
    await weekly.run_at(FRIDAY + timedelta(minutes=1))
    assert len(await weekly.cycles()) == 1


async def test_a_list_holds_who_meets_a_level(weekly: Desk) -> None:
    weekly.book = load_rules(LEVELS).rulebook(4)
    await weekly.states(*(weekly.published(lead, 70) for lead in ("a", "b", "c")))
    ids = {row[0]: row[1] for row in await weekly.pool.fetch("SELECT lead_id, id::text FROM handoff.handoff")}
    await weekly.pool.execute("UPDATE handoff.handoff SET state = 'accepted' WHERE id = $1", ids["a"])
    await weekly.pool.execute("UPDATE handoff.handoff SET state = 'converted' WHERE id = $1", ids["b"])
    await weekly.states(weekly.published("b", 71, 2))
    wanted = hot_list(weekly.book.rules[1], "k", weekly.now)
    async with weekly.pool.acquire() as conn, conn.transaction():
        await ExtractionRepository(conn).begin([wanted], weekly.now)
    while await weekly.runs().step(wanted.id):
        pass
    rows = await weekly.pool.fetch("SELECT lead_id FROM handoff.extraction_row ORDER BY lead_id")
    assert [row[0] for row in rows] == ["a", "b"]


async def test_who_is_hot_now_is_a_list_and_no_record(weekly: Desk, database: str) -> None:
    await weekly.states(weekly.published("a", 52), weekly.published("b", 49), weekly.published("c", 70))
    await weekly.states(weekly.published("m", 90), weekly.published("c", 71, 2, merged_from=["m"], cause="merge"))
    await weekly.states(weekly.published("late", 80))
    await weekly.pool.execute("DELETE FROM handoff.crossing WHERE lead_id = 'late'")
    wanted = hot_list(weekly.book.rules[0], "monday", weekly.now)
    for _ in range(2):
        async with weekly.pool.acquire() as conn, conn.transaction():
            await ExtractionRepository(conn).begin([wanted], weekly.now)
        while await weekly.runs().step(wanted.id):
            pass
        assert await extractions(weekly) == [("monday", "completed", 3, 0)]
        await weekly.states(weekly.published("x", 99))
    assert await weekly.cycles() == []
    rows = await rows_of(weekly, database, wanted.id)
    assert [(row[0], row[8]) for row in rows] == [("a", 52.0), ("c", 71.0), ("late", 80.0)]


async def test_more_than_one_can_take_waits_for_another_day(weekly: Desk) -> None:
    await started(weekly)
    await weekly.states(*(weekly.published(f"l{number}", 52) for number in range(5)))

    async def owned() -> int:
        found = await weekly.pool.fetchval("SELECT count(*) FROM handoff.handoff WHERE owner = 'sato'")
        return int(found)

    await weekly.run_at(FRIDAY + AFTER)
    assert await owned() == 2
    # By the clock of the queue, which without a calendar is that of UTC.
    await weekly.run_at(FRIDAY + timedelta(hours=1))
    assert await owned() == 2
    for days, expected in ((1, 4), (2, 5)):
        await weekly.pool.execute("UPDATE handoff.handoff SET due_at = NULL")
        await weekly.run_at(FRIDAY + timedelta(days=days))
        assert await owned() == expected
    events = [orjson.dumps(item) for item in await weekly.outbox("handoff-outcomes")]
    assert len(events) == 3
