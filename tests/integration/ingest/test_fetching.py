"""Tools that send ids alone are asked for the person, on a real Kafka and from an API that often fails."""

import asyncio
import json as json_text
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from services.ingest.sources.fetchers import FETCHERS
from shared.clock import system_clock
from shared.codec import encode
from shared.errors import ConfigError
from shared.topics import LEAD_ACTIVITIES, dead_letter_topic
from tests.conftest import KafkaServer
from tests.integration.ingest.webhook_desk import PUBLIC, Desk, Record, running_desk
from tests.integration.stand_in import StandIn, answer, close, endless, hang, json, standing_in
from tests.unit.ingest.sources.samples import SAMPLES
from tests.unit.ingest.sources.signing import delivered
from tests.unit.ingest.sources.test_fetching import ANSWERS

DEADLINE_S = 60.0
TOKEN = "token-of-the-api"
PATHS = {"hubspot": "/crm/", "meta": "/v24.0/", "linkedin": "/rest/", "eventbrite": "/v3/"}
DEAD = dead_letter_topic(LEAD_ACTIVITIES.name)


class Office:
    """A running service whose sources may ask the stand-in; the names of its sources are its own."""

    def __init__(self, desk: Desk, tools: StandIn, mark: str) -> None:
        self.desk = desk
        self.tools = tools
        self.mark = mark

    def source(self, adapter: str) -> str:
        return f"{adapter}-{self.mark}"

    async def deliver(self, adapter: str, body: bytes | None = None) -> dict[str, Any]:
        """Send the sample's first item, or `body`, as the tool does; it must be taken. Returns its activity."""
        sample = next(sample for sample in SAMPLES if sample.adapter == adapter)
        told = sample.told["body"]
        first = encode(told[:1] if isinstance(told, list) else told)
        delivery = delivered(adapter, sample.secret, body or first, sample.content_type, system_clock())
        path = f"/v1/webhooks/{self.source(adapter)}?from=tool"
        async with asyncio.timeout(DEADLINE_S):
            taken = await self.desk.client.post(path, headers=list(delivery.headers), content=delivery.body)
        assert taken.status_code in (200, 202), taken.text
        value: dict[str, Any] = json_text.loads((await self.records(adapter, LEAD_ACTIVITIES.name, kind=None))[0].value)
        return value

    async def records(self, adapter: str, topic: str, kind: str | None = "fetched", count: int = 1) -> list[Record]:
        """Records of a source; with `kind`, those of that kind alone."""
        source = self.source(adapter).encode()

        def wanted(record: Record) -> bool:
            if record.headers.get("ce_source") != source:
                return False
            return kind is None or json_text.loads(record.value)["properties"]["kind"] == kind

        return await self.desk.records(topic, wanted, count)

    async def completed(self, adapter: str) -> dict[str, Any]:
        """The activity that completes the source's own."""
        value: dict[str, Any] = json_text.loads((await self.records(adapter, LEAD_ACTIVITIES.name))[0].value)
        return value

    async def outcome(self, adapter: str, expected: str) -> int:
        """How many questions ended so, once there is one."""
        until = time.monotonic() + DEADLINE_S
        while True:
            items = (await self.desk.get("/v1/sources?limit=1000"))["items"]
            fetched = next(item for item in items if item["name"] == self.source(adapter))["fetched"]
            if expected in fetched:
                return int(fetched[expected])
            assert time.monotonic() < until, fetched
            await asyncio.sleep(0.05)


def sources(tools: StandIn, mark: str) -> bytes:
    """Every tool that can be asked, with the stand-in as its API."""
    told = {sample.adapter: sample for sample in SAMPLES}
    access = {"token": TOKEN, "api": tools.url, "calls_per_minute": 60_000}
    webhooks = {
        f"{name}-{mark}": {
            "adapter": name,
            "secrets": [told[name].secret],
            "public_url": PUBLIC,
            "system": name,
            "fetch": access,
        }
        for name in FETCHERS
    }
    return encode({"webhooks": webhooks})


