"""Points given by hand and leads sent back, on a real PostgreSQL: folded in, and kept in all that leads go through."""

from datetime import timedelta
from typing import Any

import pytest

from services.scoring.core.entries import points_entry
from services.scoring.core.evaluation import ManualPoints
from services.scoring.entry_repository import EntryRepository
from services.scoring.refold import refold_some
from services.scoring.restoring import read_points
from shared.clock import to_rfc3339
from shared.documents import read_document
from shared.identity import EMAIL
from tests.integration.scoring.desk import MODEL, NOW, Desk, lead_of

TARO = lead_of(EMAIL, "taro@example.co.jp")
BROWSER = lead_of("anonymous", "b1")


def download(id_: str, *, days: float = 3, **more: Any) -> dict[str, Any]:
    body = {
        "id": id_,
        "type": "document_downloaded",
        "occurred_at": to_rfc3339(NOW - timedelta(days=days)),
        "lead": {"email": "taro@example.co.jp"},
        "properties": {"document": id_},
    }
    return body | more


async def give(desk: Desk, lead_id: str = TARO, **body: Any) -> Any:
    async with desk.http() as http:
        return await http.post(f"/v1/leads/{lead_id}/points", json={"points": 15, "reason": "met at the fair", **body})


async def test_points_given_by_hand_are_one_reason_and_published(desk: Desk) -> None:
    await desk.receive(download("a1"))
    lead = (await give(desk, id="fair-1")).json()
    assert (lead["score"], lead["manual"]) == (20, 15)
    assert {"rule": "manual", "points": 15, "count": 1} in lead["reasons"]
    _, state = (await desk.published())[-1]
    assert state
    assert (state["cause"], state["version"], state["models"]["test"]["manual"]) == ("manual", 2, 15)
    ((key, told),) = await desk.published("lead-lifecycle")
    assert told
    assert (key, told["author"], told["reason"], told["points"]) == (TARO, "marketing", "met at the fair", 15)
    assert (await desk.replayed()).differences == []


