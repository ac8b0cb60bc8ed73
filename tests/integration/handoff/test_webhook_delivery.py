"""Webhooks as a receiver sees them: signed, repeated under one id, and given up in the end."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from standardwebhooks.webhooks import Webhook

from services.handoff.core.retry import SCHEDULE
from services.handoff.delivery_repository import DeliveryRepository
from services.handoff.sending import Sender
from shared.errors import ProblemError
from shared.events import ERASED
from tests.integration.handoff.post_office import PostOffice, open_post_office, qualified, record
from tests.integration.stand_in import (
    Behaviour,
    StandIn,
    answer,
    close,
    cut_off,
    endless,
    hang,
    reset,
    standing_in,
    then_hang,
)
from tests.unit.shared.outgoing.hostile import RESOLVED, urls

SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"
OK = answer(204)
HOSTILE = urls()

Open = Callable[..., Awaitable[PostOffice]]


@pytest.fixture
async def receiver() -> AsyncIterator[StandIn]:
    async with standing_in(OK) as stand_in:
        yield stand_in


@pytest.fixture
async def office(migrated: str, receiver: StandIn, tmp_path: Path) -> AsyncIterator[PostOffice]:
    opened = await open_post_office(migrated, tmp_path, receiver.host)
    yield opened
    await opened.pool.close()


def hook(receiver: StandIn, name: str = "crm", **more: Any) -> dict[str, Any]:
    return {"kind": "webhook", "name": name, "url": f"{receiver.url}/{name}", "secret": SECRET, **more}


async def test_a_lead_arrives_signed_and_once(office: PostOffice, receiver: StandIn) -> None:
    id_ = await office.make(**hook(receiver, headers={"Authorization": "Bearer of-the-crm"}))
    lead = qualified()
    await office.publish(lead)
    await office.publish(qualified(), qualified(2))
    async with office.sending():
        attempts = await office.until_attempts(id_, 2)
    assert await office.states(id_) == ["delivered", "delivered"]
    assert len(receiver.asked) == len({asked.headers["webhook-id"] for asked in receiver.asked}) == 2
    asked = receiver.asked[0]
    said = Webhook(SECRET).verify(asked.body, asked.headers)
    assert (asked.method, asked.headers["content-type"], said["type"]) == (
        "POST",
        "application/json",
        "lead.qualified.v1",
    )
    assert said["data"] == json.loads(lead.value or b"")
    assert said["timestamp"].endswith("Z")
    assert asked.headers["authorization"] == "Bearer of-the-crm"
    kept = attempts[0]
    assert kept["request"]["headers"]["Authorization"] == "***"
    assert kept["response"]["status"] == 204
    assert json.loads(kept["request"]["body"])["data"]["rule"] == "hot"


async def test_a_failure_comes_back_on_schedule_under_the_same_id(office: PostOffice, receiver: StandIn) -> None:
    receiver.plan[:] = [answer(500, b"out of order")]
    id_ = await office.make(**hook(receiver))
    await office.publish(qualified())
    async with office.sending():
        for number, wait in enumerate(SCHEDULE, 1):
            await office.pass_time(wait)
            attempts = await office.until_attempts(id_, number)
        await office.settled(id_, "failed")
    assert [attempt["number"] for attempt in attempts] == list(range(1, 11))
    assert {asked.headers["webhook-id"] for asked in receiver.asked} == {f"msg_{attempts[0]['delivery_id'].hex}"}
    assert len(receiver.asked) == 10
    assert (attempts[0]["problem"], attempts[0]["response"]["body"]) == ("answered 500", "out of order")
    stamps = [int(asked.headers["webhook-timestamp"]) for asked in receiver.asked]
    assert stamps == sorted(stamps)
    receiver.plan[:] = [OK]
    async with office.sending():
        await office.destinations.redeliver(attempts[0]["id"])
        office.sender.try_now(id_)
        await office.settled(id_, "delivered")
    assert receiver.asked[-1].headers["webhook-id"] == receiver.asked[0].headers["webhook-id"]


async def test_retry_after_is_obeyed(office: PostOffice, receiver: StandIn) -> None:
    receiver.plan[:] = [answer(429, b"", ("Retry-After", "3600")), OK]
    id_ = await office.make(**hook(receiver))
    await office.publish(qualified())
    async with office.sending():
        await office.until_attempts(id_, 1)
        due = await office.pool.fetchval("SELECT due_at FROM handoff.delivery")
        assert due - office.clock() > timedelta(minutes=59)
        await office.pass_time(timedelta(hours=1))
        await office.settled(id_, "delivered")


@pytest.mark.parametrize(
    ("behaviour", "problem"),
    [
        (answer(301, b"", ("Location", "http://127.0.0.1/secret")), "redirects are not followed"),
        (answer(200, b"short", length=1_000), "RemoteProtocolError"),
        (answer(200, b"longer than said", length=3), None),
        (endless(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n", b"x" * 65_536), None),
        (endless(b"HTTP/1.1 500 No\r\nContent-Length: 104857600\r\n\r\n", b"x" * 65_536), "answered 500"),
        (answer(200, b"\x1f\x8b\x00", ("Content-Encoding", "gzip")), None),
        (answer(200, b"a\x00b\xff"), None),
        (close, "RemoteProtocolError"),
        (reset, "ReadError"),
        (cut_off(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), "ReadError"),
        (cut_off(b"HTTP/1.1 200 OK\r\nContent-Le"), "ReadError"),
        (hang, "no whole answer within"),
        (then_hang(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), "no whole answer within"),
        (endless(b"HTTP/1.1 200 OK\r\n", b"X-Slow: 1\r\n"), None),
        (answer(999, b""), "answered 999"),
    ],
    ids=str,
)
async def test_receivers_that_misbehave(
    migrated: str, tmp_path: Path, behaviour: Behaviour, problem: str | None
) -> None:
    async with standing_in(behaviour) as receiver:
        office = await open_post_office(migrated, tmp_path, receiver.host, delivery_timeout_s=1.0)
        id_ = await office.make(**hook(receiver))
        await office.publish(qualified())
        async with office.sending():
            (attempt, *_) = await office.until_attempts(id_, 1)
        await office.pool.close()
    if problem is None and attempt["problem"] is not None:
        assert attempt["problem"].startswith(("RemoteProtocolError", "no whole answer"))
    else:
        assert (attempt["problem"] is None) == (problem is None)
        assert (problem or "") in (attempt["problem"] or "")
    assert len(json.dumps(attempt["response"])) < 20_000


async def test_410_disables_and_says_so(office: PostOffice, receiver: StandIn) -> None:
    receiver.plan[:] = [answer(410), OK]
    id_ = await office.make(**hook(receiver))
    await office.publish(qualified())
    async with office.sending():
        await office.until_attempts(id_, 1)
        await office.publish(qualified(2))
        ((topic, event),) = await office.outbox()
        assert (topic, event["destination_id"], event["reason"]) == ("lead-lifecycle", str(id_), "gone")
        assert len(receiver.asked) == 1
        assert await office.states(id_) == ["waiting", "waiting"]
        await office.destinations.change(id_, {"state": "active"}, "*")
        await office.pass_time(timedelta(seconds=6))
        await office.settled(id_, "delivered", "delivered")


async def test_both_secrets_sign_while_one_is_replaced(office: PostOffice, receiver: StandIn) -> None:
    id_ = await office.make(**hook(receiver))
    new, _ = await office.destinations.rotate(id_, None, timedelta(hours=1))
    async with office.sending():
        await office.publish(qualified())
        await office.until_attempts(id_, 1)
        asked = receiver.asked[0]
        assert Webhook(SECRET).verify(asked.body, asked.headers)
        assert Webhook(new).verify(asked.body, asked.headers)
        office.ahead += timedelta(hours=1)
        await office.publish(qualified(2))
        await office.until_attempts(id_, 2)
    assert receiver.asked[1].headers["webhook-signature"].count("v1,") == 1


async def test_a_sick_destination_holds_up_nobody(office: PostOffice, receiver: StandIn) -> None:
    receiver.by_path["/sick"] = [hang]
    sick = await office.make(**hook(receiver, "sick"))
    well = await office.make(**hook(receiver, "well"))
    await office.publish(*(qualified(number) for number in range(200)))
    async with office.sending():
        await office.settled(well, *["delivered"] * 200)
    assert await office.attempts(sick) == []
    assert sum(asked.path == "/sick" for asked in receiver.asked) <= office.settings.handoff.delivery_concurrency


async def test_a_destination_that_fails_is_left_in_peace(office: PostOffice, receiver: StandIn) -> None:
    receiver.plan[:] = [answer(500)]
    id_ = await office.make(**hook(receiver))
    await office.publish(*(qualified(number) for number in range(100)))
    async with office.sending():
        await office.until(lambda: _resting(office, id_))
        made = len(await office.attempts(id_))
        assert made < 60
        receiver.plan[:] = [OK]
        for _ in range(3):
            await office.pass_time(timedelta(minutes=10))
        await office.settled(id_, *["delivered"] * 100)


async def _resting(office: PostOffice, id_: Any) -> bool:
    lanes = office.sender._lanes
    return id_ in lanes and not lanes[id_].breaker.allows(office.clock())


async def test_two_senders_send_nothing_twice(office: PostOffice, receiver: StandIn) -> None:
    id_ = await office.make(**hook(receiver))
    await office.publish(*(qualified(number) for number in range(150)))
    other = Sender(office.pool, office.settings, office.channels, office.clock)
    task = asyncio.create_task(other.run())
    async with office.sending():
        await office.settled(id_, *["delivered"] * 150)
    task.cancel()
    await asyncio.wait([task])
    assert len(receiver.asked) == len({asked.headers["webhook-id"] for asked in receiver.asked}) == 150


async def test_what_a_dead_sender_had_in_hand_is_sent_after_its_lease(office: PostOffice, receiver: StandIn) -> None:
    id_ = await office.make(**hook(receiver))
    await office.publish(qualified())
    async with office.pool.acquire() as conn:
        now = office.clock()
        (mine,) = await DeliveryRepository(conn).claim({id_: 5}, now, now + timedelta(seconds=30), id_)
        assert await DeliveryRepository(conn).claim({id_: 5}, now, now + timedelta(seconds=30), id_) == []
    async with office.sending():
        await office.pass_time(timedelta(seconds=31))
        await office.settled(id_, "delivered")
    assert receiver.asked[0].headers["webhook-id"] == mine.parcel.message_id


async def test_no_session_is_held_while_a_receiver_hangs(office: PostOffice, receiver: StandIn) -> None:
    receiver.plan[:] = [hang]
    await office.make(**hook(receiver))
    await office.publish(*(qualified(number) for number in range(30)))
    async with office.sending():
        await office.until(lambda: _asked(receiver, office.settings.handoff.delivery_concurrency))
        held = await office.pool.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in trans%'"
        )
    assert held == 0


async def _asked(receiver: StandIn, count: int) -> bool:
    return len(receiver.asked) >= count


async def test_an_erased_lead_is_forgotten(office: PostOffice, receiver: StandIn) -> None:
    id_ = await office.make(**hook(receiver, events=["*"]))
    await office.publish(qualified(1, lead="kept"), qualified(1, lead="gone"), qualified(1, lead="merged-into-it"))
    ids = {"lead_id": "gone", "lead_ids": ["gone", "merged-into-it"]}
    erased = record("lead-lifecycle", ERASED, "gone:erased", "gone", ids)
    await office.publish(erased)
    async with office.sending():
        await office.settled(id_, "delivered", "delivered")
    types = sorted(json.loads(asked.body)["type"] for asked in receiver.asked)
    assert types == ["lead.erased.v1", "lead.qualified.v1"]


async def test_what_is_no_event_is_passed_over(office: PostOffice, receiver: StandIn) -> None:
    id_ = await office.make(**hook(receiver, events=["*"]))
    broken = record("qualified-leads", "lead.qualified.v1", "x", "x", b"{")
    nameless = qualified(3)
    nameless.headers = []
    await office.publish(broken, nameless, qualified(4))
    assert await office.states(id_) == ["waiting"]


async def test_nothing_that_was_before_a_destination_is_sent_to_it(office: PostOffice, receiver: StandIn) -> None:
    before = qualified(1)
    before.timestamp_ms -= 3_600_000
    id_ = await office.make(**hook(receiver))
    await office.publish(before, qualified(2))
    assert await office.states(id_) == ["waiting"]


async def test_a_deleted_destination_takes_its_deliveries_along(office: PostOffice, receiver: StandIn) -> None:
    receiver.plan[:] = [hang]
    id_ = await office.make(**hook(receiver))
    await office.publish(qualified())
    async with office.sending():
        await receiver.was_asked()
        await office.pool.execute("DELETE FROM handoff.destination WHERE id = $1", id_)
        other = await office.make(**hook(receiver, "other"))
        receiver.plan[:] = [OK]
        await office.publish(qualified(2))
        await office.settled(other, "delivered")
    assert await office.states(id_) == []


async def test_a_hostile_address_is_refused_and_a_test_is_told_of(office: PostOffice, receiver: StandIn) -> None:
    assert len(HOSTILE) >= 200
    refused, sent = set(), {}
    for number, url in enumerate(HOSTILE):
        try:
            sent[await office.make(kind="webhook", name=f"h-{number}", url=url)] = url
        except ProblemError as error:
            refused.add((error.status, error.code))
    assert refused == {(422, "address_refused")}
    # What is left are public names that lead elsewhere: refused when they are connected to.
    assert {urlsplit(url).hostname for url in sent.values()} == RESOLVED.keys()
    assert receiver.asked == []


async def test_a_test_event_is_sent_at_once_and_told_of(office: PostOffice, receiver: StandIn) -> None:
    id_ = await office.make(**hook(receiver))
    told = await office.destinations.test(id_)
    assert (told["outcome"], told["response"]["status"], told["delivery_state"]) == ("delivered", 204, "delivered")
    said = Webhook(SECRET).verify(receiver.asked[0].body, receiver.asked[0].headers)
    assert (said["type"], said["data"]["test"]) == ("handoff.delivery-test.v1", True)
    receiver.plan[:] = [answer(401)]
    told = await office.destinations.test(id_)
    assert (told["outcome"], told["problem"], told["delivery_state"]) == ("failed", "answered 401", "failed")
