"""A batch that is written in several pieces while it is folded: all of it is there, once, or nothing."""

from collections import defaultdict
from typing import Any

import pytest

from services.scoring.tables import SCHEMA
from shared import outbox
from shared.identity import ANONYMOUS, EMAIL
from tests.integration.scoring.desk import Desk, activity, lead_of
from tests.integration.scoring.model_desk import download
from tests.integration.stopping import Stopping

PEOPLE = [f"p{number}@example.co.jp" for number in range(9)]
STOPS = 150


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.scoring.batch.TOGETHER", 2)


def seen(id_: str, browser: str) -> dict[str, Any]:
    return download(id_) | {"lead": {"anonymous_id": browser}}


async def versions(desk: Desk) -> dict[str, list[int]]:
    """Of each lead, in the order in which they were published."""
    found = defaultdict(list)
    for key, value in await desk.published():
        if value is not None:
            found[key].append(value["version"])
    return found


async def test_leads_of_every_kind_are_written_once_each(desk: Desk) -> None:
    await desk.receive(*(download(f"a{number}", email) for number, email in enumerate(PEOPLE[:6])), seen("b", "br-1"))
    merging = download("c", PEOPLE[0]) | {"lead": {"email": PEOPLE[0], "anonymous_id": "br-1"}}
    late = (download(f"late{number}", email, days=9) for number, email in enumerate(PEOPLE[1:3]))
    more = (download(f"d{number}", email) for number, email in enumerate(PEOPLE[3:]))
    await desk.receive(merging, *late, *more)
    states = await desk.states()
    assert states.keys() == {lead_of(EMAIL, email) for email in PEOPLE}
    assert sum(state.profile.count for state in states.values()) == 7 + 9
    by_lead = await versions(desk)
    assert by_lead.pop(lead_of(ANONYMOUS, "br-1")) == [1]
    assert by_lead == {lead_of(EMAIL, email): [1, 2] if email in PEOPLE[:6] else [1] for email in PEOPLE}
    assert (await desk.replayed()).differences == []


async def test_what_waits_to_be_published_is_counted(desk: Desk) -> None:
    async with desk.pool.acquire() as conn:
        assert await outbox.waiting(conn, SCHEMA) == (0, 0.0)
        await desk.receive(*(download(f"a{number}", email) for number, email in enumerate(PEOPLE)))
        await conn.execute("UPDATE scoring.outbox SET created_at = now() - interval '1 minute' WHERE key IS NOT NULL")
        rows, age_s = await outbox.waiting(conn, SCHEMA)
    assert rows == len(PEOPLE)
    assert 60 <= age_s < 90


async def test_a_lead_that_cannot_be_written_takes_none_of_the_others_with_it(desk: Desk) -> None:
    sick = lead_of(EMAIL, PEOPLE[4])
    await desk.pool.execute(f"ALTER TABLE scoring.outbox ADD CONSTRAINT sick CHECK (key <> '{sick}')")
    await desk.receive(*(download(f"a{number}", email) for number, email in enumerate(PEOPLE)))
    assert (await desk.states()).keys() == {lead_of(EMAIL, email) for email in PEOPLE} - {sick}
    assert list((await versions(desk)).values()) == [[1]] * (len(PEOPLE) - 1)
    assert len(await desk.published("lead-activities-dlq")) == 1
    assert (await desk.replayed()).differences == []


async def test_a_stop_at_any_moment_of_a_batch_is_a_stop_and_leaves_all_of_it_or_nothing(desk: Desk) -> None:
    stopping = Stopping()
    for number in range(STOPS):
        batch = await desk.of([activity(download(f"a{number}-{email}", email)) for email in PEOPLE])
        stopped = await stopping.stops(desk.handler().handle(batch))
        stored = await desk.pool.fetchval("SELECT count(*) FROM scoring.activity WHERE id LIKE $1", f"a{number}-%")
        assert stored in ((0, len(PEOPLE)) if stopped else (len(PEOPLE),))
        if not stored:
            await desk.handler().handle(batch)
    assert STOPS / 4 < stopping.stopped < STOPS
    states = await desk.states()
    assert [state.profile.count for state in states.values()] == [STOPS] * len(PEOPLE)
    assert (await desk.replayed()).differences == []
