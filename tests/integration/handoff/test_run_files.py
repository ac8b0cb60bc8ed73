"""Runs while `handoff.yaml` changes: rules that come and go, other times, processes with different files."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from services.handoff.runs import Runs
from shared.clock import to_rfc3339
from tests.integration.handoff.desk import Desk
from tests.integration.handoff.weekly import AFTER, FRIDAY, KEY, extractions, started, use
from tests.unit.handoff.builders import body, day


async def test_a_rule_that_is_gone_ends_its_run_as_it_stands(weekly: Desk) -> None:
    await started(weekly)
    await weekly.states(weekly.published("a", 52))
    weekly.now = FRIDAY + AFTER
    await weekly.runs().plan(weekly.now, judged=True)
    weekly.book = replace(weekly.book, rules=())
    await weekly.run_at(FRIDAY + AFTER)
    assert await extractions(weekly) == [(KEY, "running", 0, 0)]
    await weekly.run_at(FRIDAY + timedelta(hours=2))
    assert await extractions(weekly) == [(KEY, "completed", 0, 0)]


async def test_a_process_whose_file_lacks_a_rule_leaves_its_run_to_those_that_have_it(weekly: Desk) -> None:
    new, old = weekly.runs(), Runs(weekly.pool, weekly.settings, lambda: weekly.now, replace(weekly.book, rules=()))
    await old.tick()
    await started(weekly)
    await new.tick()
    await weekly.states(weekly.published("a", 52))
    weekly.now = FRIDAY + AFTER
    await new.plan(weekly.now, judged=True)
    while await old.tick() or await new.tick():
        pass
    assert await extractions(weekly) == [(KEY, "completed", 1, 0)]


TENTH = "weekly/2026-11-06T10:00"


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ({"FRI 09:00": "FRI 10:00"}, [KEY, TENTH]),
        ({"Asia/Tokyo": 'Asia/Tokyo, holidays: ["2026-11-06"], if_holiday: skip'}, [KEY]),
    ],
)
async def test_processes_with_different_files_lose_no_run(desk: Desk, changes: dict[str, str], keys: list[str]) -> None:
    both = []
    for made in ({}, changes):
        use(desk, **made)
        both.append(desk.runs())
    for minutes in range(-20, 100, 10):
        desk.now = FRIDAY + timedelta(minutes=minutes) + AFTER
        for runs in (*reversed(both), *both):
            await runs.tick()
    assert [key for key, *_ in await extractions(desk)] == keys
    for days in (1, 2):
        desk.now = FRIDAY + timedelta(days=days)
        await both[0].tick()
    assert await desk.pool.fetchval("SELECT count(*) FROM handoff.schedule_mark") == 1


@pytest.mark.parametrize("down", [timedelta(), timedelta(hours=9)])
async def test_a_rule_that_was_away_for_a_moment_has_its_runs(weekly: Desk, down: timedelta) -> None:
    """Also where all processes stood still after that moment: while nobody is there no time passes for it."""
    await started(weekly)
    await weekly.run_at(FRIDAY - AFTER)
    rules = weekly.book
    for book, after in ((replace(rules, rules=()), AFTER), (replace(rules, rules=()), down), (rules, down + AFTER)):
        weekly.book = book
        await weekly.run_at(FRIDAY + after)
    assert await extractions(weekly) == [(KEY, "completed", 0, 0)]


async def test_who_waits_for_a_rule_that_is_gone_lapses_and_may_cross_again(
    weekly: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.handoff.leftovers.BATCH", 2)
    await started(weekly)
    await weekly.states(*(weekly.published(f"l{number}", 52) for number in range(5)))
    rules, weekly.book = weekly.book, replace(weekly.book, rules=())
    await asyncio.gather(*(weekly.runs().tick() for _ in range(3)))
    assert await weekly.standing() == ["lapsed"] * 5
    told = await weekly.outbox("handoff-outcomes")
    assert [(one["outcome"], one["reason"]) for one in told] == [("lapsed", "its rule is no longer there")] * 5
    assert await extractions(weekly) == []
    weekly.book = rules
    await weekly.states(weekly.published("l0", 10, 2.5), weekly.published("l0", 52, 3))
    assert await weekly.pool.fetchval("SELECT max(cycle) FROM handoff.handoff WHERE lead_id = 'l0'") == 2


async def test_who_waits_for_a_rule_that_hands_over_at_once_by_now_comes_in_a_last_run(
    weekly: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.handoff.runs.BATCH", 3)
    await started(weekly)
    await weekly.states(*(weekly.published(f"l{number}", 52) for number in range(10)))
    await weekly.states(weekly.published("l9", 20, 1.5))
    use(weekly, **{'{every: "FRI 09:00", timezone: Asia/Tokyo, missed: run_once}': "immediately"})
    assert weekly.book.rules[0].timetable is None
    weekly.now = day(2)

    async def work() -> None:
        runs = weekly.runs()
        while await runs.tick():
            pass

    await asyncio.gather(work(), work(), work())
    await weekly.run_at(day(2))
    found = await weekly.cycles()
    assert len(found) == len(set(found)) == 9
    assert await extractions(weekly) == [("weekly/2026-11-03T00:00:00Z", "completed", 9, 1)]
    event = (await weekly.outbox("qualified-leads"))[0]
    assert (event["handoff"]["mode"], event["handed_over_at"]) == ("scheduled", to_rfc3339(day(2)))
    await weekly.states(weekly.published("new", 52, 2.1))
    assert len(await weekly.cycles()) == 10
    await weekly.run_at(day(2.2))
    assert len(await extractions(weekly)) == 1


async def test_a_run_goes_on_behind_those_that_go_on_waiting(weekly: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.handoff.runs.BATCH", 2)
    use(weekly, **{"leave: 45": "leave: 45\n    model: test"})
    await started(weekly)
    for number in range(6):
        await weekly.states(weekly.published(f"l{number}", 52, 1 + number / 100))
    other = {"models": {"other": body(52)["models"]["test"]}, "primary": "other"}
    await weekly.states(*(weekly.published(f"l{number}", 52, 2, **other) for number in (0, 1, 3)))
    await weekly.run_at(FRIDAY + AFTER)
    assert sorted(lead for lead, _, _ in await weekly.cycles()) == ["l2", "l4", "l5"]
    assert await extractions(weekly) == [(KEY, "completed", 3, 0)]
    use(weekly, **{"leave: 45": "leave: 45\n    model: other"})
    await weekly.run_at(FRIDAY + timedelta(days=7) + AFTER)
    assert len(await weekly.cycles()) == 6
    models = await weekly.pool.fetch("SELECT lead_id FROM handoff.handoff WHERE model = 'other' ORDER BY lead_id")
    assert [row[0] for row in models] == ["l0", "l1", "l3"]


async def test_a_rule_that_comes_back_or_names_other_times_has_no_missed_runs(weekly: Desk) -> None:
    await started(weekly)
    rules = weekly.book
    weekly.book = replace(rules, rules=())
    without = weekly.runs()
    for at in (1.5, 2):
        weekly.now = day(at)
        await without.tick()
    weekly.book = rules
    await weekly.run_at(FRIDAY + timedelta(hours=2))
    assert await extractions(weekly) == []
    use(weekly, **{"FRI 09:00": "FRI 10:00"})
    await weekly.run_at(FRIDAY + timedelta(hours=3))
    assert await extractions(weekly) == []
    use(weekly, **{"FRI 09:00": "FRI 10:00", "Asia/Tokyo": "Asia/Tokyo, country: JP, if_holiday: skip"})
    await weekly.run_at(FRIDAY + timedelta(days=7, hours=3))
    assert [key for key, *_ in await extractions(weekly)] == ["weekly/2026-11-13T10:00"]