@asynccontextmanager
async def office(
    folder: Path, kafka: KafkaServer, tools: StandIn, mark: str | None = None, give_up_s: float = 60.0
) -> AsyncIterator[Office]:
    mark = mark or uuid.uuid4().hex[:8]
    more = {"INGEST__FETCH_GIVE_UP_S": str(give_up_s), "OUTGOING__ALLOW": tools.host}
    async with running_desk(folder, kafka.bootstrap_servers, sources(tools, mark), **more) as desk:
        yield Office(desk, tools, mark)


async def test_every_tool_is_asked_and_the_answer_completes_the_lead(tmp_path: Path, kafka_server: KafkaServer) -> None:
    async with standing_in(answer(404)) as tools, office(tmp_path, kafka_server, tools) as open_:
        for adapter, start in PATHS.items():
            # Failures that pass by themselves come first.
            tools.by_path[start] = [answer(500), close, answer(429, b"", ("Retry-After", "1")), json(ANSWERS[adapter])]
        first = {adapter: await open_.deliver(adapter) for adapter in PATHS}
        for adapter, start in PATHS.items():
            second = await open_.completed(adapter)
            assert second["lead"]["email"] == "taro.yamada@example.co.jp"
            assert second["lead"]["external_ids"].items() >= first[adapter]["lead"]["external_ids"].items()
            # HubSpot's answer is the contact itself, whichever event led to it.
            completes = None if adapter == "hubspot" else first[adapter]["id"]
            assert second["properties"].get("completes") == completes
            asked = [asked for asked in tools.asked if asked.path.startswith(start)]
            assert len(asked) >= 4
            assert {one.headers["authorization"] for one in asked} == {f"Bearer {TOKEN}"}
            assert TOKEN not in json_text.dumps([first[adapter], second])
            assert await open_.outcome(adapter, "completed") >= 1


async def test_events_of_one_contact_are_one_question(tmp_path: Path, kafka_server: KafkaServer) -> None:
    event = next(sample for sample in SAMPLES if sample.adapter == "hubspot").told["body"][0]
    body = encode([{**event, "eventId": number} for number in range(50)])
    async with standing_in(json(ANSWERS["hubspot"])) as tools, office(tmp_path, kafka_server, tools) as open_:
        await open_.deliver("hubspot", body)
        await open_.completed("hubspot")
        assert len(tools.asked) < 10


async def test_no_delivery_waits_for_a_tool_that_hangs(tmp_path: Path, kafka_server: KafkaServer) -> None:
    mark = uuid.uuid4().hex[:8]
    async with standing_in(hang) as tools, office(tmp_path, kafka_server, tools, mark) as open_:
        await open_.deliver("meta")
        await tools.was_asked()
        assert (await open_.deliver("linkedin"))["type"] == "ad_lead_submitted"
    # The process has ended in the middle of its question: the next one asks it again.
    async with standing_in(json(ANSWERS["meta"])) as tools:
        tools.by_path[PATHS["linkedin"]] = [json(ANSWERS["linkedin"])]
        async with office(tmp_path, kafka_server, tools, mark) as open_:
            for adapter in ("meta", "linkedin"):
                assert (await open_.completed(adapter))["lead"]["email"] == "taro.yamada@example.co.jp"


async def test_what_cannot_be_had_becomes_a_dead_letter_and_is_asked_for_again(
    tmp_path: Path, kafka_server: KafkaServer
) -> None:
    async with standing_in(answer(401), json(ANSWERS["meta"])) as tools, office(tmp_path, kafka_server, tools) as open_:
        first = await open_.deliver("meta")
        (dead,) = await open_.records("meta", DEAD, kind=None)
        assert json_text.loads(dead.value) == first
        assert dead.headers["dlq_reason"] == b"fetch: the tool answered 401"
        assert (dead.headers["dlq_topic"], await open_.outcome("meta", "failed")) == (b"lead-activities", 1)
        await _replay(kafka_server, dead)
        assert (await open_.completed("meta"))["lead"]["email"] == "taro.yamada@example.co.jp"


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        (answer(500), "the tool answered 500"),
        (close, "unanswered"),
        (answer(403), "the tool answered 403"),
        (answer(200, b"<html>"), "the answer is no JSON"),
        (answer(200, b'{"a":', length=3_000), "unanswered"),
        (json([1, 2]), "the item is not an object"),
        (endless(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n", b" " * 65_536), "refused: the answer is"),
    ],
    ids=["fails", "closes", "forbids", "no JSON", "lies about length", "another shape", "100 MB"],
)
async def test_failures_leave_the_activity_as_it_is(
    tmp_path: Path, kafka_server: KafkaServer, plan: Any, reason: str
) -> None:
    async with standing_in(plan) as tools, office(tmp_path, kafka_server, tools, give_up_s=0.1) as open_:
        first = await open_.deliver("meta")
        (dead,) = await open_.records("meta", DEAD, kind=None)
        assert dead.headers["dlq_reason"].decode().startswith(f"fetch: {reason}")
        assert json_text.loads(dead.value) == first


