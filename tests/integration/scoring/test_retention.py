"""Old activities are removed and no score changes, on a real PostgreSQL."""

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from services.scoring import retention
from services.scoring.explanation_views import ExplanationView
from services.scoring.partitions import ensure_partitions
from services.scoring.retention import Retention, run_retention
from services.scoring.retention_repository import RetentionRepository
from shared.clock import to_rfc3339
from shared.identity import ANONYMOUS, EMAIL
from shared.telemetry import ACTIVITIES_REMOVED
from tests.integration.scoring.desk import NOW, Desk, id_for, lead_of
from tests.integration.scoring.model_desk import draft, fold, open_api, publish, worth
from tests.integration.scoring.past_desk import DAYS, JANUARY, TARO, busy_year, counts, did, receive, remove, turns

CUT = datetime(2026, 10, 1, tzinfo=UTC)
YAMADA = lead_of(EMAIL, "yamada@example.com")
BROWSER = lead_of(ANONYMOUS, "b1")


async def test_old_activities_go_and_nothing_else_changes(desk: Desk) -> None:
    await busy_year(desk)
    before, published = await desk.score_of(TARO), await desk.published()
    rows = await desk.pool.fetch("SELECT version, epoch, score, search, has_email FROM scoring.lead")
    await remove(desk)
    assert await counts(desk) == (1, 1, 6)
    assert await desk.score_of(TARO) == before
    assert await desk.published() == published
    assert await desk.pool.fetch("SELECT version, epoch, score, search, has_email FROM scoring.lead") == rows
    state = (await desk.states())[TARO]
    assert (state.profile.count, [one["id"] for one in state.profile.recent]) == (6, ["d2"])
    assert state.profile.attributes == {"job_title": "製造部 課長", "company": "Sample KK"}
    found = await desk.replayed()
    assert (found.differences, found.activities) == ([], 1)


async def test_what_comes_later_counts_as_if_nothing_were_gone(desk: Desk) -> None:
    await busy_year(desk)
    await remove(desk)
    before = await desk.score_of(TARO)
    assert before is not None
    await desk.receive(did("d1-third", NOW, properties={"document": "d1"}))
    assert await desk.score_of(TARO) == pytest.approx(before)
    await desk.receive(did("d1", JANUARY - timedelta(days=3)), did("other", JANUARY - timedelta(days=9)))
    assert await desk.score_of(TARO) == pytest.approx(before + 5)
    await desk.receive(did("p", NOW, "profile_updated", attributes={"job_title": "製造部 主任"}))
    assert await desk.score_of(TARO) == pytest.approx(before + 5 - 10 - 7)
    await desk.receive(did("q", NOW, "profile_updated", attributes={"job_title": "本社 課長"}))
    assert await desk.score_of(TARO) == pytest.approx(before + 5)
    assert (await desk.replayed()).differences == []


async def test_a_known_old_activity_with_another_body_is_still_a_conflict(desk: Desk) -> None:
    await busy_year(desk)
    await remove(desk)
    fingerprints = dict(await desk.pool.fetch("SELECT id, fingerprint FROM scoring.activity_key"))
    assert all(fingerprints.values())
    before = await counts(desk)
    await desk.receive(did("d1", JANUARY, properties={"document": "quite another"}))
    assert await counts(desk) == before


async def test_a_model_published_later_finds_the_past(desk: Desk) -> None:
    await busy_year(desk)
    await remove(desk)
    before = await desk.score_of(TARO)
    assert before is not None
    async with open_api(desk) as api:
        address, _ = await draft(api, worth(50))
        await publish(api, address)
    await fold(desk)
    assert await desk.score_of(TARO) == pytest.approx(before + 2 * 45)
    assert (await desk.replayed()).differences == []


