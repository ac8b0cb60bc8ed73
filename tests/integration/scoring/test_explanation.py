"""Explanations over HTTP: now, then as it happened, then as it was known, and what differs."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx2
import orjson
import pytest

from services.scoring import models as model_store
from services.scoring.app import ROUTER
from services.scoring.explaining import Explainer
from services.scoring.explanation_views import ExplanationView
from services.scoring.model_repository import ModelRepository
from services.scoring.reading import LeadReader
from shared.clock import to_rfc3339
from shared.identity import ANONYMOUS, EMAIL
from shared.keys import create_key
from shared.postgres import create_engine
from shared.web import create_app
from tests.integration.scoring.desk import MODEL, NOW, Desk, id_for, lead_of

TARO = lead_of(EMAIL, "taro@example.co.jp")
HANAKO = lead_of(EMAIL, "hanako@example.com")
BROWSER = lead_of(ANONYMOUS, "b1")


async def ready() -> dict[str, str | None]:
    return {}


@pytest.fixture
async def api(desk: Desk) -> AsyncIterator[httpx2.AsyncClient]:
    settings = desk.settings.model_copy(update={"data_dir": desk.settings.config_dir})
    app = create_app(title="t", version="0", settings=settings, lifespan=None, readiness=ready, clock=lambda: desk.now)
    app.include_router(ROUTER)
    engine = create_engine(settings.database, name="test-api")
    app.state.models, app.state.reader = desk.models, LeadReader(engine, desk.models)
    app.state.explainer = Explainer(engine, desk.models, id_for)
    key = create_key(settings.key_store_path, "reader", ["leads:read"], NOW)
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://scoring", headers=headers
    ) as client:
        yield client
    await engine.dispose()


def posted(id_: str, type_: str, days: float, **more: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "type": type_,
        "occurred_at": to_rfc3339(NOW - timedelta(days=days)),
        "lead": {"email": "taro@example.co.jp"},
        **more,
    }


def ago(days: float) -> str:
    return to_rfc3339(NOW - timedelta(days=days))


async def explain(api: httpx2.AsyncClient, lead_id: str = TARO, **asked: str) -> dict[str, Any]:
    """The answer, checked against what the document says, and its sums against each other."""
    answer = await api.get(f"/v1/leads/{lead_id}/explanation", params=asked)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = orjson.loads(answer.content)
    ExplanationView.model_validate(body)
    assert round(sum(reason["points"] for reason in body["reasons"]), 2) == body["score"]
    for rule in body["rules"]:
        if not rule["cells"]:
            assert round(sum(entry["points"] for entry in rule["entries"]), 2) == rule["raw"]
        assert round(rule["raw"] + rule["clamp"], 2) == rule["points"]
    return body


def rule_of(body: dict[str, Any], name: str) -> dict[str, Any]:
    return next(rule for rule in body["rules"] if rule["rule"] == name)


async def test_an_explanation_says_what_the_lead_has_and_why(desk: Desk, api: httpx2.AsyncClient) -> None:
    await desk.receive(
        posted("d1", "document_downloaded", 9, properties={"document": "price-list"}),
        posted("d2", "document_downloaded", 8, properties={"document": "price-list"}),
        posted("s1", "seminar_attended", 60, properties={"event": "e1"}, attributes={"job_title": "製造部 課長"}),
    )
    body = await explain(api)
    lead = (await api.get(f"/v1/leads/{TARO}")).json()
    for name in ("score", "engagement", "fit", "grade", "level", "stage", "coverage", "reasons"):
        assert body[name] == lead[name]
    assert (body["score"], body["activities"], body["model"]["version"]) == (20, 3, 1)
    download = rule_of(body, "download")
    assert [entry["activity"]["id"] for entry in download["entries"]] == ["d1"]
    (denied,) = download["denied"]
    assert (denied["activity"]["id"], denied["policy"], denied["paid_before"]["id"]) == ("d2", "once_per_object", "d1")
    (seminar,) = rule_of(body, "seminar")["entries"]
    assert (seminar["points_at_start"], seminar["points"], seminar["decay"]) == (10, 5, -5)
    assert body["next_change"]["at"] == lead["next_change_at"]
    assert body["next_change"]["change"] == -0.01


async def test_the_past_as_it_happened_and_as_it_was_known(desk: Desk, api: httpx2.AsyncClient) -> None:
    desk.now = NOW - timedelta(days=5)
    await desk.receive(posted("d1", "document_downloaded", 6, properties={"document": "a"}))
    desk.now = NOW
    await desk.receive(posted("d2", "document_downloaded", 7, properties={"document": "b"}))
    assert (await explain(api, at=ago(4)))["score"] == 10
    known = await explain(api, at=ago(4), knowledge="recorded")
    assert (known["score"], known["activities"]) == (5, 1)
    assert (await explain(api, knowledge="recorded"))["score"] == 10
    assert (await explain(api, at=ago(6.5)))["score"] == 5
    assert (await explain(api, at=ago(6.5), knowledge="recorded"))["activities"] == 0


async def test_records_that_became_one_lead_are_told_apart_again(desk: Desk, api: httpx2.AsyncClient) -> None:
    desk.now = NOW - timedelta(days=5)
    await desk.receive(
        posted("d1", "document_downloaded", 6, properties={"document": "a"}, lead={"anonymous_id": "b1"}),
        posted("d2", "document_downloaded", 6, properties={"document": "b"}),
    )
    desk.now = NOW
    await desk.receive(
        posted("d3", "page_viewed", 1, lead={"email": "taro@example.co.jp", "anonymous_id": "b1"}),
    )
    now = await explain(api, BROWSER)
    assert (now["lead_id"], now["score"]) == (TARO, 11)
    assert (await explain(api, at=ago(4)))["score"] == 10
    for lead_id, known in ((TARO, "d2"), (BROWSER, "d1")):
        then = await explain(api, lead_id, at=ago(4), knowledge="recorded")
        assert [one["activity"]["id"] for one in rule_of(then, "download")["entries"]] == [known]


async def test_what_people_said_since_was_not_known_then(desk: Desk, api: httpx2.AsyncClient) -> None:
    """Joined by hand three days ago and taken apart yesterday; points were given to the one that joined."""
    desk.now = NOW - timedelta(days=5)
    await desk.receive(
        posted("t1", "document_downloaded", 6.5, properties={"document": "a"}),
        posted("h1", "document_downloaded", 6, properties={"document": "b"}, lead={"email": "hanako@example.com"}),
    )
    keys = desk.settings.key_store_path.read_bytes()
    async with desk.http() as http:
        await http.post(f"/v1/leads/{HANAKO}/points", json={"points": 7, "reason": "met", "id": "p"})
        desk.now = NOW
        await http.post(f"/v1/leads/{TARO}/merge", json={"with": HANAKO})
        await http.post(f"/v1/leads/{TARO}/unmerge", json={"with": HANAKO})
    desk.settings.key_store_path.write_bytes(keys)
    for kind, days in (("joined", 3), ("parted", 1)):
        await desk.pool.execute(
            "UPDATE scoring.link SET recorded_at = $2 WHERE kind = $1", kind, NOW - timedelta(days=days)
        )
    await desk.pool.execute("UPDATE scoring.entry SET recorded_at = $1", NOW - timedelta(days=4.5))

    async def known(lead_id: str, days: float) -> tuple[float, int]:
        body = await explain(api, lead_id, at=ago(days), knowledge="recorded")
        return body["score"], body["activities"]

    assert [await known(TARO, days) for days in (4, 2, 0.5)] == [(5, 1), (17, 2), (5, 1)]
    assert [await known(HANAKO, days) for days in (4.8, 4, 2, 0.5)] == [(5, 1), (12, 1), (17, 2), (12, 1)]
    assert (await explain(api, HANAKO, at=ago(2)))["score"] == 12


async def test_the_model_of_then_explains_then(desk: Desk, api: httpx2.AsyncClient) -> None:
    await desk.receive(posted("d1", "document_downloaded", 6, properties={"document": "a"}))
    file = desk.settings.config_dir / "scoring.yaml"
    file.write_text(MODEL.replace("points: 5}", "points: 8}"), encoding="utf-8")
    async with desk.pool.acquire() as conn:
        await model_store.publish(conn, model_store.read_models(desk.settings.config_dir))
        for version, days in ((1, 10), (2, 3)):
            await conn.execute(
                "UPDATE scoring.model_publication SET published_at = $2 WHERE version = $1",
                version,
                NOW - timedelta(days=days),
            )
    before, after = await explain(api, at=ago(4)), await explain(api)
    assert [(one["model"]["version"], one["score"]) for one in (before, after)] == [(1, 5), (2, 8)]
    found = (await explain(api, **{"from": ago(4)}))["difference"]
    assert (found["change"], found["model_before"]["version"]) == (3, 1)
    assert found["reasons"] == [{"rule": "download", "before": 5, "after": 8, "change": 3}]


async def test_a_model_that_was_withdrawn_explains_nothing(desk: Desk, api: httpx2.AsyncClient) -> None:
    await desk.receive(posted("d1", "document_downloaded", 6))
    async with desk.pool.acquire() as conn:
        await ModelRepository(conn).note_publication("test", None, "sato")
        await conn.execute("UPDATE scoring.model_publication SET published_at = $1 WHERE version IS NULL", NOW)
    answer = await api.get(f"/v1/leads/{TARO}/explanation")
    assert (answer.status_code, answer.json()["code"]) == (404, "model_not_found")


async def test_two_instants_differ_by_what_was_earned_and_what_faded(desk: Desk, api: httpx2.AsyncClient) -> None:
    await desk.receive(
        posted("s1", "seminar_attended", 60, properties={"event": "e1"}),
        posted("d1", "document_downloaded", 1, properties={"document": "a"}),
    )
    found = (await explain(api, **{"from": ago(60)}))["difference"]
    assert (found["from"]["score"], found["to"]["score"], found["change"]) == (10, 10, 0)
    assert {line["rule"]: (line["earned"], line["faded"]) for line in found["entries"]} == {
        "download": (5, 0),
        "seminar": (0, -5),
    }


async def test_the_newest_entries_alone_and_the_others_summed_up(desk: Desk, api: httpx2.AsyncClient) -> None:
    await desk.receive(*(posted(f"d{n}", "document_downloaded", n, properties={"document": f"{n}"}) for n in (1, 2, 3)))
    answer = await api.get(f"/v1/leads/{TARO}/explanation", params={"entries": 1})
    download = rule_of(answer.json(), "download")
    assert [entry["activity"]["id"] for entry in download["entries"]] == ["d1"]
    assert download["older_entries"] == {"count": 2, "points": 10, "points_at_start": 10}


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"/v1/leads/{TARO}/explanation?at=yesterday", 422, "invalid_parameter"),
        (f"/v1/leads/{TARO}/explanation?from=2999-01-01T00:00:00Z", 422, "invalid_parameter"),
        (f"/v1/leads/{TARO}/explanation?knowledge=guessed", 422, "invalid_fields"),
        (f"/v1/leads/{TARO}/explanation?model=none", 404, "model_not_found"),
        ("/v1/leads/nobody/explanation", 404, "lead_not_found"),
    ],
)
async def test_what_cannot_be_explained(desk: Desk, api: httpx2.AsyncClient, path: str, status: int, code: str) -> None:
    await desk.receive(posted("d1", "document_downloaded", 1))
    answer = await api.get(path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
