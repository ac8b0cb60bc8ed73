"""`account-scores` to `qualified-accounts`: one record per cycle, also over redelivery and a restored database."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from services.handoff.accounts import AccountHandler, take_in
from services.handoff.core.accounts import account_rules
from services.handoff.core.rules import load_rules
from shared.kafka.admin import ClusterView
from shared.offsets import Fenced
from tests.integration.handoff.desk import Desk, open_desk
from tests.unit.handoff.builders import day
from tests.unit.handoff.core.test_accounts import ACCOUNT, body

RULES = "rules: []\naccount_rules:\n  - {id: hot-account, enter: 70, leave: 60}\n"
TOPIC = AccountHandler.topics[0]


@pytest.fixture
async def desk(database: str) -> AsyncIterator[Desk]:
    desk = await open_desk(database, RULES)
    yield desk
    await desk.pool.close()


def handler(desk: Desk) -> AccountHandler:
    rules = account_rules(load_rules(RULES).file.account_rules)
    parts = (desk.pool, desk.settings, ClusterView("cluster"), lambda: desk.now, desk.book)
    return AccountHandler(*parts, rules=rules, installed_at=day(0))


async def judge(desk: Desk, *bodies: dict[str, Any] | bytes) -> Any:
    values = [one if isinstance(one, bytes) else orjson.dumps(one) for one in bodies]
    batch = await desk.batch([(ACCOUNT, value) for value in values], TOPIC)
    await handler(desk).handle(batch)
    return batch


async def cycles(desk: Desk) -> list[int]:
    return [one["cycle"] for one in await desk.outbox("qualified-accounts")]


async def test_a_crossing_is_published_once_and_remembered(desk: Desk) -> None:
    batch = await judge(desk, body(65, 1, 1), body(72, 2, 2))
    with pytest.raises(Fenced):
        await handler(desk).handle(batch)
    await judge(desk, body(72, 2, 2), body(80, 3, 3))
    assert await cycles(desk) == [1]
    await judge(desk, body(40, 40, 4), body(75, 41, 5))
    assert await cycles(desk) == [1, 2]


async def test_what_cannot_be_read_is_a_dead_letter_and_the_rest_goes_on(desk: Desk) -> None:
    await judge(desk, b"{", body(72, 2, 1))
    assert await cycles(desk) == [1]
    letters = await desk.pool.fetchval("SELECT count(*) FROM handoff.outbox WHERE topic = 'account-scores-dlq'")
    assert letters == 1


async def test_an_account_that_nobody_belongs_to_keeps_its_cycles(desk: Desk) -> None:
    await judge(desk, body(72, 1, 1))
    batch = await desk.batch([(ACCOUNT, None)], TOPIC)
    await handler(desk).handle(batch)
    assert await desk.pool.fetchval("SELECT state FROM handoff.account WHERE id = $1", ACCOUNT) is None
    await judge(desk, body(72, 2, 3))
    assert await cycles(desk) == [1]


async def test_cycles_that_subscribers_know_are_taken_in(desk: Desk) -> None:
    seen: dict[str, Any] = {
        "account": {"id": ACCOUNT},
        "rule": "hot-account",
        "cycle": 4,
        "score": 71.0,
        "crossed_at": "2026-11-01T00:00:00Z",
    }
    async with desk.pool.acquire() as conn:
        assert await take_in(conn, [seen]) == 1
        assert await take_in(conn, [seen]) == 0
    await judge(desk, body(72, 2, 1))
    assert await cycles(desk) == []
    await judge(desk, body(10, 60, 2), body(90, 61, 3))
    assert await cycles(desk) == [5]
