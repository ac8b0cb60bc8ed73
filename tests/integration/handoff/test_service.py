"""The whole service on a real Kafka and PostgreSQL: one record a cycle whatever is killed, and the API of sales."""

import asyncio
import os
import random
import signal
import uuid
from collections import defaultdict
from typing import Any

import asyncpg
import httpx2
import orjson
import pytest

from tests.conftest import PostgresServer
from tests.integration.handoff.service import Stack
from tests.oracle.crossing import Seen, raises
from tests.unit.handoff.builders import body

SCORES = [None, 10.0, 44.99, 45.0, 49.0, 50.0, 70.0]


def histories(seed: int, leads: int) -> dict[str, list[Seen]]:
    """Random scores over 90 days; lead ids that no other test uses."""
    dice = random.Random(seed)
    return {
        str(uuid.uuid4()): [Seen(dice.choice(SCORES), at + dice.random()) for at in range(0, 90, 6)]
        for _ in range(leads)
    }


def records_of(history: dict[str, list[Seen]], seed: int) -> list[tuple[str, bytes]]:
    """All states, each lead's in order, some of them twice."""
    dice = random.Random(seed)
    queues = {
        lead: [
            orjson.dumps(body(seen.score, seen.day, lead_id=lead, version=number))
            for number, seen in enumerate(all_, 1)
        ]
        for lead, all_ in history.items()
    }
    order = [lead for lead, values in queues.items() for _ in values]
    dice.shuffle(order)
    made = []
    for lead in order:
        value = queues[lead].pop(0)
        made += [(lead, value)] * (2 if dice.random() < 0.1 else 1)
    return made


async def assert_exact(stack: Stack, history: dict[str, list[Seen]]) -> None:
    found: dict[str, list[int]] = defaultdict(list)
    for record in await stack.read("qualified-leads", history):
        found[record["key"]].append(record["value"]["cycle"])
    for lead, seen in history.items():
        cycles = raises(seen, enter=50, leave=45, cooldown=30, open_for=31)
        assert found[lead] == list(range(1, len(cycles) + 1)), lead


async def test_kill_9_of_consumers_at_any_point_gives_one_record_a_cycle(stack: Stack) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    dice = random.Random(seed)
    history = histories(seed, 150)
    records = records_of(history, seed)
    stack.start()
    await stack.ready()
    running = [stack.processes[0], stack.start()]
    step = len(records) // 8
    for number in range(0, len(records), step):
        await stack.write(records[number : number + step])
        await asyncio.sleep(dice.random() * 0.3)
        victim = running.pop(dice.randrange(len(running)))
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
        running.append(stack.start())
    await stack.drained()
    await assert_exact(stack, history)