async def test_redirects_lead_nowhere(tmp_path: Path, kafka_server: KafkaServer) -> None:
    async with standing_in(json(ANSWERS["meta"])) as inner, standing_in(answer(404)) as tools:
        tools.plan = [answer(302, b"", ("Location", inner.url))]
        async with office(tmp_path, kafka_server, tools) as open_:
            await open_.deliver("meta")
            (dead,) = await open_.records("meta", DEAD, kind=None)
    assert (dead.headers["dlq_reason"], inner.asked) == (b"fetch: the tool answered 302", [])


async def test_what_is_gone_is_let_go(tmp_path: Path, kafka_server: KafkaServer) -> None:
    async with standing_in(answer(404)) as tools, office(tmp_path, kafka_server, tools) as open_:
        await open_.deliver("meta")
        assert await open_.outcome("meta", "gone") == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://www.eventbriteapi.com/v3/events/1/attendees/2/",
        "https://www.eventbriteapi.com@127.0.0.1:{port}/v3/events/1/attendees/2/",
        "https://www.eventbriteapi.com.attacker.example.com/v3/events/1/attendees/2/",
        "https://www.eventbriteapi.com:{port}/v3/events/1/attendees/2/",
        "http://127.0.0.1:{port}/v3/events/1/attendees/2/",
        "https://[::ffff:127.0.0.1]:{port}/v3/events/1/attendees/2/",
        "https://www.eventbriteapi.com/v3/events/1/attendees/2/../../../users/me/",
        "https://www.eventbriteapi.com/v3/events/1/attendees/2/?token=x",
        "https://www.eventbriteapi.com\\@127.0.0.1:{port}/v3/events/1/attendees/2/",
        "file:///v3/events/1/attendees/2/",
        "//127.0.0.1:{port}/v3/events/1/attendees/2/",
    ],
)
async def test_hostile_addresses_are_refused_and_never_asked(
    tmp_path: Path, kafka_server: KafkaServer, url: str
) -> None:
    async with standing_in(json(ANSWERS["eventbrite"])) as tools, office(tmp_path, kafka_server, tools) as open_:
        good = {"config": {"action": "attendee.checked_in"}, "api_url": "https://www.eventbriteapi.com/v3/orders/9/"}
        bad = {**good, "api_url": url.format(port=tools.port)}
        first = await open_.deliver("eventbrite", encode([bad, good]))
        assert first["lead"]["external_ids"] == {"eventbrite": "order-9"}
        await open_.outcome("eventbrite", "failed")  # the stand-in's answer is about an attendee
        assert [asked.path for asked in tools.asked] == ["/v3/orders/9/"]


async def test_an_api_that_may_not_be_called_stops_the_start(tmp_path: Path, kafka_server: KafkaServer) -> None:
    async with standing_in(answer(404)) as tools:
        with pytest.raises(ConfigError, match="fetch/api"):
            async with running_desk(tmp_path, kafka_server.bootstrap_servers, sources(tools, "x")):
                pass


async def _replay(kafka: KafkaServer, dead: Record) -> None:
    """Put a dead letter back where it came from, as `kizashi dead-letters replay` does."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers)
    await producer.start()
    kept = [(name, value) for name, value in dead.headers.items() if not name.startswith("dlq_")]
    await producer.send_and_wait(LEAD_ACTIVITIES.name, dead.value, key=dead.key.encode(), headers=kept)
    await producer.stop()
