"""Batches of states and answers, each in one transaction on a real PostgreSQL."""

import asyncio
import random

import orjson
import pytest

from services.handoff.core.rules import load_rules
from services.handoff.notes import Notes
from services.handoff.tables import SCHEMA
from shared.clock import to_rfc3339
from shared.offsets import Fenced
from tests.integration.handoff.desk import ANSWERS, RULES, Desk
from tests.integration.stopping import Stopping
from tests.oracle.crossing import Seen, raises
from tests.unit.handoff.builders import body, day

STOPS, LEADS = 150, 6
WARM = "  - {id: warm, enter: 30, leave: 20, to: inside-sales, when: immediately}\n"


async def handoff_id_of(desk: Desk, lead: str) -> str:
    return str(await desk.pool.fetchval("SELECT id FROM handoff.handoff WHERE lead_id = $1", lead))


async def handoff_id(desk: Desk) -> str:
    return str(await desk.pool.fetchval("SELECT id FROM handoff.handoff ORDER BY cycle DESC LIMIT 1"))


async def test_a_crossing_becomes_one_qualified_lead_and_one_handoff(desk: Desk) -> None:
    await desk.states(desk.published("a", 48), desk.published("b", 20), desk.published("a", 52))
    (event,) = await desk.outbox("qualified-leads")
    assert (event["lead"]["id"], event["score"], event["threshold"]) == ("a", 52.0, {"enter": 50, "leave": 45})
    row = await desk.pool.fetchrow("SELECT * FROM handoff.handoff")
    assert (str(row["id"]), row["state"], row["handed_over_at"]) == (event["handoff"]["id"], "qualified", desk.now)
    assert await desk.pool.fetchval("SELECT state FROM handoff.history") == "qualified"


async def test_a_batch_handled_again_is_refused_and_records_again_change_nothing(desk: Desk) -> None:
    record = desk.published("a", 52)
    batch = await desk.batch([record])
    await desk.handler().handle(batch)
    with pytest.raises(Fenced):
        await desk.handler().handle(batch)
    await desk.states(record, record)
    assert await desk.cycles() == [("a", "hot", 1)]


async def test_a_batch_that_fails_leaves_nothing(desk: Desk) -> None:
    await desk.pool.execute("ALTER TABLE handoff.outbox RENAME TO away")
    batch = await desk.batch([desk.published("a", 52)])
    with pytest.raises(Exception, match="outbox"):
        await desk.handler().handle(batch)
    await desk.pool.execute("ALTER TABLE handoff.away RENAME TO outbox")
    assert await desk.standing() == []
    await desk.handler().handle(batch)
    assert await desk.cycles() == [("a", "hot", 1)]


async def test_a_stop_at_any_moment_of_a_batch_is_a_stop_and_leaves_all_of_it_or_nothing(desk: Desk) -> None:
    stopping = Stopping()
    for number in range(STOPS):
        leads = [f"{number}-{each}" for each in range(LEADS)]
        batch = await desk.batch([desk.published(lead, 52) for lead in leads])
        stopped = await stopping.stops(desk.handler().handle(batch))
        at = await desk.handler().load_positions(batch.expected)
        handed_over = await desk.pool.fetchval("SELECT count(*) FROM handoff.handoff WHERE lead_id = ANY($1)", leads)
        assert (at, handed_over) in ((batch.next, LEADS), *([(batch.expected, 0)] if stopped else []))
        if not handed_over:
            await desk.handler().handle(batch)
    assert STOPS / 4 < stopping.stopped < STOPS
    everyone = sorted(f"{number}-{each}" for number in range(STOPS) for each in range(LEADS))
    assert sorted(await desk.cycles()) == [(lead, "hot", 1) for lead in everyone]
    assert await desk.standing() == ["qualified"] * len(everyone)


