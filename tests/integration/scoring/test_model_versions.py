"""Publications, shadows and roll-backs, on a real PostgreSQL: by API, while leads are scored."""

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx2
import pytest
from jsonschema import Draft202012Validator

from services.handoff.core.state import parse_state
from services.scoring import models as model_store
from services.scoring.core.lead import is_current
from services.scoring.helper import Helpers
from services.scoring.model_repository import ModelRepository
from services.scoring.refold import Refolder, refold_some
from services.scoring.refold_repository import RefoldRepository
from shared import schemas
from shared.clock import to_rfc3339
from shared.identity import EMAIL
from tests.integration.scoring.desk import MODEL, NOW, Desk, lead_of
from tests.integration.scoring.model_desk import (
    HANAKO,
    TARO,
    download,
    draft,
    fold,
    open_api,
    publish,
    scores,
    worth,
)


@pytest.fixture
async def api(desk: Desk) -> AsyncIterator[httpx2.AsyncClient]:
    async with open_api(desk) as client:
        yield client


async def test_a_publication_switches_every_lead_silently_and_rolls_back(desk: Desk, api: httpx2.AsyncClient) -> None:
    await desk.receive(download("a1"), download("b1", "hanako@example.co.jp"))
    await fold(desk)
    address, _ = await draft(api, worth(8))
    await publish(api, address)
    assert (await desk.score_of(TARO), (await api.get(f"/v1/leads/{TARO}")).json()["model"]["version"]) == (5, 1)
    await fold(desk)
    switched = (await scores(desk))[2:]
    assert sorted(switched) == sorted([(TARO, "model", True, 2, 8.0), (HANAKO, "model", True, 2, 8.0)])
    progress = (await api.get(address)).json()["refold"]
    assert (progress["leads"], progress["done"], progress["switched"]) == (2, 2, 2)
    assert progress["finished_at"]
    assert (await api.get(f"/v1/leads/{TARO}")).json()["model"]["version"] == 2
    back = await publish(api, "/v1/models/test/1", note="sales complained")
    assert (back["state"], back["in_force"]) == ("published", True)
    await fold(desk)
    assert await desk.score_of(TARO) == 5
    states = {one["version"]: one["state"] for one in (await api.get("/v1/models")).json()["items"]}
    assert states == {1: "published", 2: "retired"}
    audit = (await api.get("/v1/models/test/audit")).json()["items"]
    assert [(one["by"], one["action"], one["version"]) for one in audit] == [
        ("marketing", "published", 1),
        ("marketing", "published", 2),
        ("marketing", "created", 2),
        ("file", "published", 1),
    ]
    assert audit[0]["detail"] == {"replaces": 2, "release_per_minute": None, "note": "sales complained"}


async def test_a_past_instant_answers_by_the_model_of_then(desk: Desk, api: httpx2.AsyncClient) -> None:
    await desk.receive(download("d1", days=6))
    address, _ = await draft(api, worth(8))
    await publish(api, address)
    for version, days in ((1, 10), (2, 3)):
        since = NOW - timedelta(days=days)
        await desk.pool.execute(
            "UPDATE scoring.model_publication SET published_at = $2 WHERE version = $1", version, since
        )
    await fold(desk)
    for at, expected in ((None, (2, 8)), (2, (2, 8)), (4, (1, 5)), (20, (1, 0))):
        query = {"at": to_rfc3339(NOW - timedelta(days=at))} if at else {}
        lead = (await api.get(f"/v1/leads/{TARO}", params=query)).json()
        (listed,) = (await api.get("/v1/leads", params=query)).json()["items"]
        assert (lead["model"]["version"], lead["score"]) == expected
        assert {name: lead[name] for name in listed} == listed