async def test_a_later_cut_removes_more_and_a_repeated_one_nothing(desk: Desk) -> None:
    await busy_year(desk)
    await remove(desk)
    await remove(desk)
    assert (await counts(desk))[:2] == (1, 1)
    before = await desk.score_of(TARO)
    desk.now = NOW + timedelta(days=90)
    await desk.tick()
    before = await desk.score_of(TARO)
    await remove(desk)
    assert (await counts(desk))[:2] == (0, 2)
    assert await desk.score_of(TARO) == before
    assert (await desk.replayed()).differences == []
    await desk.receive(did("d2-again", NOW, properties={"document": "d2"}))
    assert await desk.score_of(TARO) == before


async def test_leads_join_and_come_apart_after_their_activities_are_gone(desk: Desk) -> None:
    await receive(
        desk, JANUARY,
        did("a", JANUARY - timedelta(days=3), properties={"document": "d"}),
        did("y", JANUARY - timedelta(days=2), properties={"document": "d"}, lead={"email": "yamada@example.com"}),
        did("b", JANUARY - timedelta(days=1), lead={"anonymous_id": "b1"}),
    )  # fmt: skip
    desk.now = NOW
    await remove(desk)
    assert await counts(desk) == (0, 3, 3)
    async with desk.http() as http:
        merged = await http.post(f"/v1/leads/{TARO}/merge", json={"with": YAMADA})
        assert (merged.status_code, merged.json()["id"], merged.json()["score"]) == (200, TARO, 5)
        assert (await desk.replayed()).differences == []
        await desk.receive(did("now", NOW, lead={"email": "yamada@example.com", "anonymous_id": "b1"}))
        assert (await desk.resolve(BROWSER), await desk.score_of(TARO)) == (TARO, 15)
        parted = await http.post(f"/v1/leads/{TARO}/unmerge", json={"with": YAMADA})
        assert (parted.status_code, parted.json()["score"]) == (200, 5)
    assert await desk.score_of(YAMADA) == 15
    assert (await desk.replayed()).differences == []


async def test_a_lead_merged_before_the_cut_comes_apart_after_it(desk: Desk) -> None:
    await receive(
        desk, JANUARY,
        did("a", JANUARY - timedelta(days=3), properties={"document": "d"}),
        did("y", JANUARY - timedelta(days=2), properties={"document": "d"}, lead={"email": "yamada@example.com"}),
    )  # fmt: skip
    desk.now = NOW
    async with desk.http() as http:
        await http.post(f"/v1/leads/{TARO}/merge", json={"with": YAMADA})
        await remove(desk)
        assert (await counts(desk), await desk.score_of(TARO)) == ((0, 2, 2), 5)
        await http.post(f"/v1/leads/{TARO}/unmerge", json={"with": YAMADA})
    assert [await desk.score_of(one) for one in (TARO, YAMADA)] == [5, 5]
    assert (await desk.replayed()).differences == []


async def test_what_ties_names_together_outlives_the_activities(desk: Desk) -> None:
    await receive(desk, JANUARY, did("a", JANUARY, lead={"email": "taro@example.co.jp", "anonymous_id": "b1"}))
    desk.now = NOW
    await remove(desk)
    await desk.receive(did("h", NOW, lead={"email": "hanako@example.com", "anonymous_id": "b1"}))
    await desk.receive(did("v", NOW, lead={"anonymous_id": "b1"}))
    assert await desk.score_of(TARO) == 10
    async with desk.http() as http:
        await http.post(f"/v1/leads/{TARO}/merge", json={"with": lead_of(EMAIL, "hanako@example.com")})
    assert await desk.score_of(TARO) == 15
    assert (await desk.replayed()).differences == []


async def test_erasure_leaves_nothing_of_what_was_removed(desk: Desk) -> None:
    await busy_year(desk)
    await remove(desk)
    async with desk.http() as http:
        assert (await http.delete(f"/v1/leads/{TARO}")).is_success
    assert (await counts(desk))[:2] == (0, 0)
    row = await desk.pool.fetchrow(
        "SELECT count(*), count(*) FILTER (WHERE fingerprint <> ''), count(anchor) FROM scoring.activity_key"
    )
    assert tuple(row) == (6, 0, 0)
    assert (await desk.replayed()).differences == []


