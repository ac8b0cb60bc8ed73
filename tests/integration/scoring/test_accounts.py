"""Accounts follow their people: scored, merged, split off, silent; published and shown, on a real PostgreSQL."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx2
import orjson
import pytest

from services.scoring.account_reading import AccountReader
from services.scoring.account_repository import AccountRepository
from services.scoring.account_views import AccountPage, AccountWithContacts
from services.scoring.accounts import AT_ONCE, keep_once
from services.scoring.app import ROUTER
from services.scoring.core.accounts import BY_DOMAIN, BY_ID, BY_NAME
from services.scoring.reading import LeadReader
from shared.clock import to_rfc3339
from shared.identity import ANONYMOUS, EMAIL, Identifier
from shared.keys import create_key
from shared.postgres import create_engine
from shared.web import create_app
from tests.integration.scoring.desk import NOW, Desk, gather, id_for, lead_of

SAMPLE = id_for(Identifier(BY_DOMAIN, "example.co.jp"))


async def ready() -> dict[str, str | None]:
    return {}


@pytest.fixture
async def api(desk: Desk) -> AsyncIterator[httpx2.AsyncClient]:
    settings = desk.settings.model_copy(update={"data_dir": desk.settings.config_dir})
    app = create_app(title="t", version="0", settings=settings, lifespan=None, readiness=ready, clock=lambda: desk.now)
    app.include_router(ROUTER)
    engine = create_engine(settings.database, name="test-api")
    app.state.models = desk.models
    app.state.account_reader = AccountReader(engine, LeadReader(engine, desk.models))
    key = create_key(settings.key_store_path, "reader", ["leads:read"], NOW)
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://scoring", headers=headers
    ) as client:
        yield client
    await engine.dispose()


def download(
    who: str, *documents: str, days: float = 1, company: str = "㈱サンプル", **more: Any
) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{who}-{document}",
            "type": "document_downloaded",
            "occurred_at": to_rfc3339(NOW - timedelta(days=days)),
            "lead": {"email": who},
            "attributes": {"company": company},
            "properties": {"document": document},
            **more,
        }
        for document in documents
    ]


async def keep(desk: Desk) -> None:
    """Until nothing is left to be done."""
    while await keep_once(desk.pool, desk.settings, desk.models, id_for, lambda: desk.now):
        pass


async def published(desk: Desk) -> list[tuple[str, Any]]:
    """Accounts as published, in order, each with versions, scores of the primary model and cause."""
    records = await desk.published("account-scores")
    return [
        (key, value and (value["version"], value["models"]["test"]["score"], value["cause"])) for key, value in records
    ]


async def test_two_colleagues_make_one_account(desk: Desk, api: httpx2.AsyncClient) -> None:
    await desk.receive(*download("taro@example.co.jp", "a", "b", "c", "d"), *download("jiro@example.co.jp", "a", "b"))
    await desk.receive(*download("hanako@gmail.com", "a", company="別会社"))
    await keep(desk)
    (await api.get("/v1/accounts")).raise_for_status()
    body = (await api.get(f"/v1/accounts/{SAMPLE}")).json()
    AccountWithContacts.model_validate(body)
    assert (body["name"], body["domains"], body["score"]) == ("株式会社サンプル", ["example.co.jp"], 25)
    assert body["scores"] == {"damped": 25, "max": 20, "average": 15, "sum": 30}
    assert [(one["email"], one["score"], one["active"]) for one in body["contacts"]] == [
        ("taro@example.co.jp", 20, True),
        ("jiro@example.co.jp", 10, True),
    ]
    other = id_for(Identifier(BY_NAME, "別会社"))
    assert sorted(await published(desk)) == sorted([(SAMPLE, (1, 25, "activity")), (other, (1, 5, "activity"))])


async def test_more_accounts_than_are_worked_out_together(desk: Desk) -> None:
    people = [f"taro@company-{number}.example.co.jp" for number in range(2 * AT_ONCE + 1)]
    await desk.receive(*(one for who in people for one in download(who, "a", company="")))
    assert await keep_once(desk.pool, desk.settings, desk.models, id_for, lambda: desk.now) == len(people)
    wanted = {id_for(Identifier(BY_DOMAIN, who.partition("@")[2])): (1, 5, "activity") for who in people}
    records = await published(desk)
    assert (len(records), dict(records)) == (len(people), wanted)


async def test_a_record_for_every_change_and_none_without_one(desk: Desk) -> None:
    await desk.receive(*download("taro@example.co.jp", "a"))
    await keep(desk)
    await desk.receive(*download("taro@example.co.jp", "b"))
    await keep(desk)
    again = download("taro@example.co.jp", "b")[0]
    await desk.receive({**again, "id": "again", "occurred_at": to_rfc3339(NOW)})
    await keep(desk)
    assert [value[:2] for _, value in await published(desk)] == [(1, 5), (2, 10)]


async def test_what_was_told_out_of_turn_changes_nothing(desk: Desk) -> None:
    await desk.receive(*download("taro@example.co.jp", "a"))
    old = await desk.pool.fetchrow("SELECT lead_id, contact FROM scoring.account_todo")
    await desk.receive(*download("taro@example.co.jp", "b"))
    await keep(desk)
    await desk.pool.execute(
        "INSERT INTO scoring.account_todo (seq, lead_id, contact) OVERRIDING SYSTEM VALUE VALUES (0, $1, $2)", *old
    )
    await keep(desk)
    assert [value[1] for _, value in await published(desk)] == [10]


async def test_a_merge_leaves_one_contact(desk: Desk, api: httpx2.AsyncClient) -> None:
    browser = download("b1", "x", lead={"anonymous_id": "b1"}, company="サンプル")
    await desk.receive(*browser, *download("taro@example.co.jp", "a"))
    await keep(desk)
    named = id_for(Identifier(BY_NAME, "サンプル"))
    await desk.receive(
        *download("taro@example.co.jp", "y", lead={"email": "taro@example.co.jp", "anonymous_id": "b1"}),
    )
    await keep(desk)
    records = await published(desk)
    assert [value for key, value in records if key == named] == [(1, 5, "activity"), None]
    assert [value for key, value in records if key == SAMPLE] == [(1, 5, "activity"), (2, 15, "merge")]
    assert (await api.get(f"/v1/accounts/{named}")).status_code == 404
    body = (await api.get(f"/v1/accounts/{SAMPLE}")).json()
    assert [one["lead_id"] for one in body["contacts"]] == [lead_of(EMAIL, "taro@example.co.jp")]
    assert lead_of(ANONYMOUS, "b1") not in {one["lead_id"] for one in body["contacts"]}


async def test_a_merged_lead_stays_in_its_account_when_time_changes_nothing(desk: Desk) -> None:
    both = {"email": "taro@example.co.jp", "anonymous_id": "b1"}
    seminar: dict[str, Any] = {"type": "seminar_attended", "days": 0}
    await desk.receive(*download("b1", "x", lead={"anonymous_id": "b1"}, **seminar))
    await desk.receive(*download("taro@example.co.jp", "y", lead=both, **seminar))
    await keep(desk)
    before = await published(desk)
    due_at = await desk.pool.fetchval("SELECT min(at) FROM scoring.due")
    desk.now = due_at
    await desk.tick()
    assert await desk.pool.fetchval("SELECT min(at) FROM scoring.due") > due_at
    assert [value["cause"] for _, value in await desk.published() if value] == ["activity", "merge"]
    await keep(desk)
    assert await published(desk) == before
    assert (await desk.replayed()).differences == []


async def test_a_given_id_goes_before_the_domain(desk: Desk) -> None:
    await desk.receive(*download("taro@example.co.jp", "a"))
    await keep(desk)
    await desk.receive(*download("taro@example.co.jp", "b", attributes={"account_id": "A-17"}))
    await keep(desk)
    given = id_for(Identifier(BY_ID, "A-17"))
    records = await published(desk)
    assert [value for key, value in records if key == SAMPLE] == [(1, 5, "activity"), None]
    assert [value for key, value in records if key == given] == [(1, 10, "activity")]


async def test_a_contact_falls_silent_by_time_alone(desk: Desk) -> None:
    await desk.receive(*download("taro@example.co.jp", "a"))
    await keep(desk)
    desk.now = NOW + timedelta(days=89, hours=1)
    await keep(desk)
    last = [orjson.dumps(value) for _, value in await desk.published("account-scores")][-1]
    value = orjson.loads(last)
    assert (value["models"]["test"]["active_contacts"], value["cause"], value["version"]) == (0, "time", 2)


async def test_leads_that_were_there_before_are_taken_in_silently(desk: Desk) -> None:
    await desk.receive(*download("taro@example.co.jp", "a"), *download("jiro@example.co.jp", "a"))
    await desk.pool.execute("UPDATE scoring.account_todo SET contact = NULL")
    await keep(desk)
    assert await published(desk) == [(SAMPLE, (1, 7.5, "repair"))]


async def test_several_keepers_at_once_publish_every_version_once(desk: Desk) -> None:
    for number in range(12):
        await desk.receive(*download(f"p{number}@example.co.jp", "a", "b"))
        await gather(*(keep_once(desk.pool, desk.settings, desk.models, id_for, lambda: desk.now) for _ in range(4)))
    await keep(desk)
    versions = [value[0] for _, value in await published(desk)]
    assert versions == list(range(1, len(versions) + 1))
    assert (await published(desk))[-1][1][1] == 19.38


async def test_accounts_are_found_by_name_domain_and_score(desk: Desk, api: httpx2.AsyncClient) -> None:
    await desk.receive(
        *download("taro@example.co.jp", "a", "b"), *download("a@other.example", "a", company="Other Inc.")
    )
    await keep(desk)

    async def found(**asked: Any) -> list[str]:
        answer = await api.get("/v1/accounts", params=asked)
        AccountPage.model_validate(answer.json())
        return [item["name"] for item in answer.json()["items"]]

    assert await found(q="サンプル（株）") == ["株式会社サンプル"]
    assert await found(q="OTHER") == ["Other Inc."]
    assert await found(q="Ｅｘａｍｐｌｅ．ＣＯ．ｊｐ") == ["株式会社サンプル"]
    assert await found(q="example.co.jp") == ["株式会社サンプル"]
    assert await found(min_score=6) == ["株式会社サンプル"]
    assert await found(lead_id=lead_of(EMAIL, "a@other.example")) == ["Other Inc."]
    assert await found(lead_id="nobody") == []
    assert len(await found()) == 2
    first = await api.get("/v1/accounts", params={"limit": 1})
    following = await api.get(first.links["next"]["url"])
    assert len(following.json()["items"]) == 1
    assert (await api.get("/v1/accounts/nobody")).json()["code"] == "account_not_found"


async def test_an_erased_lead_leaves_its_account(desk: Desk) -> None:
    await desk.receive(*download("taro@example.co.jp", "a"), *download("jiro@example.co.jp", "a"))
    await keep(desk)
    for who, rest in (("taro", (2, 5, "time")), ("jiro", None)):
        lead_id = lead_of(EMAIL, f"{who}@example.co.jp")
        async with desk.pool.acquire() as conn, conn.transaction():
            await conn.execute("DELETE FROM scoring.lead WHERE id = $1::uuid", lead_id)
            await AccountRepository(conn).forget([lead_id])
        await keep(desk)
        assert (await published(desk))[-1] == (SAMPLE, rest)
    assert await desk.pool.fetchval("SELECT count(*) FROM scoring.account_lead WHERE contact <> ''") == 0


async def test_a_replay_works_accounts_out_again(desk: Desk) -> None:
    await desk.receive(*download("taro@example.co.jp", "a", "b"), *download("hanako@example.co.jp", "a"))
    found = await desk.replayed()
    assert (found.accounts, found.differences) == (0, [])
    await keep(desk)
    found = await desk.replayed()
    assert (found.accounts, found.differences) == (1, [])
    await desk.pool.execute("UPDATE scoring.account SET state = jsonb_set(state, '{name}', '\"another\"')")
    (spoilt,) = (await desk.replayed()).differences
    assert (spoilt.lead_id, spoilt.what, spoilt.stored) == (SAMPLE, "account: name", "another")
    await desk.pool.execute(
        "DELETE FROM scoring.account_lead WHERE lead_id = $1::uuid", lead_of(EMAIL, "taro@example.co.jp")
    )
    assert "account: key" in {one.what for one in (await desk.replayed()).differences}