async def test_the_same_id_again_changes_nothing_and_another_content_is_refused(desk: Desk) -> None:
    await desk.receive(download("a1"), download("a2", lead={"email": "hanako@example.co.jp"}))
    assert [(await give(desk, id="fair-1")).status_code for _ in range(2)] == [200, 200]
    assert len(await desk.published()) == 3
    other = await give(desk, id="fair-1", points=16)
    elsewhere = await give(desk, lead_of(EMAIL, "hanako@example.co.jp"), id="fair-1")
    assert [(answer.status_code, answer.json()["code"]) for answer in (other, elsewhere)] == [(409, "id_taken")] * 2
    assert await desk.score_of(TARO) == 20


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"points": 0}, "/points"),
        ({"points": "15"}, "/points"),
        ({"points": 1.005}, "/points"),
        ({"points": 1e9}, "/points"),
        ({"reason": " "}, "/reason"),
        ({"expires_at": "2026-12-01T00:00:00"}, "/expires_at"),
        ({"expires_at": "2026-11-01T00:00:00Z"}, "/expires_at"),
        ({"score": 1}, "/score"),
    ],
)
async def test_points_that_cannot_be_given(desk: Desk, body: dict[str, Any], pointer: str) -> None:
    await desk.receive(download("a1"))
    answer = await give(desk, **body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert await desk.score_of(TARO) == 5


async def test_points_need_a_lead_and_the_scope(desk: Desk) -> None:
    assert (await give(desk)).status_code == 404
    assert (await give(desk, "x")).json()["code"] == "lead_not_found"
    await desk.receive(download("a1"))
    async with desk.http("leads:read") as http:
        assert (await http.post(f"/v1/leads/{TARO}/points", json={"points": 1, "reason": "x"})).status_code == 403


async def test_points_expire_and_the_past_does_not_know_them(desk: Desk) -> None:
    await desk.receive(download("a1"))
    await give(desk, expires_at=to_rfc3339(NOW + timedelta(days=2)))
    instants = [NOW - timedelta(seconds=1), NOW, NOW + timedelta(days=2)]
    async with desk.http() as http:
        manual = [
            (await http.get(f"/v1/leads/{TARO}", params={"at": to_rfc3339(at)})).json()["manual"] for at in instants
        ]
        next_change = (await http.get(f"/v1/leads/{TARO}")).json()["next_change_at"]
    assert manual == [0, 15, 0]
    assert next_change == to_rfc3339(NOW + timedelta(days=2))


async def test_points_stay_through_late_activities_refolds_and_merges(desk: Desk) -> None:
    await desk.receive(download("a1", lead={"anonymous_id": "b1"}))
    await give(desk, BROWSER)
    await desk.receive(download("a0", days=9, lead={"anonymous_id": "b1"}))
    assert await desk.score_of(BROWSER) == 25
    await desk.receive(download("a2", lead={"email": "taro@example.co.jp", "anonymous_id": "b1"}))
    assert await desk.score_of(TARO) == 30
    await give(desk, BROWSER, id="by the old id")
    assert await desk.score_of(TARO) == 45
    async with desk.http("models:write") as http:
        made = await http.post("/v1/models", json={**read_document(MODEL).tree, "daily_max": 19})
        published = await http.post(f"{made.headers['location']}/publish", json={})
    assert published.status_code in (200, 202), published.text
    while await refold_some(desk.pool, desk.settings, desk.models, lambda: desk.now):
        pass
    assert desk.models.primary.version == 2
    assert await desk.score_of(TARO) == 45
    assert (await desk.replayed()).differences == []


async def test_a_recycled_lead_starts_lower(desk: Desk) -> None:
    await desk.receive(download("a1"), download("a2", days=1))
    await desk.return_lead(TARO, days=2, recycle="reset")
    assert await desk.score_of(TARO) == 5
    _, state = (await desk.published())[-1]
    assert state
    assert {"rule": "recycled", "points": -5, "count": 1} in state["models"]["test"]["reasons"]
    await desk.return_lead(TARO, recycle={"factor": 0.5}, number=2)
    await desk.return_lead(TARO, recycle={"factor": 0.5}, number=2)
    assert await desk.score_of(TARO) == 2.5
    await desk.receive(download("a3", days=0))
    assert await desk.score_of(TARO) == 7.5
    assert (await desk.replayed()).differences == []


async def test_without_a_policy_the_model_decides_and_by_default_nothing_is_lost(desk: Desk) -> None:
    await desk.receive(download("a1"))
    await desk.return_lead(TARO)
    await desk.return_lead(TARO, number=2, outcome="rejected")
    assert await desk.score_of(TARO) == 5


@pytest.mark.parametrize("end", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"])
async def test_a_lead_sent_back_at_an_end_of_the_calendar_counts_from_when_it_was_told(desk: Desk, end: str) -> None:
    await desk.receive(download("a1"))
    await desk.return_lead(TARO, recycle="reset", at=end)
    await desk.receive(download("a2", days=1))
    assert await desk.score_of(TARO) == 10, "told in 1970, by the clock of the record"
    assert (await desk.replayed()).differences == []


@pytest.mark.parametrize("end", ["infinity", "-infinity"])
async def test_entries_stored_at_an_end_of_the_calendar_can_be_folded_and_shown(desk: Desk, end: str) -> None:
    await desk.receive(download("a1"))
    await desk.return_lead(TARO, days=2, recycle="keep")
    await desk.return_lead(TARO, days=1, recycle={"factor": 0.5}, number=2)
    await desk.pool.execute("UPDATE scoring.entry SET at = $1::text::timestamptz WHERE id LIKE '%2'", end)
    await desk.receive(download("late", days=9))
    async with desk.http() as http:
        export = await http.get(f"/v1/leads/{TARO}/export")
        explained = await http.get(f"/v1/leads/{TARO}/explanation")
    assert (export.status_code, explained.status_code) == (200, 200)
    expected = "9999-12-31T00:00:00.000000Z" if end == "infinity" else "1970-01-01T00:00:00.000000Z"
    assert expected in [one["at"] for one in export.json()["entries"]]
    assert (await desk.replayed()).differences == []


async def test_an_outcome_that_cannot_be_read_becomes_a_dead_letter(desk: Desk) -> None:
    await desk.receive(download("a1"))
    await desk.return_lead(TARO, recycle={"factor": 2})
    assert await desk.pool.fetchval("SELECT count(*) FROM scoring.outbox WHERE topic = 'handoff-outcomes-dlq'") == 1
    assert await desk.score_of(TARO) == 5


async def test_what_is_read_back_from_the_topic_waits_for_its_lead(desk: Desk) -> None:
    given = points_entry("fair-1", BROWSER, NOW, ManualPoints(1500, NOW, "marketing", "met"))
    told: dict[str, Any] = {
        "id": "fair-1",
        "anchor": BROWSER,
        "points": 15.0,
        "reason": "met",
        "author": "marketing",
        "given_at": to_rfc3339(NOW),
        "expires_at": None,
    }
    assert read_points(told) == given
    async with desk.pool.acquire() as conn:
        await EntryRepository(conn).add([(None, given)])
    await desk.return_lead(TARO, recycle="reset")
    await desk.receive(download("a1", lead={"email": "taro@example.co.jp", "anonymous_id": "b1"}))
    assert await desk.score_of(TARO) == 15
    assert await desk.pool.fetchval("SELECT count(*) FROM scoring.entry WHERE lead_id = $1::uuid", TARO) == 2
    assert (await desk.replayed()).differences == []