async def test_where_no_version_was_in_force_that_of_now_answers(desk: Desk, api: httpx2.AsyncClient) -> None:
    await desk.receive(download("d1", days=6))
    async with desk.pool.acquire() as conn:
        await ModelRepository(conn).note_publication("test", None, "sato")
        await conn.execute("UPDATE scoring.model_publication SET published_at = $1 WHERE version IS NULL", NOW)
    assert desk.models.published_at > NOW
    lead = (await api.get(f"/v1/leads/{TARO}", params={"at": to_rfc3339(NOW)})).json()
    assert (lead["model"], lead["score"]) == ({"name": "test", "version": 1}, 5)


async def test_the_earlier_version_serves_a_lead_until_it_is_switched(desk: Desk, api: httpx2.AsyncClient) -> None:
    await desk.receive(download("a1"))
    await fold(desk)
    address, _ = await draft(api, worth(8))
    await publish(api, address)
    await desk.receive(download("a2"), download("b1", "hanako@example.co.jp"))
    # Taro is not switched yet, whatever he does; Hanako is new.
    published = (await scores(desk))[1:]
    assert sorted(published) == sorted([(TARO, "activity", False, 1, 10.0), (HANAKO, "activity", False, 2, 8.0)])
    await fold(desk)
    assert (await scores(desk))[3:] == [(TARO, "model", True, 2, 16.0)]


async def test_another_process_takes_a_publication_up_with_its_next_batch(desk: Desk, api: httpx2.AsyncClient) -> None:
    async with desk.pool.acquire() as conn:
        other = await model_store.in_force(conn, model_store.read_models(desk.settings.config_dir))
    address, _ = await draft(api, worth(8))
    await publish(api, address)
    assert other.primary.version == 1
    elsewhere = Desk(desk.pool, desk.settings, other, desk.engine)
    await elsewhere.receive(download("a1"))
    assert (other.primary.version, await elsewhere.score_of(TARO)) == (2, 8)


