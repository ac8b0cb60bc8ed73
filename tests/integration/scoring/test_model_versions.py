"""Drafts, publications, shadows and roll-backs, on a real PostgreSQL: by API, while leads are scored."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from jsonschema import Draft202012Validator

from services.handoff.core.state import parse_state
from services.scoring import models as model_store
from services.scoring.app import ROUTER
from services.scoring.models import ModelsInForce
from services.scoring.reading import LeadReader
from services.scoring.refold import refold_some
from shared import schemas
from shared.clock import to_rfc3339
from shared.documents import read_document
from shared.identity import EMAIL
from shared.keys import create_key
from shared.postgres import create_engine
from shared.web import create_app
from tests.integration.scoring.desk import MODEL, NOW, Desk, lead_of

TREE: dict[str, Any] = read_document(MODEL).tree
TARO, HANAKO = lead_of(EMAIL, "taro@example.co.jp"), lead_of(EMAIL, "hanako@example.co.jp")


def worth(points: float, **more: Any) -> dict[str, Any]:
    """The test's model with another worth of a download."""
    rules = [rule | {"points": points} if rule["id"] == "download" else rule for rule in TREE["engagement"]["rules"]]
    return {**TREE, **more, "engagement": {**TREE["engagement"], "rules": rules}}


async def ready() -> dict[str, str | None]:
    return {}


@pytest.fixture
async def api(desk: Desk) -> AsyncIterator[httpx2.AsyncClient]:
    settings = desk.settings.model_copy(update={"data_dir": desk.settings.config_dir})
    app = create_app(title="t", version="0", settings=settings, lifespan=None, readiness=ready, clock=lambda: desk.now)
    app.include_router(ROUTER)
    engine = create_engine(settings.database, name="test-api")
    app.state.pool, app.state.models, app.state.reader = desk.pool, desk.models, LeadReader(engine, desk.models)
    key = create_key(settings.key_store_path, "marketing", ["models:write", "leads:read"], NOW)
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://scoring", headers={"Authorization": f"Bearer {key}"}
    ) as client:
        yield client
    await engine.dispose()


def download(id_: str, email: str = "taro@example.co.jp", days: float = 3) -> dict[str, Any]:
    return {
        "id": id_,
        "type": "document_downloaded",
        "occurred_at": to_rfc3339(NOW - timedelta(days=days)),
        "lead": {"email": email},
        "properties": {"document": id_},
    }


async def fold(desk: Desk, models: ModelsInForce | None = None) -> int:
    """Let the background work until nothing is left to do at this instant; returns how many turns it took."""
    turns = 0
    while await refold_some(desk.pool, desk.settings, models or desk.models, lambda: desk.now):
        turns += 1
    return turns


async def draft(api: httpx2.AsyncClient, tree: dict[str, Any]) -> tuple[str, str]:
    """The address and ETag of a new draft."""
    made = await api.post("/v1/models", json=tree)
    assert made.status_code == 201, made.text
    return made.headers["Location"], made.headers["ETag"]


async def publish(api: httpx2.AsyncClient, address: str, **body: Any) -> dict[str, Any]:
    answer = await api.post(f"{address}/publish", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def scores(desk: Desk) -> list[tuple[str, str, bool | None, int, float]]:
    """What was published: lead, cause, silent, version of the model, score."""
    return [
        (key, value["cause"], value.get("silent"), value["models"]["test"]["version"], value["models"]["test"]["score"])
        for key, value in await desk.published()
        if value
    ]


async def test_a_model_is_refused_with_every_fault_and_its_pointer(api: httpx2.AsyncClient) -> None:
    faulty = worth(1.234, timezone="Asia/Tokio", wach=[1])
    answer = await api.post("/v1/models", json=faulty)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_model")
    pointers = {fault["pointer"] for fault in answer.json()["errors"]}
    assert pointers == {"/timezone", "/wach", "/engagement/rules/0/points"}
    listed = (await api.get("/v1/models")).json()["items"]
    assert [(one["name"], one["version"], one["state"]) for one in listed] == [("test", 1, "published")]


async def test_an_edit_needs_the_version_that_was_read(api: httpx2.AsyncClient) -> None:
    address, etag = await draft(api, worth(6))
    assert (await api.put(address, json=worth(7))).status_code == 428
    first = await api.put(address, json=worth(7), headers={"If-Match": etag})
    assert first.status_code == 200
    assert first.headers["ETag"] != etag
    late = await api.put(address, json=worth(8), headers={"If-Match": etag})
    assert (late.status_code, late.json()["code"]) == (412, "precondition_failed")
    assert (await api.get(address)).json()["model"] == worth(7)
    renamed = await api.put(address, json=worth(7, model="other"), headers={"If-Match": first.headers["ETag"]})
    assert renamed.json()["errors"][0]["pointer"] == "/model"
    stale = await api.post(f"{address}/publish", json={}, headers={"If-Match": etag})
    assert stale.status_code == 412


async def test_what_was_published_never_changes(api: httpx2.AsyncClient) -> None:
    address, _ = await draft(api, worth(6))
    await publish(api, address)
    etag = (await api.get(address)).headers["ETag"]
    for answer in (
        await api.put(address, json=worth(7), headers={"If-Match": etag}),
        await api.delete(address, headers={"If-Match": etag}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "model_immutable")


async def test_rights_and_addresses(api: httpx2.AsyncClient, desk: Desk) -> None:
    settings = desk.settings.model_copy(update={"data_dir": desk.settings.config_dir})
    key = create_key(settings.key_store_path, "reader", ["leads:read"], NOW)
    reader = {"Authorization": f"Bearer {key}"}
    assert (await api.get("/v1/models/test/1", headers=reader)).status_code == 200
    assert (await api.post("/v1/models", json=TREE, headers=reader)).status_code == 403
    assert (await api.get("/v1/models/test/9")).json()["code"] == "model_not_found"
    assert (await api.post("/v1/models/nope/1/publish")).status_code == 404


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
    elsewhere = Desk(desk.pool, desk.settings, other)
    await elsewhere.receive(download("a1"))
    assert (other.primary.version, await elsewhere.score_of(TARO)) == (2, 8)


async def test_a_refold_goes_on_where_it_was_in_whatever_process(desk: Desk, api: httpx2.AsyncClient) -> None:
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


async def test_a_draft_says_what_it_probably_does_not_mean_and_reads_as_sentences(api: httpx2.AsyncClient) -> None:
    address, _ = await draft(api, worth(5, exclude=[{"field": "score.total", "exists": True}]))
    answer = (await api.get(address)).json()
    assert "/exclude" in {doubt["pointer"] for doubt in answer["doubts"]}
    japanese = (await api.get(f"{address}/sentences", params={"lang": "ja"})).json()["items"]
    assert japanese[0]["sentence"] == "「資料ダウンロード」1件につき5点加点します（同じ対象は1回だけ）。"


async def test_a_draft_can_be_deleted_and_its_number_is_free(api: httpx2.AsyncClient) -> None:
    address, etag = await draft(api, worth(6))
    assert (await api.delete(address)).status_code == 428
    assert (await api.delete(address, headers={"If-Match": etag})).status_code == 204
    assert (await draft(api, worth(7)))[0] == address