async def test_postgres_killed_under_the_service(stack: Stack, postgres_server: PostgresServer) -> None:
    history = histories(7, 60)
    records = records_of(history, 7)
    stack.start()
    await stack.ready()
    for number in range(0, len(records), len(records) // 3):
        await stack.write(records[number : number + len(records) // 3])
        pid = postgres_server.process.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await _until_postgres_answers(stack)
    await stack.drained()
    await assert_exact(stack, history)
    await stack.ready()


async def _until_postgres_answers(stack: Stack) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                conn = await asyncpg.connect(stack.database)
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.1)
            else:
                await conn.close()
                return


@pytest.fixture
async def handed_over(stack: Stack) -> dict[str, Any]:
    """A running service with one qualified lead; the event."""
    stack.start()
    await stack.ready()
    lead = str(uuid.uuid4())
    await stack.write([(lead, orjson.dumps(body(52, 1, lead_id=lead)))])
    await stack.drained()
    (record,) = await stack.read("qualified-leads", {lead: None})
    assert record["headers"]["ce_type"] == b"lead.qualified.v1"
    assert record["headers"]["ce_id"] == f"{lead}:hot:1".encode()
    found: dict[str, Any] = record["value"]
    return found


async def test_the_protocol_of_a_handoff(stack: Stack, handed_over: dict[str, Any]) -> None:
    path = f"/v1/handoffs/{handed_over['handoff']['id']}"
    shown = stack.request("GET", path, "reader").json()
    assert (shown["state"], shown["cycle"], shown["lead_id"]) == ("qualified", 1, handed_over["lead"]["id"])
    assert set(shown) >= {"rule", "queue", "owner", "mode", "crossed_at", "handed_over_at", "respond_by", "history"}

    def answer(body: Any, key: str | None = "writer") -> tuple[int, Any]:
        response = stack.request("POST", f"{path}/outcome", key, body)
        return response.status_code, response.json()

    assert answer({"outcome": "accepted"}, None)[0] == 401
    assert answer({"outcome": "accepted"}, "reader")[0] == 403
    assert answer({"outcome": "won"})[0] == 422
    status, problem = answer({"outcome": "rejected"})
    assert (status, problem["errors"][0]["pointer"]) == (422, "/reason")
    assert answer({"outcome": "accepted", "at": "yesterday"})[0] == 422
    status, problem = answer({"outcome": "lost"})
    assert (status, problem["code"]) == (409, "illegal_step")
    assert answer({"outcome": "accepted", "by": "sato", "at": "2026-11-20T10:00:00+09:00"})[1]["state"] == "accepted"
    again, unchanged = answer({"outcome": "accepted", "by": "other"})
    assert (again, len(unchanged["history"])) == (200, 2)
    assert unchanged["history"][1]["by"] == "sato"
    assert (
        answer({"outcome": "recycled", "reason": "予算なし", "until": "2027-01-01T00:00:00Z"})[1]["state"] == "recycled"
    )
    assert answer({"outcome": "converted"})[0] == 409
    unknown = stack.request("POST", f"/v1/handoffs/{uuid.uuid4()}/outcome", "writer", {"outcome": "accepted"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "handoff_not_found")
    assert stack.request("GET", "/v1/handoffs/x", "reader").status_code == 404
    await stack.drained()
    outcomes = await stack.read("handoff-outcomes", {shown["lead_id"]: None})
    assert [(item["value"]["outcome"], item["value"]["by"]) for item in outcomes] == [
        ("accepted", "sato"),
        ("recycled", "writer"),
    ]


async def test_concurrent_answers_are_one_step(stack: Stack, handed_over: dict[str, Any]) -> None:
    path = f"/v1/handoffs/{handed_over['handoff']['id']}/outcome"
    bodies = [{"outcome": "accepted"}] * 6 + [{"outcome": "rejected", "reason": "no"}] * 6
    answers = await asyncio.gather(*(asyncio.to_thread(stack.request, "POST", path, "writer", body) for body in bodies))
    assert {answer.status_code for answer in answers} <= {200, 409}
    await stack.drained()
    outcomes = [
        item["value"]["outcome"] for item in await stack.read("handoff-outcomes", {handed_over["lead"]["id"]: 0})
    ]
    assert outcomes in (["accepted"], ["rejected"], ["accepted", "rejected"])


async def test_an_answer_by_topic(stack: Stack, handed_over: dict[str, Any]) -> None:
    handoff = handed_over["handoff"]["id"]
    await stack.write([(handoff, orjson.dumps({"handoff_id": handoff, "outcome": "accepted"}))], "handoff-answers")
    await stack.drained("handoff-answers")
    assert stack.request("GET", f"/v1/handoffs/{handoff}").json()["state"] == "accepted"


async def test_lists_by_state_and_queue_page_by_page(stack: Stack) -> None:
    stack.start()
    await stack.ready()
    leads = [str(uuid.uuid4()) for _ in range(5)]
    await stack.write([(lead, orjson.dumps(body(52, number, lead_id=lead))) for number, lead in enumerate(leads)])
    await stack.drained()
    seen, path = [], "/v1/handoffs?state=qualified&queue=inside-sales&limit=2"
    while path:
        page = stack.request("GET", path, "reader")
        seen += [item["lead_id"] for item in page.json()["items"] if item["lead_id"] in leads]
        following = page.links.get("next", {}).get("url", "")
        path = following[following.index("/v1") :] if following else ""
    assert seen == leads[::-1]
    assert stack.request("GET", "/v1/handoffs?state=accepted", "reader").json() == {"items": []}
    assert stack.request("GET", "/v1/handoffs?state=won", "reader").status_code == 422
    assert stack.request("GET", "/v1/handoffs?after=zz", "reader").status_code == 422


async def test_without_postgres_it_says_so_and_comes_back(stack: Stack) -> None:
    away = stack.database.replace("127.0.0.1", "127.0.0.2")
    there, stack.database = stack.database, away
    process = stack.start()
    await stack.until(lambda: _status(stack, "/healthz") == 200)
    assert _status(stack, "/readyz") == 503
    assert "postgres" in stack.request("GET", "/readyz", None).json()["failing"]
    assert _status(stack, "/v1/handoffs") == 503
    process.kill()
    stack.database = there
    stack.start()
    await stack.ready()
    assert _status(stack, "/v1/handoffs") == 200


def _status(stack: Stack, path: str) -> int:
    try:
        return stack.request("GET", path).status_code
    except httpx2.TransportError:
        return 0


async def test_a_faulty_file_stops_the_start(stack: Stack) -> None:
    stack.write_rules("rules:\n  - {id: hot, enter: 50, to: x, when: {every: FRIDAY, timezone: Asia/Tokyo}}\n")
    process = stack.start()
    assert await asyncio.to_thread(process.wait, 30) == 2
    assert "handoff.yaml:2: rules[0].when.every: expected days and a time" in (stack.folder / "service.log").read_text()
