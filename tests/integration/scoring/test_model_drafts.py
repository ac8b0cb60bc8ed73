"""Drafts by API: refused whole, edited by those who have read them, never changed once published."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from shared.keys import create_key
from tests.integration.scoring.desk import NOW, Desk
from tests.integration.scoring.model_desk import TARO, TREE, download, draft, fold, open_api, publish, worth


@pytest.fixture
async def api(desk: Desk) -> AsyncIterator[httpx2.AsyncClient]:
    async with open_api(desk) as client:
        yield client


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


@pytest.mark.parametrize("size", [10**30, -(10**30), 1e308, 2**63])
async def test_constants_of_any_size_are_kept(desk: Desk, api: httpx2.AsyncClient, size: float) -> None:
    await desk.receive(download("a1"))
    stage = {"id": "big", "all": [{"field": "attributes.employees", "lt": size}]}
    address, _ = await draft(api, worth(6, stages=[stage]))
    assert (await api.get(address)).json()["model"]["stages"][0]["all"][0]["lt"] == float(size)
    await publish(api, address)
    await fold(desk)
    assert await desk.score_of(TARO) == 6


async def test_a_text_that_cannot_be_stored_is_refused(api: httpx2.AsyncClient) -> None:
    spoilt = worth(6, stages=[{"id": "s", "all": [{"field": "attributes.x", "equals": "a\x00b"}]}])
    answer = await api.post("/v1/models", json=spoilt)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_fields")


async def test_rights_and_addresses(api: httpx2.AsyncClient, desk: Desk) -> None:
    settings = desk.settings.model_copy(update={"data_dir": desk.settings.config_dir})
    key = create_key(settings.key_store_path, "reader", ["leads:read"], NOW)
    reader = {"Authorization": f"Bearer {key}"}
    assert (await api.get("/v1/models/test/1", headers=reader)).status_code == 200
    assert (await api.post("/v1/models", json=TREE, headers=reader)).status_code == 403
    assert (await api.get("/v1/models/test/9")).json()["code"] == "model_not_found"
    assert (await api.post("/v1/models/nope/1/publish")).status_code == 404


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
