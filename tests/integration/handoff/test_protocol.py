"""Deadlines, owners, levels and waiting crossings on a real PostgreSQL, with the clock in the test's hand."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from services.handoff.core.answers import Answer
from services.handoff.core.queues import ReadyQueue
from services.handoff.core.rules import load_rules
from services.handoff.notes import Notes
from services.handoff.outcomes import give_answer
from services.handoff.reading import HandoffReader
from shared.clock import to_rfc3339
from shared.errors import ProblemError
from shared.postgres import create_engine
from tests.integration.handoff.desk import Desk
from tests.unit.handoff.builders import day

OFFICE = """
queues:
  desk:
    head: boss
    members: [{name: sato}, {name: suzuki}]
    calendar: {timezone: Asia/Tokyo, country: JP, hours: "09:00-18:00", days: MON-FRI}
    respond_within: 4h
    decide_within: 1d
  field: {}
rules:
  - {id: hot, enter: 50, leave: 45, cooldown: 1d, to: desk, when: immediately, recycle: {factor: 0.5}}
  - {id: field, enter: 60, to: field, when: immediately, require: {handoff: {rule: hot, state: [accepted]}}}
"""


@pytest.fixture
def office(desk: Desk) -> Desk:
    desk.book = load_rules(OFFICE).rulebook(2)
    return desk


async def one(desk: Desk, rule: str = "hot") -> Any:
    return await desk.pool.fetchrow("SELECT * FROM handoff.handoff WHERE rule = $1", rule)


async def overdue(desk: Desk) -> list[tuple[Any, ...]]:
    events = [item for item in await desk.outbox("lead-lifecycle") if "breach" in item]
    return [(item["breach"], item["which"], item["action"], item["due_at"]) for item in events]


async def test_breaches_come_at_their_time_whoever_looks_and_survive_restarts(office: Desk) -> None:
    """Handed over on Monday at nine in Tokyo; Tuesday is Culture Day."""
    await office.states(office.published("a", 52))
    first = await one(office)
    assert (first["respond_by"], first["state"]) == (day(1) + timedelta(hours=4), "qualified")
    await office.run_at(first["respond_by"] - timedelta(seconds=1))
    assert await overdue(office) == []
    office.now = first["respond_by"]
    await asyncio.gather(*(office.timers().tick() for _ in range(3)))
    await office.timers().tick()
    second = day(1) + timedelta(hours=8)
    assert await overdue(office) == [(1, "respond", "reminded", to_rfc3339(day(1) + timedelta(hours=4)))]
    await office.run_at(second - timedelta(seconds=1))
    assert len(await overdue(office)) == 1
    await office.run_at(second)
    assert (await overdue(office))[1:] == [(2, "respond", "reassigned", to_rfc3339(second))]
    now = await one(office)
    assert {first["owner"], now["owner"]} == {"sato", "suzuki"}
    assert (now["state"], now["respond_by"]) == ("assigned", day(3) + timedelta(hours=3))
    assert [item["owner"] for item in await office.outbox("handoff-outcomes")] == [now["owner"]]
    await office.run_at(day(4))
    await office.run_at(day(5))
    assert [action for _, _, action, _ in await overdue(office)] == ["reminded", "reassigned", "reminded", "returned"]
    now = await one(office)
    assert (now["owner"], now["state"], now["due_at"]) == (None, "qualified", None)
    await office.run_at(day(60))
    assert len(await overdue(office)) == 4
    lines = await office.pool.fetch("SELECT event, by, owner, reason FROM handoff.history ORDER BY number")
    assert [row["event"] for row in lines] == ["step", "breach", "assignment", "breach", "assignment"]
    assert all(row["reason"] for row in lines)
    assert {row["by"] for row in lines} == {"kizashi"}


async def test_an_answer_in_time_stops_the_clock_and_starts_the_next(office: Desk) -> None:
    await office.states(office.published("a", 52))
    handoff = str((await one(office))["id"])
    office.now = day(1) + timedelta(hours=3)
    await office.answers({"handoff_id": handoff, "outcome": "accepted", "by": "sato"})
    now = await one(office)
    assert now["decide_by"] == now["due_at"] == day(3) + timedelta(hours=3)
    await office.run_at(day(3) + timedelta(hours=3))
    assert [(number, which) for number, which, _, _ in await overdue(office)] == [(1, "decide")]
    await office.answers({"handoff_id": handoff, "outcome": "converted"})
    await office.run_at(day(30))
    assert len(await overdue(office)) == 1


async def test_field_sales_gets_the_lead_when_inside_sales_accepts_it(office: Desk) -> None:
    await office.states(office.published("a", 70))
    assert await office.cycles() == [("a", "hot", 1)]
    answer = {"handoff_id": str((await one(office))["id"]), "outcome": "accepted"}
    await office.answers(answer, answer)
    assert await office.cycles() == [("a", "hot", 1), ("a", "field", 1)]
    event = (await office.outbox("qualified-leads"))[1]
    assert event["reasons"] == [{"rule": "seminar-attended", "points": 70, "count": 1}]
    assert (event["handoff"]["queue"], event["crossed_at"]) == ("field", to_rfc3339(day(1)))


async def test_a_recycled_outcome_carries_what_the_rule_says(office: Desk) -> None:
    await office.states(office.published("a", 52))
    handoff = str((await one(office))["id"])
    until = to_rfc3339(day(20))
    await office.answers({"handoff_id": handoff, "outcome": "recycled", "reason": "next term", "until": until})
    (event,) = await office.outbox("handoff-outcomes")
    assert (event["recycle"], event["until"]) == ({"factor": 0.5}, until)
    await office.states(office.published("a", 10, 10), office.published("a", 52, 11))
    assert len(await office.cycles()) == 1
    await office.states(office.published("a", 10, 21), office.published("a", 52, 22))
    assert len(await office.cycles()) == 2


async def test_out_of_order_answers_and_those_for_merged_and_erased_leads(office: Desk) -> None:
    await office.states(office.published("a", 52, 1), office.published("b", 55, 2), office.published("e", 52))
    await office.states(office.published("b", 80, 3, cause="merge", merged_from=["a"]), ("e", None))
    await office.merged_away("a", into="b")
    query = "SELECT lead_id, id::text, state FROM handoff.handoff WHERE rule = 'hot' ORDER BY lead_id"
    rows = await office.pool.fetch(query)
    (_, older, _), (_, younger, _), (_, erased, _) = rows
    assert [row["state"] for row in rows] == ["qualified", "merged", "lapsed"]
    await office.answers(
        {"handoff_id": older, "outcome": "converted"},
        {"handoff_id": younger, "outcome": "accepted"},
        {"handoff_id": erased, "outcome": "accepted"},
        {"handoff_id": older, "outcome": "accepted"},
    )
    assert [row["state"] for row in await office.pool.fetch(query)] == ["accepted", "merged", "lapsed"]
    assert len(await office.outbox("handoff-answers-dlq")) == 3


ENDS = ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999999Z")


async def test_an_answer_at_an_end_of_the_calendar_stops_nobody(office: Desk) -> None:
    await office.states(office.published("a", 52), office.published("b", 52))
    handoff, other = [str(row[0]) for row in await office.pool.fetch("SELECT id FROM handoff.handoff ORDER BY lead_id")]
    strange = [
        {"handoff_id": handoff, "outcome": outcome, "reason": "x", field: instant}
        for outcome in ("accepted", "recycled")
        for field in ("at", "until")
        for instant in ENDS
    ]
    await office.answers(*strange, {"handoff_id": other, "outcome": "accepted"})
    assert sorted(await office.standing()) == ["accepted", "qualified"]
    assert len(await office.outbox("handoff-answers-dlq")) == len(strange)
    for one in strange:
        answer = Answer.model_validate({name: value for name, value in one.items() if name != "handoff_id"})
        async with office.pool.acquire() as conn, conn.transaction():
            with pytest.raises(ProblemError) as refused:
                await give_answer(conn, office.book, UUID(handoff), answer, "sato", office.now)
        assert refused.value.status == 422
        assert [fault.pointer.removeprefix("/") in one for fault in refused.value.errors] == [True]


async def test_an_answer_that_cannot_be_reckoned_with_is_a_letter(
    office: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await office.states(office.published("a", 52), office.published("b", 52))
    ids = [str(row[0]) for row in await office.pool.fetch("SELECT id FROM handoff.handoff ORDER BY lead_id")]
    monkeypatch.setattr(ReadyQueue, "deadline", _overflowing)
    await office.answers(
        {"handoff_id": ids[0], "outcome": "accepted"}, {"handoff_id": ids[1], "outcome": "rejected", "reason": "x"}
    )
    assert sorted(await office.standing()) == ["qualified", "rejected"]
    assert len(await office.outbox("handoff-answers-dlq")) == 1


def _overflowing(*_: Any) -> None:
    raise OverflowError("date value out of range")


@pytest.mark.parametrize("end", ["infinity", "-infinity"])
async def test_rows_at_an_end_of_the_calendar_can_be_judged_and_shown(office: Desk, end: str) -> None:
    await office.states(office.published("a", 52))
    handoff = (await one(office))["id"]
    await office.answers({"handoff_id": str(handoff), "outcome": "recycled", "reason": "x"})
    await office.pool.execute("UPDATE handoff.handoff SET rests_until = $1::text::timestamptz", end)
    await office.pool.execute(
        "UPDATE handoff.history SET (until, at) = ($1::text::timestamptz, $1::text::timestamptz)", end
    )
    await office.states(office.published("a", 10, 10), office.published("a", 52, 11))
    assert len(await office.cycles()) == (2 if end == "-infinity" else 1)
    engine = create_engine(office.settings.database, name="test")
    shown = await HandoffReader(engine).one(handoff)
    await engine.dispose()
    assert shown is not None
    expected = "1970-01-01T00:00:00.000000Z" if end == "-infinity" else "9999-12-31T00:00:00.000000Z"
    assert shown["history"][-1]["until"] == expected


def click(at: float) -> list[dict[str, Any]]:
    return [{"id": "m1", "source": "mail", "type": "email_clicked", "occurred_at": to_rfc3339(day(at))}]


async def test_a_crossing_by_a_mail_click_waits_and_a_restart_does_not_forget_it(office: Desk) -> None:
    await office.states(office.published("a", 52, 1, recent_activities=click(1)))
    await office.states(office.published("b", 52, 1, recent_activities=click(1)))
    await office.states(office.published("b", 20, 1.0001, cause="verdict", recent_activities=click(1)))
    await office.run_at(day(1) + timedelta(seconds=14))
    assert await office.cycles() == []
    office.now = day(1) + timedelta(seconds=15)
    await asyncio.gather(*(office.timers().tick() for _ in range(3)))
    assert await office.cycles() == [("a", "hot", 1)]
    (event,) = await office.outbox("qualified-leads")
    assert (event["recent_activities"], event["crossed_at"]) == (click(1), to_rfc3339(day(1)))


async def test_a_lead_erased_while_it_waits_for_the_verdict_is_not_waited_for(office: Desk) -> None:
    await office.states(office.published("a", 52, 1, recent_activities=click(1)))
    await office.states(("a", None))
    await office.run_at(day(2))
    assert await office.cycles() == []
    assert await office.pool.fetchval("SELECT count(*) FROM handoff.crossing WHERE settle_due IS NOT NULL") == 0


async def test_capacity_holds_over_workers_that_hand_over_at_once(office: Desk) -> None:
    text = OFFICE.replace("[{name: sato}, {name: suzuki}]", "[{name: sato, capacity_per_day: 7}]")
    office.book = load_rules(text).rulebook(3)
    batches = [await office.batch([office.published(f"l{number}", 52)]) for number in range(24)]
    by_partition: dict[int, list[Any]] = {}
    for batch in batches:
        by_partition.setdefault(batch.records[0].partition, []).append(batch)

    async def work(mine: list[Any]) -> None:
        for batch in mine:
            await office.handler().handle(batch)

    await asyncio.gather(*(work(mine) for mine in by_partition.values()))
    owners = await office.pool.fetch("SELECT owner, count(*) FROM handoff.handoff GROUP BY owner ORDER BY owner")
    assert [tuple(row) for row in owners] == [("sato", 7), (None, 17)]
    assert await office.pool.fetchval("SELECT taken FROM handoff.workload") == 7


async def test_a_file_keeps_its_version_until_it_changes(office: Desk) -> None:
    async def note(digest: str) -> int:
        async with office.pool.acquire() as conn:
            return await Notes(conn).note_file(digest, day(1))

    assert [await note("a"), await note("a"), await note("b"), await note("a")] == [1, 1, 2, 3]
    assert sorted(await asyncio.gather(*(note("c") for _ in range(4)))) == [4, 4, 4, 4]
    await office.states(office.published("a", 52))
    assert (await one(office))["rules_version"] == 2