async def test_two_workers_that_read_the_same_do_it_once(desk: Desk) -> None:
    batch = await desk.batch([desk.published(f"l{number}", 52) for number in range(50)])
    results = await asyncio.gather(*(desk.handler().handle(batch) for _ in range(3)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["Fenced", "Fenced", "NoneType"]
    assert len(await desk.cycles()) == 50


async def test_unreadable_records_become_dead_letters_and_the_rest_is_judged(desk: Desk) -> None:
    _, good = desk.published("a", 52)
    other_key = desk.published("b", 52)[1]
    poison: list[tuple[str, bytes | None]] = [
        ("a", b"no json"),
        ("a", b"[]"),
        ("a", b'{"lead_id": "a"}'),
        ("a", good.replace(b"2026-", b"26-")),
        ("a", other_key),
    ]
    await desk.states(*poison, ("b", None), ("a", good))
    assert await desk.cycles() == [("a", "hot", 1)]
    rows = await desk.pool.fetch(
        "SELECT value, headers FROM handoff.outbox WHERE topic = 'lead-scores-dlq' ORDER BY id"
    )
    assert [row[0] for row in rows] == [value for _, value in poison]
    assert all("dlq_reason" in dict(orjson.loads(row[1])) for row in rows)


async def test_a_rule_for_a_model_that_nobody_knows_is_told_of_once(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.book = load_rules("rules: [{id: lost, model: nosuch, enter: 1, to: desk, when: immediately}]").rulebook(2)
    await desk.states(desk.published("a", 52), desk.published("b", 52))
    assert await desk.cycles() == []
    assert capsys.readouterr().out.count("rule_without_model") == 1


async def test_a_record_the_database_refuses_is_found_by_halving(desk: Desk) -> None:
    await desk.pool.execute("ALTER TABLE handoff.lead ADD CONSTRAINT refuse CHECK (id <> 'bad')")
    leads = ["l0", "l1", "bad", "l2", "l3"]
    await desk.states(*(desk.published(lead, 52) for lead in leads))
    assert sorted(lead for lead, _, _ in await desk.cycles()) == ["l0", "l1", "l2", "l3"]
    assert [item["lead_id"] for item in await desk.outbox("lead-scores-dlq")] == ["bad"]


async def test_states_from_before_the_very_first_start_are_silent(desk: Desk) -> None:
    """Partitions end at offset 2; handoff was installed at day 0."""
    async with desk.pool.acquire() as conn:
        await Notes(conn).note_ends("lead-scores", dict.fromkeys(range(6), 2))
    handler = desk.handler()
    batch = await desk.batch([desk.published("a", 60, -3), desk.published("a", 61, -2), desk.published("a", 62, -1)])
    await handler.load_positions(batch.expected)
    await handler.handle(batch)
    assert await desk.cycles() == []
    fresh = [desk.published("b", 60, -0.001), desk.published("b", 61, 0.1)]
    async with desk.pool.acquire() as conn:
        await conn.execute("UPDATE handoff.first_start SET end_offset = 100")
    batch = await desk.batch(fresh)
    handler = desk.handler()
    await handler.load_positions(batch.expected)
    await handler.handle(batch)
    assert await desk.cycles() == [("b", "hot", 1)]


async def test_old_states_that_come_after_the_first_start_count(desk: Desk) -> None:
    await desk.states(desk.published("a", 60, -300))
    assert await desk.cycles() == [("a", "hot", 1)]


async def test_a_rule_added_later_does_not_hand_over_who_was_above_before(desk: Desk) -> None:
    await desk.states(desk.published("above", 35), desk.published("below", 5))
    desk.book = load_rules(RULES + WARM).rulebook(2)
    await desk.states(desk.published("above", 36), desk.published("below", 36))
    assert await desk.cycles() == [("below", "warm", 1)]


async def test_of_two_open_handoffs_the_older_stays_when_leads_merge(desk: Desk) -> None:
    await desk.states(desk.published("a", 52, 1), desk.published("b", 52, 2))
    await desk.states(desk.published("b", 80, 3, cause="merge", merged_from=["a"]))
    await desk.merged_away("a", into="b")
    await desk.states(desk.published("a", 99, 50))
    assert await desk.pool.fetch("SELECT lead_id, state FROM handoff.handoff ORDER BY lead_id") == [
        ("a", "qualified"),
        ("b", "merged"),
    ]
    assert [(item["lead_id"], item["outcome"]) for item in await desk.outbox("handoff-outcomes")] == [("b", "merged")]
    assert await desk.pool.fetchval("SELECT count(*) FROM handoff.crossing WHERE lead_id = 'a'") == 0


async def test_workers_that_meet_in_merges_come_to_one_result(desk: Desk) -> None:
    leads = [f"l{number}" for number in range(20)]
    await desk.states(*(desk.published(lead, 52 if number % 2 else 10, 1) for number, lead in enumerate(leads)))
    merges = [
        desk.published(survivor, 60, 2, cause="merge", merged_from=[merged])
        for survivor, merged in zip(leads[1:], leads[:-1], strict=True)
    ]
    random.Random(3).shuffle(merges)
    batches = [await desk.batch([record]) for record in merges]
    by_partition: dict[int, list[int]] = {}
    for index, batch in enumerate(batches):
        by_partition.setdefault(batch.records[0].partition, []).append(index)

    async def work(indices: list[int]) -> None:
        for index in indices:
            await desk.handler().handle(batches[index])

    await asyncio.gather(*(work(indices) for indices in by_partition.values()))
    assert await desk.pool.fetchval("SELECT count(*) FROM handoff.lead WHERE merged_into IS NULL") == 1
    assert await desk.pool.fetchval("SELECT count(*) FROM handoff.handoff WHERE state = 'qualified'") == 1


async def test_a_lead_taken_out_of_a_merge_that_is_read_later_stays_itself(desk: Desk) -> None:
    await desk.states(desk.published("a", 52), desk.published("b", 10))
    await desk.merged_away("a", into="b")
    await desk.states(desk.published("a", 20, 1.2, cause="merge", unmerged_from="b"))
    await desk.states(desk.published("b", 57, 1.1, cause="merge", merged_from=["a"], merged_versions={"a": 1}))
    await desk.states(desk.published("b", 10, 1.2, cause="merge"))
    assert await desk.pool.fetchval("SELECT merged_into FROM handoff.lead WHERE id = 'a'") is None
    await desk.answers({"handoff_id": await handoff_id_of(desk, "a"), "outcome": "rejected", "reason": "no budget"})
    desk.now = day(60)
    await desk.states(desk.published("a", 10, 40), desk.published("a", 52, 41))
    assert [cycle for cycle in await desk.cycles() if cycle[0] == "a"] == [("a", "hot", 1), ("a", "hot", 2)]


async def test_a_lead_that_will_cool_is_told_of_once_by_the_timer(desk: Desk) -> None:
    desk.book = load_rules(RULES.replace("leave: 45", "leave: 45, cools_within: 7d")).rulebook(1)
    forecast = [{"below": 45.0, "at": to_rfc3339(day(20))}]
    models = {"test": {**body(52)["models"]["test"], "forecast": forecast}}
    await desk.states(desk.published("a", 52, models=models), desk.published("b", 52))
    await desk.run_at(day(12.9))
    assert await desk.outbox("lead-lifecycle") == []
    await asyncio.gather(*(desk.timers().tick() for _ in range(3)))
    await desk.run_at(day(13.5))
    await desk.states(desk.published("a", 51, 14, models=models, cause="time"))
    await desk.run_at(day(19))
    (told,) = await desk.outbox("lead-lifecycle")
    assert (told["lead_id"], told["at"], told["cools_at"]) == ("a", to_rfc3339(day(13)), to_rfc3339(day(20)))
    await desk.states(desk.published("a", 44, 20, cause="time"))
    assert [one.get("cools_at") for one in await desk.outbox("lead-lifecycle")] == [to_rfc3339(day(20)), None]


async def test_answers_by_topic_move_the_handoff_and_bad_ones_are_put_aside(desk: Desk) -> None:
    await desk.states(desk.published("a", 52))
    known = await handoff_id(desk)
    unknown = "00000000-0000-4000-8000-000000000000"
    bad = [
        {"handoff_id": known, "outcome": "won"},
        {"handoff_id": known, "outcome": "rejected"},
        {"handoff_id": known, "outcome": "lost"},
        {"handoff_id": unknown, "outcome": "accepted"},
        {"handoff_id": "x", "outcome": "accepted"},
        {"outcome": "accepted"},
        {"handoff_id": known, "outcome": "accepted", "by": "a\x00b"},
    ]
    accepted = {"handoff_id": known, "outcome": "accepted", "by": "sato"}
    await desk.answers(*bad, b"no json", accepted, accepted, {"handoff_id": known, "outcome": "converted"})
    assert await desk.standing() == ["converted"]
    outcomes = await desk.outbox("handoff-outcomes")
    assert [(item["outcome"], item["by"]) for item in outcomes] == [
        ("accepted", "sato"),
        ("converted", "handoff-answers"),
    ]
    letters = await desk.pool.fetch(f"SELECT value FROM handoff.outbox WHERE topic = '{ANSWERS}-dlq'")
    assert sorted(row[0] for row in letters) == sorted([*(orjson.dumps(item) for item in bad), b"no json"])


async def test_a_closed_handoff_lets_the_next_cycle_come(desk: Desk) -> None:
    await desk.states(desk.published("a", 52, 1), desk.published("a", 40, 40), desk.published("a", 52, 41))
    assert await desk.standing() == ["qualified"]
    await desk.answers({"handoff_id": await handoff_id(desk), "outcome": "rejected", "reason": "no budget"})
    await desk.states(desk.published("a", 40, 42), desk.published("a", 52, 43))
    assert await desk.cycles() == [("a", "hot", 1), ("a", "hot", 2)]


async def test_handoffs_without_an_answer_expire(desk: Desk) -> None:
    await desk.states(desk.published("a", 52, 0), desk.published("b", 52, 1))
    await desk.answers({"handoff_id": await handoff_id(desk), "outcome": "accepted"})
    assert await desk.timers().tick() == 0
    desk.now = day(92)
    assert await desk.timers().tick() == 1
    assert await desk.timers().tick() == 0
    assert sorted(await desk.standing()) == ["accepted", "expired"]
    assert [item["outcome"] for item in await desk.outbox("handoff-outcomes")] == ["accepted", "expired"]


async def test_the_result_does_not_depend_on_how_often_expiry_is_looked_for(desk: Desk, database: str) -> None:
    assert database
    records = [("a", 52, 0.0), ("a", 10, 89.0), ("a", 52, 89.5), ("a", 10, 95.0), ("a", 52, 96.0)]
    for polled in (False, True):
        await desk.pool.execute("TRUNCATE handoff.lead, handoff.crossing, handoff.handoff, handoff.history")
        desk.now = day(0)
        for lead, score, at in records:
            await desk.states(desk.published(lead, score, at))
            desk.now = max(desk.now, day(at))
            if polled:
                await desk.timers().tick()
        assert sorted(await desk.standing()) == ["expired", "qualified"]
        history = await desk.pool.fetch("SELECT at FROM handoff.history WHERE state = 'expired'")
        assert [row[0] for row in history] == [day(90)]


async def test_the_same_cycle_can_never_be_stored_twice(desk: Desk) -> None:
    await desk.states(desk.published("a", 52))
    with pytest.raises(Exception, match="handoff_lead_id_rule_cycle_key"):
        await desk.pool.execute(
            "INSERT INTO handoff.handoff SELECT gen_random_uuid(), lead_id, rule, cycle, state, queue, owner, mode,"
            " crossed_at, handed_over_at, respond_by, close_at, now(), model, model_version, expires_at, revision"
            f" FROM {SCHEMA}.handoff"
        )


@pytest.mark.parametrize("seed", range(3))
async def test_random_histories_in_random_batches_equal_the_oracle(desk: Desk, seed: int) -> None:
    dice = random.Random(seed)
    histories = {
        f"l{number}": [
            Seen(dice.choice([None, 10, 44.99, 45, 49, 50, 70]), at + dice.random()) for at in range(0, 90, 9)
        ]
        for number in range(20)
    }
    waiting = {
        lead: [desk.published(lead, seen.score, seen.day) for seen in seen_] for lead, seen_ in histories.items()
    }
    while waiting:
        batch = []
        for lead in dice.sample(sorted(waiting), dice.randrange(1, len(waiting) + 1)):
            count = dice.randrange(1, 4)
            batch += waiting[lead][:count]
            del waiting[lead][:count]
            if not waiting[lead]:
                del waiting[lead]
        await desk.states(*batch, *dice.sample(batch, 1))
    expected = {
        (lead, "hot", cycle)
        for lead, history in histories.items()
        for cycle, _ in enumerate(raises(history, enter=50, leave=45, cooldown=30, open_for=90), 1)
    }
    found = await desk.cycles()
    assert len(found) == len(set(found))
    assert set(found) == expected