async def test_the_export_and_consent_hold_what_is_left(desk: Desk) -> None:
    agreed = {"email": True, "text": "I agree", "source": "form"}
    await receive(desk, JANUARY, did("f", JANUARY, "form_submitted", consent=agreed))
    desk.now = NOW
    async with desk.http("admin", "leads:read") as http:
        before = (await http.get(f"/v1/leads/{TARO}/consent")).json()
        await remove(desk)
        assert (await http.get(f"/v1/leads/{TARO}/consent")).json() == before
        export = (await http.get(f"/v1/leads/{TARO}/export")).json()
    assert export["activities"] == []
    assert [entry["kind"] for entry in export["entries"]] == ["opening"]
    assert export["consent"]["history"][0]["text"] == "I agree"


async def test_a_machines_visit_across_the_cut_stays_a_machines(desk: Desk) -> None:
    clicks = [
        did(f"c{place}", CUT + timedelta(seconds=place - 2), "email_clicked",
            properties={"link": f"https://example.com/{place}", "email_id": "m"},
            attributes={"job_title": "課長"})
        for place in range(4)
    ]  # fmt: skip
    await receive(desk, CUT - timedelta(days=1), *clicks[:2])
    await receive(desk, CUT + timedelta(minutes=1), *clicks[2:])
    assert await desk.score_of(TARO) == 10
    desk.now = NOW
    await remove(desk)
    assert (await counts(desk))[:2] == (2, 1)
    await desk.receive(did("late", CUT - timedelta(days=9), "profile_updated"))
    assert await desk.score_of(TARO) == 10
    assert (await desk.replayed()).differences == []


async def test_an_explanation_ends_at_the_cut_and_says_so(desk: Desk) -> None:
    await busy_year(desk)
    await receive(desk, NOW, did("d1-now", NOW, properties={"document": "d1"}))
    async with desk.http("leads:read") as http:

        async def explained(**asked: str) -> Any:
            answer = await http.get(f"/v1/leads/{TARO}/explanation", params=asked)
            return answer.json() if answer.status_code == 200 else (answer.status_code, answer.json()["code"])

        first, since = to_rfc3339(JANUARY), to_rfc3339(CUT)
        before = {knowledge: await explained(knowledge=knowledge) for knowledge in ("occurred", "recorded")}
        then = await explained(at=since)
        change = (await explained(**{"from": since}))["difference"]
        await remove(desk)
        for knowledge, known in before.items():
            got = await explained(knowledge=knowledge)
            for name in ("score", "reasons", "activities", "next_change", "engagement_sum", "fit_sum", "groups"):
                assert got[name] == known[name], name
            assert got["opening"] == {"until": since, "activities": 5}
            rules = {rule["rule"]: rule for rule in got["rules"]}
            assert rules["download"]["opening"] == {"count": 1, "points": 5.0, "points_at_start": 5.0}
            assert [entry["activity"]["id"] for entry in rules["download"]["entries"]] == ["d2"]
            denied = rules["download"]["denied"]
            assert [(one["activity"]["id"], one["paid_before"]) for one in denied] == [("d1-now", None)]
            seminar = rules["seminar"]
            assert seminar["opening"]["points"] == pytest.approx(seminar["points"], abs=0.01)
            assert ExplanationView.model_validate(got)
        assert (await explained(at=since))["reasons"] == then["reasons"]
        assert (await explained(**{"from": since}))["difference"] == change
        gone = (410, "history_removed")
        assert await explained(at=first) == gone
        assert await explained(at=to_rfc3339(CUT - timedelta(microseconds=1))) == gone
        assert await explained(**{"from": first}) == gone
        assert await explained(at=first, knowledge="recorded") == gone
        assert (await http.get(f"/v1/leads/{TARO}", params={"at": first})).status_code == 410
        assert (await http.get(f"/v1/leads/{TARO}", params={"at": since})).json()["score"] == then["score"]


