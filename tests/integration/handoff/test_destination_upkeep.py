"""What keeps a destination and what ends it: failures that last, tests, changes, fields of an earlier version."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from shared.errors import ProblemError
from tests.integration.handoff.post_office import PostOffice, qualified
from tests.integration.handoff.test_webhook_delivery import hook, office, receiver
from tests.integration.stand_in import StandIn, answer

__all__ = ["office", "receiver"]


async def test_five_days_of_failure_disable(office: PostOffice, receiver: StandIn) -> None:
    receiver.plan[:] = [answer(500)]
    id_ = await office.make(**hook(receiver))
    await office.publish(qualified())
    async with office.sending():
        await office.until_attempts(id_, 1)
        await office.pass_time(timedelta(days=4))
        await office.until_attempts(id_, 2)
        assert await office.outbox() == []
        await office.pass_time(timedelta(days=1))
        await office.until_attempts(id_, 3)
        ((_, event),) = await office.until(office.outbox)
    assert (event["reason"], event["name"]) == ("failing", "crm")
    state = await office.pool.fetchrow("SELECT state, reason FROM handoff.destination")
    assert tuple(state) == ("disabled", "failing")


async def test_idle_days_and_tests_are_no_failure(office: PostOffice, receiver: StandIn) -> None:
    receiver.plan[:] = [answer(500)]
    id_ = await office.make(**hook(receiver))
    await office.destinations.test(id_)
    assert await failing_since(office) is None
    async with office.sending():
        await office.publish(qualified())
        await office.until_attempts(id_, 2)
        began = await office.until(lambda: failing_since(office))
        await office.pass_time(timedelta(days=6))
        await office.until_attempts(id_, 3)
        await office.destinations.test(id_)
        await office.pass_time(timedelta(hours=13))
        attempts = await office.until_attempts(id_, 5)
        assert [attempt["event_type"] for attempt in attempts].count("handoff.delivery-test.v1") == 2
        await office.until(office.outbox)
    assert await failing_since(office) == began
    assert await office.pool.fetchval("SELECT reason FROM handoff.destination") == "failing"


async def test_a_test_that_meets_410_disables_nothing(office: PostOffice, receiver: StandIn) -> None:
    receiver.plan[:] = [answer(410)]
    id_ = await office.make(**hook(receiver))
    told = await office.destinations.test(id_)
    assert (told["outcome"], await office.outbox()) == ("failed", [])
    assert await office.pool.fetchval("SELECT state FROM handoff.destination") == "active"


async def failing_since(office: PostOffice) -> Any:
    return await office.pool.fetchval("SELECT failing_since FROM handoff.destination")


async def test_of_two_that_want_one_name_at_once_one_is_refused(office: PostOffice, receiver: StandIn) -> None:
    ids = [await office.make(**hook(receiver, f"d-{number}")) for number in range(6)]
    changes = [office.destinations.change(id_, {"name": "same"}, "*") for id_ in ids]
    done = await asyncio.gather(*changes, return_exceptions=True)
    refused = [one for one in done if isinstance(one, BaseException)]
    assert len(refused) == 5
    assert {(one.status, one.code) for one in refused if isinstance(one, ProblemError)} == {(409, "name_taken")}


async def test_what_is_shown_may_be_sent_back(office: PostOffice, receiver: StandIn) -> None:
    id_ = await office.make(**{**hook(receiver, headers={"X-Key": "k", "X-B": "b"}), "url": f"{receiver.url}/crm?t=1"})
    view, _ = await office.destinations.change(id_, {}, "*")
    sent_back = {"url": view["url"], "headers": {**view["headers"], "X-C": "c"}, "name": "renamed"}
    await office.destinations.change(id_, sent_back, "*")
    await office.destinations.test(id_)
    asked = receiver.asked[-1]
    assert (asked.path, asked.headers["x-key"], asked.headers["x-b"], asked.headers["x-c"]) == (
        "/crm?t=1", "k", "b", "c",
    )  # fmt: skip
    for change in ({"headers": {"X-D": "***"}}, {"url": f"{receiver.url}/other?***"}):
        with pytest.raises(ProblemError) as caught:
            await office.destinations.change(id_, change, "*")
        assert (caught.value.status, caught.value.code) == (422, "invalid_fields")
    with pytest.raises(ProblemError):
        await office.make(**hook(receiver, "copy", headers=view["headers"]))


async def test_fields_stored_before_they_were_forbidden_end_no_sender(office: PostOffice, receiver: StandIn) -> None:
    old, well = await office.make(kind="mail", name="m", to=["a@b.jp"]), await office.make(**hook(receiver))
    await office.pool.execute(
        "UPDATE handoff.destination SET spec = jsonb_set(spec, '{to}', '[\"山田@b.jp\"]') WHERE id = $1", old
    )
    await office.publish(qualified())
    async with office.sending():
        await office.settled(well, "delivered")
        (attempt,) = await office.until_attempts(old, 1)
    assert "change them by PATCH" in attempt["problem"]