async def test_a_lead_that_changes_after_it_was_read_ahead_loses_nothing(
    desk: Desk, api: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.scoring.refold.CHUNK", 1)
    people = [f"p{number}@example.co.jp" for number in range(3)]
    await desk.receive(*(download(f"d{number}", email) for number, email in enumerate(people)))
    await fold(desk)
    address, _ = await draft(api, worth(8))
    await publish(api, address)
    refolder = Refolder(desk.pool, desk.settings, desk.models, lambda: desk.now, Helpers())
    assert await refolder.some(1)
    await refolder.read_ahead()
    await desk.receive(*(download(f"late{number}", email) for number, email in enumerate(people)))
    while await refolder.some():
        pass
    states = await desk.states()
    assert all(is_current(desk.models.current, state) for state in states.values())
    assert [state.profile.count for state in states.values()] == [2, 2, 2]
    assert {await desk.score_of(lead_id) for lead_id in states} == {16.0}
    assert (await desk.replayed()).differences == []


async def test_chunks_that_another_process_has_done_meanwhile_are_not_done_again(
    desk: Desk, api: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.scoring.refold.CHUNK", 2)
    people = [f"p{number}@example.co.jp" for number in range(14)]
    await desk.receive(*(download(f"d{number}", email) for number, email in enumerate(people)))
    await fold(desk)
    address, _ = await draft(api, worth(8))
    await publish(api, address)
    refolder = Refolder(desk.pool, desk.settings, desk.models, lambda: desk.now, Helpers())
    try:
        assert await refolder.some(1)
        await refolder.read_ahead()
        assert await refold_some(desk.pool, desk.settings, desk.models, lambda: desk.now)
        while await refolder.some():
            pass
    finally:
        await refolder.forget_ahead()
    progress = (await api.get(address)).json()["refold"]
    assert (progress["done"], progress["switched"]) == (14, 14)
    by_model = [one[0] for one in await scores(desk) if one[1] == "model"]
    assert sorted(by_model) == sorted(await desk.states())


async def test_a_refold_goes_on_where_it_was_in_whatever_process(
    desk: Desk, api: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.scoring.refold.CHUNK", 50)
    people = [f"p{number}@example.co.jp" for number in range(120)]
    await desk.receive(*(download(f"d{number}", email) for number, email in enumerate(people)))
    await fold(desk)
    address, _ = await draft(api, worth(8))
    await publish(api, address)
    assert await refold_some(desk.pool, desk.settings, desk.models, lambda: desk.now)
    assert (await api.get(address)).json()["refold"]["done"] == 50
    async with desk.pool.acquire() as conn:
        other = await model_store.in_force(conn, model_store.read_models(desk.settings.config_dir))
    assert await fold(desk, other) == 4  # two chunks, the end of the fold, the end of the job
    progress = (await api.get(address)).json()["refold"]
    assert (progress["done"], progress["switched"]) == (120, 120)
    by_model = [one for one in await scores(desk) if one[1] == "model"]
    assert (len(by_model), {one[4] for one in by_model}) == (120, {8.0})


async def test_crossings_are_released_at_the_chosen_rate_best_first(desk: Desk, api: httpx2.AsyncClient) -> None:
    people = [f"p{number}@example.co.jp" for number in range(4)]
    for number, email in enumerate(people):
        await desk.receive(*(download(f"d{number}-{count}", email) for count in range(number + 1)))
    await fold(desk)
    before = len(await scores(desk))
    address, _ = await draft(api, worth(20, watch=[40]))
    await publish(api, address, release_per_minute=2)
    await fold(desk)
    # 20 points stay under what is watched; 80, 60 and 40 wait, of which the first goes at once.
    switched = (await scores(desk))[before:]
    assert [(one[2], one[4]) for one in switched] == [(True, 20.0), (False, 80.0)]
    assert (await api.get(address)).json()["refold"]["waiting"] == 2
    waiting = (await api.get(f"/v1/leads/{lead_of(EMAIL, people[2])}")).json()
    assert (waiting["score"], waiting["model"]["version"]) == (15, 1)
    desk.now += timedelta(seconds=29)
    await fold(desk)
    assert len(await scores(desk)) == before + 2
    desk.now += timedelta(minutes=5)
    await fold(desk)
    assert [one[4] for one in (await scores(desk))[before + 2 :]] == [60.0]
    desk.now += timedelta(seconds=30)
    await fold(desk)
    assert [one[4] for one in (await scores(desk))[before + 3 :]] == [40.0]
    progress = (await api.get(address)).json()["refold"]
    assert (progress["released"], progress["switched"], progress["waiting"]) == (3, 4, 0)
    values = await desk.pool.fetch("SELECT value FROM scoring.outbox WHERE topic = 'lead-scores' ORDER BY id")
    assert [parse_state(row[0]).quiet for row in values[before:]] == [True, False, False, False]


async def test_a_shadow_or_another_model_leaves_releases_at_their_rate(desk: Desk, api: httpx2.AsyncClient) -> None:
    for number in range(3):
        await desk.receive(*(download(f"d{number}-{count}", f"p{number}@example.co.jp") for count in range(3)))
    await fold(desk)
    address, _ = await draft(api, worth(20, watch=[40]))
    await publish(api, address, release_per_minute=1)
    await fold(desk)
    assert (await api.get(address)).json()["refold"]["waiting"] == 2
    beside, _ = await draft(api, worth(30))
    assert (await api.post(f"{beside}/shadow")).status_code == 200
    await fold(desk)
    refold = (await api.get(beside)).json()["refold"]
    assert (refold["release_per_minute"], refold["waiting"]) == (1, 1)
    rolled = await publish(api, "/v1/models/test/1")
    assert rolled["refold"] is None or rolled["refold"]["release_per_minute"] is None
    await fold(desk)
    assert {one[2] for one in (await scores(desk))[-2:]} == {True}


async def test_a_shadow_scores_the_same_traffic_on_a_topic_of_its_own(desk: Desk, api: httpx2.AsyncClient) -> None:
    await desk.receive(download("a1"))
    await fold(desk)
    address, _ = await draft(api, worth(8))
    assert (await api.post(f"{address}/shadow")).json()["state"] == "shadow"
    await fold(desk)
    await desk.receive(download("a2"))
    shadowed = [value for _, value in await desk.published("shadow-scores") if value]
    seen = [
        (one["shadows"][0]["version"], one["shadows"][0]["score"], one["models"]["test"]["score"]) for one in shadowed
    ]
    assert seen == [(2, 8, 5), (2, 16, 10)]
    for one in shadowed:
        Draft202012Validator(schemas.schema("lead.shadow-scored.v1")).validate(one)
    assert {one[3] for one in await scores(desk)} == {1}
    assert (await api.get(f"/v1/leads/{TARO}")).json()["score"] == 10
    assert (await api.post(f"{address}/retire")).json()["state"] == "retired"
    await fold(desk)
    assert set((await desk.states())[TARO].folds) == {"test"}
    await publish(api, address)
    await fold(desk)
    assert await desk.score_of(TARO) == 16


async def test_whoever_works_on_a_refold_and_is_silent_for_long_loses_it(desk: Desk) -> None:
    limit = "SHOW idle_session_timeout"
    async with desk.pool.acquire() as conn:
        assert await RefoldRepository(conn).claim() is not None
        assert await conn.fetchval(limit) == "1min"
        pid = conn.get_server_pid()
    async with desk.pool.acquire() as conn:
        assert (await conn.fetchval(limit), conn.get_server_pid()) == ("0", pid)


async def test_a_shadow_swallows_no_crossing(desk: Desk, api: httpx2.AsyncClient) -> None:
    await desk.receive(download("a1"), download("a2", days=-0.001))
    await fold(desk)
    before = await scores(desk)
    address, _ = await draft(api, worth(8))
    desk.now += timedelta(minutes=3)
    for step in ("shadow", "retire"):
        assert (await api.post(f"{address}/{step}")).status_code == 200
        await fold(desk)
        assert await scores(desk) == before
    await desk.tick()
    (risen,) = [value for _, value in await desk.published() if value][len(before) :]
    assert (risen["cause"], risen["silent"], risen["models"]["test"]["score"]) == ("time", False, 10)


async def test_a_second_model_scores_beside_the_primary_until_it_is_retired(
    desk: Desk, api: httpx2.AsyncClient
) -> None:
    await desk.receive(download("a1"))
    address, _ = await draft(api, worth(1, model="partners"))
    await publish(api, address)
    await fold(desk)
    newest = [value for _, value in await desk.published() if value][-1]
    assert {name: model["score"] for name, model in newest["models"].items()} == {"test": 5, "partners": 1}
    assert newest["primary"] == "test"
    refused = await api.post("/v1/models/test/1/retire")
    assert (refused.status_code, refused.json()["code"]) == (409, "model_is_primary")
    assert (await api.post(f"{address}/retire")).json()["in_force"] is False
    await fold(desk)
    newest = [value for _, value in await desk.published() if value][-1]
    assert set(newest["models"]) == {"test"}


async def test_what_the_api_published_wins_until_the_file_changes(desk: Desk, api: httpx2.AsyncClient) -> None:
    async def restart() -> int:
        async with desk.pool.acquire() as conn:
            models = await model_store.publish(conn, model_store.read_models(desk.settings.config_dir))
        return models.primary.version

    address, _ = await draft(api, worth(8))
    await publish(api, address)
    assert (await restart(), await restart()) == (2, 2)
    (desk.settings.config_dir / "scoring.yaml").write_text(MODEL.replace("points: 5}", "points: 9}"), encoding="utf-8")
    assert (await restart(), await restart()) == (3, 3)
    (desk.settings.config_dir / "scoring.yaml").write_text(MODEL, encoding="utf-8")
    assert await restart() == 4