async def test_what_was_told_late_waits_its_time(desk: Desk) -> None:
    await receive(desk, NOW - timedelta(days=2), did("import", JANUARY))
    desk.now = NOW
    await remove(desk)
    assert (await counts(desk))[:2] == (1, 0)


async def test_a_lead_in_hand_is_left_for_the_next_turn(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BUSY_S", 0)
    await busy_year(desk)
    await receive(desk, JANUARY, did("y", JANUARY, lead={"email": "yamada@example.com"}))
    desk.now = NOW
    await fold(desk)
    worker = Retention(desk.pool, desk.models, id_for, lambda: desk.now)
    async with desk.pool.acquire() as conn, conn.transaction():
        await conn.execute("SELECT FROM scoring.lead WHERE id = $1::uuid FOR UPDATE", TARO)
        told = ACTIVITIES_REMOVED._value.get()
        assert await worker.some(DAYS)
        assert (await counts(desk))[:2] == (6, 1)
        assert ACTIVITIES_REMOVED._value.get() == told + 1
    assert not await worker.some(DAYS)
    assert (await counts(desk))[:2] == (1, 2)


async def test_a_turn_that_dies_leaves_all_as_it_was(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await busy_year(desk)
    right = RetentionRepository.remove

    async def dies(self: RetentionRepository, *arguments: Any) -> int:
        await right(self, *arguments)
        raise asyncpg.ConnectionDoesNotExistError("gone")

    monkeypatch.setattr(RetentionRepository, "remove", dies)
    with pytest.raises(asyncpg.ConnectionDoesNotExistError):
        await remove(desk)
    assert (await counts(desk))[:2] == (6, 0)
    monkeypatch.undo()
    await remove(desk)
    assert (await counts(desk))[:2] == (1, 1)


async def test_a_lead_that_would_change_keeps_its_activities(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await busy_year(desk)
    monkeypatch.setattr(retention, "open_lead", lambda *_: [])
    await remove(desk)
    assert (await counts(desk))[:2] == (6, 0)
    assert await desk.pool.fetchval("SELECT kept FROM scoring.retention WHERE cut = $1", CUT) == 1


async def test_a_refold_goes_first(desk: Desk) -> None:
    await busy_year(desk)
    async with open_api(desk) as api:
        address, _ = await draft(api, worth(50))
        await publish(api, address)
    await turns(desk)
    assert (await counts(desk))[:2] == (6, 0)
    await remove(desk)
    assert (await counts(desk))[:2] == (1, 1)


async def test_months_that_were_emptied_are_dropped(desk: Desk) -> None:
    async with desk.pool.acquire() as conn:
        await ensure_partitions(conn, JANUARY)
        await ensure_partitions(conn, NOW)
    await busy_year(desk)
    await remove(desk)
    tables = await desk.pool.fetch(
        "SELECT relname FROM pg_class WHERE relname ~ '^activity_20' AND relkind = 'r' ORDER BY 1"
    )
    assert [row[0] for row in tables] == ["activity_2026_11", "activity_2026_12", "activity_2027_01"]


async def test_points_given_later_need_no_history(desk: Desk) -> None:
    await busy_year(desk)
    await remove(desk)
    before = await desk.score_of(TARO)
    assert before is not None
    async with desk.http() as http:
        await http.post(f"/v1/leads/{TARO}/points", json={"points": 7, "reason": "met"})
    assert await desk.score_of(TARO) == pytest.approx(before + 7)
    await desk.return_lead(TARO, recycle="reset")
    assert await desk.score_of(TARO) == pytest.approx(10 + 7)
    assert (await desk.replayed()).differences == []


async def test_the_service_removes_beside_its_other_work(desk: Desk) -> None:
    await busy_year(desk)
    await fold(desk)
    working = asyncio.create_task(run_retention(desk.pool, DAYS, desk.models, id_for, lambda: desk.now))
    try:
        deadline = time.monotonic() + 20
        while (await counts(desk))[:2] != (1, 1):
            assert time.monotonic() < deadline, "nothing was removed"
            await asyncio.sleep(0.02)
        assert not working.done()
    finally:
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
