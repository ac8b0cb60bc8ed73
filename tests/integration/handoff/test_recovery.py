"""A database that was put back takes over what subscribers have seen, and who was erased."""

from types import SimpleNamespace
from typing import Any

import orjson

from services.handoff.recovery import HandoffRecovered, Seen, take_over
from services.handoff.traces import Traces
from shared.events import unpack_headers
from tests.integration.handoff.desk import Desk
from tests.unit.handoff.builders import body

TOPICS = ("qualified-leads", "handoff-outcomes", "qualified-accounts")


async def seen_by(desk: Desk) -> Seen:
    """What subscribers get of what stands in the outbox."""
    seen = Seen()
    rows = await desk.pool.fetch("SELECT topic, key, value, headers FROM handoff.outbox ORDER BY id")
    for topic, key, value, headers in rows:
        if topic in TOPICS:
            seen.take(topic, record(key, value, *unpack_headers(headers)))
    return seen


def record(key: bytes, value: bytes | None, *headers: tuple[str, bytes]) -> Any:
    return SimpleNamespace(key=key, value=value, headers=headers)


def erase(seen: Seen, *ids: str) -> None:
    told = {"lead_id": ids[0], "lead_ids": list(ids)}
    seen.take("lead-lifecycle", record(ids[0].encode(), orjson.dumps(told), ("ce_type", b"lead.erased.v1")))


async def recover(desk: Desk, seen: Seen) -> HandoffRecovered:
    async with desk.pool.acquire() as conn, conn.transaction():
        return await take_over(conn, desk.settings, desk.book, seen, desk.now)


async def lose(desk: Desk) -> None:
    """Put the database back to before anything was judged."""
    tables = "lead, crossing, handoff, history, outbox"
    await desk.pool.execute(f"TRUNCATE {', '.join(f'handoff.{name}' for name in tables.split(', '))}")


async def test_a_cycle_that_stands_twice_on_the_topic_is_taken_over_once(desk: Desk) -> None:
    await desk.states(desk.published("a", 52), desk.published("b", 60))
    seen = await seen_by(desk)
    seen.qualified += seen.qualified
    await lose(desk)
    assert (await recover(desk, seen)).handoffs == 2
    assert await desk.standing() == ["qualified"] * 2
    assert (await recover(desk, seen)).handoffs == 0
    await desk.states(desk.published("a", 55, 2), desk.published("b", 61, 2))
    assert await desk.cycles() == []


async def test_who_was_erased_is_forgotten_before_anything_of_theirs_is_read_again(desk: Desk) -> None:
    await desk.states(desk.published("a", 52), desk.published("b", 60))
    seen = await seen_by(desk)
    await lose(desk)
    erase(seen, "a", "before-a-merge")
    await recover(desk, seen)
    assert dict(await desk.pool.fetch("SELECT lead_id, state FROM handoff.handoff")) == {
        "a": "lapsed",
        "b": "qualified",
    }
    (told,) = await desk.outbox("handoff-outcomes")
    assert (told["lead_id"], told["outcome"], told["reason"]) == ("a", "lapsed", "erased")
    async with desk.pool.acquire() as conn:
        assert await Traces(conn).erased_among(["a", "b", "before-a-merge"]) == {"a", "before-a-merge"}
    await desk.states(("a", orjson.dumps(body(90, 3, lead_id="a", version=7))))
    assert await desk.pool.fetchval("SELECT state FROM handoff.lead WHERE id = 'a'") is None
    assert await desk.cycles() == []


async def test_who_was_erased_and_is_known_from_the_backup_is_forgotten_too(desk: Desk) -> None:
    await desk.states(desk.published("a", 52))
    seen = await seen_by(desk)
    erase(seen, "a")
    await recover(desk, seen)
    assert await desk.standing() == ["lapsed"]
    assert await desk.pool.fetchval("SELECT state FROM handoff.lead WHERE id = 'a'") is None
    before = await desk.outbox("handoff-outcomes")
    await recover(desk, seen)
    assert await desk.outbox("handoff-outcomes") == before
