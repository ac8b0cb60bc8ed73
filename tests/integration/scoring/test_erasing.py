"""Verdicts, consent and erasure of leads on a real PostgreSQL."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from services.scoring.restoring import forget
from shared.activity import parse_posted, to_record
from shared.clock import to_rfc3339
from shared.identity import ANONYMOUS, EMAIL, Identifier
from tests.integration.scoring.desk import MODEL, NOW, Desk, activity, gather, id_for, lead_of, open_desk

EMAIL_OF_TARO = "taro@example.co.jp"
TARO = lead_of(EMAIL, EMAIL_OF_TARO)
BROWSER = lead_of(ANONYMOUS, "b1")
NEW_TARO = id_for(Identifier(EMAIL, f"{EMAIL_OF_TARO}\x1f1"))
DAY = timedelta(days=1)


def did(id_: str, kind: str = "document_downloaded", *, days: float = 3, **more: Any) -> dict[str, Any]:
    body = {
        "id": id_,
        "type": kind,
        "occurred_at": to_rfc3339(NOW - timedelta(days=days)),
        "lead": {"email": EMAIL_OF_TARO},
        "properties": {"document": id_},
    }
    return body | more


async def get(desk: Desk, path: str) -> Any:
    async with desk.http() as http:
        return await http.get(f"/v1/leads/{path}")


async def erase(desk: Desk, lead_id: str = TARO) -> Any:
    async with desk.http() as http:
        return await http.delete(f"/v1/leads/{lead_id}")


async def everything(desk: Desk) -> str:
    """All that stands in the tables of the schema, outbox apart, as one text."""
    tables = await desk.pool.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'scoring' AND tablename <> 'outbox'"
    )
    rows = [await desk.pool.fetch(f"SELECT t::text FROM scoring.{row[0]} t") for row in tables]
    states = await desk.pool.fetch("SELECT encode(state, 'escape') FROM scoring.lead")
    return "\n".join(row[0] for found in [*rows, states] for row in found)


async def test_a_burst_of_clicks_is_taken_back_and_noted(desk: Desk) -> None:
    click: dict[str, Any] = {"attributes": {"job_title": "課長"}}
    for number in range(3):
        at = to_rfc3339(NOW - timedelta(days=1) + timedelta(seconds=number))
        click["properties"] = {"email_id": "m1", "link": f"https://x.example/price/{number}"}
        await desk.receive(did(f"c{number}", "email_clicked", occurred_at=at, **click))
    states = [value for _, value in await desk.published() if value]
    assert [(one["cause"], one["models"]["test"]["engagement"]) for one in states] == [
        ("activity", 7),
        ("activity", 14),
        ("verdict", 0),
    ]
    assert states[-1]["signals"] == []
    rows = await desk.pool.fetch("SELECT id, verdict, reasons, detector FROM scoring.verdict ORDER BY id")
    assert [tuple(row) for row in rows] == [(f"c{number}", "suspected", ["links"], 1) for number in range(3)]
    shown = (await get(desk, f"{TARO}/export")).json()["activities"]
    assert shown[0]["verdict"] == {"verdict": "suspected", "reasons": ["links"], "detector": 1}
    assert (await desk.replayed()).differences == []


async def test_consent_with_its_proof(desk: Desk) -> None:
    agreed = {"profiling": True, "email": True, "source": "form", "text": "同意します"}
    await desk.receive(did("a1", consent=agreed), did("a2", days=1, consent={"email": False}))
    found = (await get(desk, f"{TARO}/consent")).json()
    assert found["purposes"] == {"profiling": True, "email": False, "phone": None}
    assert [(one["purpose"], one["granted"], one["activity"]["id"]) for one in found["history"]] == [
        ("email", False, "a2"),
        ("email", True, "a1"),
        ("profiling", True, "a1"),
    ]
    assert (found["history"][1]["source"], found["history"][1]["text"]) == ("form", "同意します")
    past = (await get(desk, f"{TARO}/consent?at={to_rfc3339(NOW - 2 * DAY)}")).json()
    assert past["purposes"]["email"] is True
    _, state = (await desk.published())[-1]
    assert state
    assert state["consent"] == {"email": False, "profiling": True}
    assert (await get(desk, f"{NEW_TARO}/consent")).status_code == 404


@pytest.fixture(params=["store", "drop"])
async def asking(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    model = f"{MODEL}consent: {{profiling: required, without: {request.param}}}\n"
    desk = await open_desk(database, tmp_path, model)
    yield desk, request.param
    await desk.engine.dispose()
    await desk.pool.close()


async def test_what_came_without_consent_is_stored_or_dropped_and_never_scored(asking: tuple[Desk, str]) -> None:
    desk, policy = asking
    await desk.receive(did("before", days=5, attributes={"job_title": "課長"}))
    await desk.receive(did("agreed", days=4, consent={"profiling": True}), did("counted", days=3))
    await desk.receive(did("withdrawn", days=2, consent={"profiling": False}), did("after", days=1))
    assert await desk.score_of(TARO) == 10
    stored = [row[0] for row in await desk.pool.fetch("SELECT id FROM scoring.activity ORDER BY occurred_at")]
    kept = {"store": ["before", "agreed", "counted", "withdrawn", "after"], "drop": ["agreed", "counted", "withdrawn"]}
    assert stored == kept[policy]
    proof = await desk.pool.fetchval("SELECT body->'properties' FROM scoring.activity WHERE id = 'withdrawn'")
    assert proof == ("{}" if policy == "drop" else '{"document":"withdrawn"}')
    await desk.receive(did("before", days=5), did("after", days=1))
    assert await desk.score_of(TARO) == 10
    assert (await desk.replayed()).differences == []


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one by one"])
async def test_consent_of_a_browser_holds_for_the_form_it_sends(asking: tuple[Desk, str], together: bool) -> None:
    desk, _ = asking
    banner = did("banner", days=3, lead={"anonymous_id": "b1"}, consent={"profiling": True})
    form = did("form", days=2, lead={"email": EMAIL_OF_TARO, "anonymous_id": "b1"})
    stranger = did("other", days=1, lead={"email": "hanako@example.com", "anonymous_id": "b1"})
    for batch in [[banner, form, stranger]] if together else [[banner], [form], [stranger]]:
        await desk.receive(*batch)
    assert await desk.score_of(TARO) == 10
    hanako = lead_of(EMAIL, "hanako@example.com")
    assert not await desk.pool.fetchval("SELECT score FROM scoring.lead WHERE id = $1", hanako), "it is not her browser"
    assert (await desk.replayed()).differences == []


async def test_an_export_holds_everything(desk: Desk) -> None:
    await desk.receive(did("a0", lead={"anonymous_id": "b1"}), did("a1", lead={"email": EMAIL_OF_TARO}))
    await desk.receive(did("a2", days=1, lead={"email": EMAIL_OF_TARO, "anonymous_id": "b1"}))
    async with desk.http() as http:
        await http.post(f"/v1/leads/{TARO}/points", json={"id": "p", "points": 3, "reason": "met"})
    await desk.return_lead(TARO)
    answer = await get(desk, f"{TARO}/export")
    found = answer.json()
    assert "attachment" in answer.headers["content-disposition"]
    assert [one["id"] for one in found["activities"]] == ["a0", "a1", "a2"]
    assert sorted(one["kind"] for one in found["entries"]) == ["points", "recycled"]
    assert (found["merges"][0]["merged_id"], found["lead"]["id"]) == (BROWSER, TARO)
    assert found["scores"]["test"]["score"] == found["lead"]["score"] == 18


async def test_an_erased_person_leaves_nothing_but_keyed_hashes(desk: Desk) -> None:
    await desk.receive(did("a0", lead={"anonymous_id": "b1"}), did("h1", lead={"email": "hanako@example.com"}))
    await desk.receive(
        did("a1", lead={"email": EMAIL_OF_TARO, "anonymous_id": "b1"}, attributes={"name": "山田", "company": "見本"})
    )
    async with desk.http() as http:
        await http.post(f"/v1/leads/{TARO}/points", json={"points": 3, "reason": "山田さん"})
    answer = await erase(desk)
    assert (answer.status_code, answer.json()) == (202, {"lead_id": TARO, "state": "erased"})
    left = await everything(desk)
    assert not [word for word in (EMAIL_OF_TARO, "山田", "見本", "b1\x1f", '"b1"') if word in left]
    assert [(await get(desk, one)).status_code for one in (TARO, BROWSER)] == [404, 404]
    ends = [key for key, value in await desk.published() if value is None]
    assert set(ends[-2:]) == {TARO, BROWSER}
    told = [value for _, value in await desk.published("lead-lifecycle") if value][-1]
    assert (told["lead_id"], told["lead_ids"]) == (TARO, sorted([TARO, BROWSER]))
    assert set(told["identifier_hashes"]) == {TARO, BROWSER}
    assert (await erase(desk)).status_code == 202
    assert (await erase(desk, lead_of(EMAIL, "nobody@example.com"))).status_code == 404
    assert await desk.score_of(lead_of(EMAIL, "hanako@example.com")) == 5
    assert (await desk.replayed()).differences == []


async def test_what_was_recorded_before_an_erasure_never_comes_back(desk: Desk) -> None:
    both = {"email": EMAIL_OF_TARO, "anonymous_id": "b1"}
    await desk.receive(did("a1", lead=both))
    await erase(desk)
    await desk.receive(did("a1", lead=both), did("a2"), did("a3", lead={"anonymous_id": "b1"}), did("a4", days=-0.001))
    assert await desk.states() == {}
    await desk.receive(did("h1", lead={"email": "hanako@example.com", "anonymous_id": "b1"}))
    assert await desk.score_of(lead_of(EMAIL, "hanako@example.com")) == 5
    assert (await desk.replayed()).differences == []


async def test_later_activity_is_of_a_new_lead(desk: Desk) -> None:
    await desk.receive(did("a1"))
    await erase(desk)
    desk.now = NOW + DAY
    later = {"id": "n1", "type": "document_downloaded", "lead": {"email": EMAIL_OF_TARO}}
    await receive_at(desk, {**later, "occurred_at": to_rfc3339(desk.now), "consent": {"profiling": True}})
    assert list(await desk.states()) == [NEW_TARO]
    assert (await get(desk, TARO)).status_code == 404
    await receive_at(desk, did("a2"))
    assert await desk.score_of(NEW_TARO) == 5
    for knowledge in ("occurred", "recorded"):
        told = await get(desk, f"{NEW_TARO}/explanation?at={to_rfc3339(desk.now + DAY)}&knowledge={knowledge}")
        assert told.json()["score"] == 5, knowledge
    await erase(desk, NEW_TARO)
    assert await desk.states() == {}


async def receive_at(desk: Desk, raw: dict[str, Any]) -> None:
    """Post an activity that ingest receives at the desk's own time."""
    one = parse_posted(raw, id_if_absent="none", source_if_absent="api", received_at=desk.now, region="JP")
    await desk.handler().handle(await desk.of([one]))


async def test_an_erasure_read_back_from_the_topic_holds_too(desk: Desk) -> None:
    async with desk.pool.acquire() as conn:
        told = {"lead_id": TARO, "lead_ids": [TARO], "identifier_hashes": [TARO], "erased_at": to_rfc3339(NOW)}
        await forget(conn, told)
    await desk.receive(did("a1"), did("a2"))
    assert await desk.states() == {}
    assert await desk.pool.fetchval("SELECT count(*) FROM scoring.activity_key WHERE fingerprint = ''") == 2


async def test_erasing_while_batches_arrive(desk: Desk) -> None:
    await desk.receive(did("a0"))
    batches = [await desk.batch([(worker, body(f"a{worker}"))]) for worker in range(1, 5)]
    await gather(erase(desk), *(desk.handler().handle(batch) for batch in batches))
    assert EMAIL_OF_TARO not in await everything(desk)
    assert await desk.states() == {}


def body(id_: str) -> bytes:
    """A record's value."""
    return orjson.dumps(to_record(activity(did(id_))))


async def test_the_scope_is_needed(desk: Desk) -> None:
    await desk.receive(did("a1"))
    async with desk.http("leads:read") as http:
        assert (await http.delete(f"/v1/leads/{TARO}")).status_code == 403
