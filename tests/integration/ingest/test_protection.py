"""A running ingest under more load than it can serve, among slow clients, and what its log tells of secrets."""

import asyncio
import re
import uuid
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
import orjson
import psutil
import pytest

from deploy.bench.load import post, run_load
from shared.clock import system_clock
from shared.keys import create_key
from tests.conftest import KafkaServer
from tests.integration.ingest.process import IngestProcess, records_of, running_ingest, wait_until

MIB = 1_048_576
SOON_S = 60.0
SLOW = 300


def batches(source: str, count: int, size: int) -> list[bytes]:
    """Bodies of 100 activities each, every id of its own, of about `size` bytes together."""
    filling = "x" * (size // 100)
    return [
        orjson.dumps(
            [
                {"id": f"{number}-{item}", "source": source, "type": "page_viewed", "lead": {"anonymous_id": str(item)},
                 "properties": {"text": filling}}
                for item in range(100)
            ]
        )
        for number in range(count)
    ]  # fmt: skip


async def trickle(url: str, many: AsyncExitStack) -> None:
    """Hundreds of clients that send a body by the byte, and hundreds that say nothing."""
    host, port = url.removeprefix("http://").split(":")
    for number in range(SLOW):
        _, writer = await asyncio.open_connection(host, int(port))
        many.callback(writer.close)
        if number % 2:
            writer.write(b"POST /v1/activities HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n[")


async def overload(ingest: IngestProcess, at_once: int, bodies: list[bytes]) -> Counter[int]:
    """Every body once, `at_once` at a time; refusals are counted and come with Retry-After."""
    statuses: Counter[int] = Counter()
    waiting = list(bodies)

    async def send(client: httpx2.AsyncClient) -> None:
        while waiting:
            answer = await client.post("/v1/activities", content=waiting.pop())
            statuses[answer.status_code] += 1
            if answer.status_code == 202:
                assert len(answer.json()["ids"]) == 100
            else:
                assert "retry-after" in answer.headers, answer.text

    async with ingest.client() as client, AsyncExitStack() as many:
        await trickle(ingest.url, many)
        await asyncio.gather(*(send(client) for _ in range(at_once)))
    return statuses


def test_more_than_it_can_hold(topics: KafkaServer, source: str, tmp_path: Path) -> None:
    """Room for few bytes: refused is refused, accepted is in Kafka, memory stays, and then all is well at once."""
    env = {
        "KIZASHI_INGEST__MAX_PENDING_BYTES": str(MIB),
        "KIZASHI_HTTP__MAX_IN_FLIGHT_BYTES": str(2 * MIB),
        "KIZASHI_RATE__PER_KEY": "100/second",
    }
    with running_ingest(tmp_path, topics.bootstrap_servers, env=env) as ingest:
        process = psutil.Process(ingest.process.pid)
        before = process.memory_info().rss
        statuses = asyncio.run(overload(ingest, 48, batches(source, 160, 200_000)))
        assert set(statuses) <= {202, 429, 503}
        assert statuses[202] > 0
        assert statuses[503] > 0
        assert process.memory_info().rss - before < 200 * MIB
        assert ingest.ready()
        wait_until(lambda: ingest.post([]).status_code == 202, SOON_S)
        found = {dict(record.headers)["ce_id"] for record in records_of(topics.bootstrap_servers, source)}
        assert len(found) >= statuses[202] * 100


@pytest.mark.long
def test_full_speed_among_slow_clients(topics: KafkaServer, source: str, tmp_path: Path) -> None:
    """Those who are fast are served as fast as without the slow ones, whose connections end."""
    with running_ingest(tmp_path, topics.bootstrap_servers, env={"KIZASHI_HTTP__HEADER_TIMEOUT_S": "3"}) as ingest:
        activity = {"source": source, "type": "page_viewed", "lead": {"anonymous_id": "a"}}
        line = f"Authorization: Bearer {ingest.key}"
        one = post(f"{ingest.url}/v1/activities", orjson.dumps(activity), [line])

        async def measure() -> tuple[Counter[int], Counter[int]]:
            alone = await run_load(ingest.url, lambda _: one, connections=64, seconds=5)
            async with AsyncExitStack() as many:
                await trickle(ingest.url, many)
                among = await run_load(ingest.url, lambda _: one, connections=64, seconds=10)
            return alone.statuses, among.statuses

        alone, among = asyncio.run(measure())
        assert set(alone) == set(among) == {202}
        metrics = httpx2.get(f"{ingest.url}/metrics").text
        cut = re.search(r'kizashi_http_cut_off_total\{reason="header_timeout"\} (\S+)', metrics)
        assert cut is not None
        assert float(cut[1]) == SLOW // 2
        # Answers still under way when a run ended are counted by nobody.
        assert len(records_of(topics.bootstrap_servers, source)) >= sum(alone.values()) + sum(among.values())


def guesses(ingest: IngestProcess, count: int) -> list[int]:
    """Statuses of requests without a key that each claim to come from another address."""
    url = f"{ingest.url}/v1/activities"
    return [
        httpx2.post(url, json=[], headers={"X-Forwarded-For": f"198.51.100.{number}"}).status_code
        for number in range(count)
    ]


def test_too_fast_is_told_when_to_come_back(topics: KafkaServer, tmp_path: Path) -> None:
    """Whoever writes a header would choose by it whom to be counted as; so only a trusted proxy is believed."""
    env = {
        "KIZASHI_RATE__PER_KEY": "5/minute",
        "KIZASHI_RATE__FAILURES_PER_ADDRESS": "2/minute",
        "KIZASHI_HTTP__TRUSTED_PROXIES": "192.0.2.1",
    }
    with running_ingest(tmp_path, topics.bootstrap_servers, env=env) as ingest:
        answers = [ingest.post([]) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [202] * 5 + [429]
        assert 0 < int(answers[5].headers["retry-after"]) <= 60
        assert guesses(ingest, 4) == [401, 401, 429, 429]
        other = create_key(ingest.key_store, uuid.uuid4().hex, ["activities:write"], system_clock())
        headers = {**ingest.headers, "Authorization": f"Bearer {other}"}
        assert httpx2.post(f"{ingest.url}/v1/activities", json=[], headers=headers).status_code == 202


@pytest.mark.long
def test_a_trusted_proxy_is_believed(topics: KafkaServer, tmp_path: Path) -> None:
    env = {"KIZASHI_RATE__FAILURES_PER_ADDRESS": "2/minute", "KIZASHI_HTTP__TRUSTED_PROXIES": "127.0.0.1"}
    with running_ingest(tmp_path, topics.bootstrap_servers, env=env) as ingest:
        assert guesses(ingest, 4) == [401] * 4
        assert guesses(ingest, 4) == [401] * 4
        assert guesses(ingest, 1) == [429]


PLANTED = {
    name: f"planted-{name}-{uuid.uuid4().hex}" for name in ("identity", "hook", "query", "header", "name", "body")
}


def test_no_secret_and_no_person_stands_in_the_log(topics: KafkaServer, tmp_path: Path) -> None:
    """At the most talkative level, after requests that are taken, refused, broken and aimed at nothing."""
    config = tmp_path / "config"
    config.mkdir()
    sources = '{"webhooks": {"hook": {"adapter": "mautic", "secrets": ["${HOOK_SECRET}"]}}}'
    (config / "sources.yaml").write_text(sources)
    env = {
        "HOOK_SECRET": PLANTED["hook"],
        "KIZASHI_IDENTITY_SECRET": PLANTED["identity"],
        "KIZASHI_LOG_LEVEL": "DEBUG",
    }
    with running_ingest(tmp_path, topics.bootstrap_servers, config=config, env=env) as ingest:
        mail = f"{PLANTED['name']}@example.co.jp"
        activity = {"type": "page_viewed", "lead": {"email": mail}, "attributes": {"name": PLANTED["name"]}}
        assert ingest.post(activity).status_code == 202
        assert ingest.post({**activity, "typo": PLANTED["body"]}).status_code == 422
        wrong = {**ingest.headers, "Authorization": f"Bearer {PLANTED['header']}", "Cookie": PLANTED["header"]}
        for path in ("/v1/activities", "/v1/webhooks/hook", f"/{PLANTED['query']}", "/v1/webhooks/none"):
            url = f"{ingest.url}{path}?secret={PLANTED['hook']}&email={mail}&q={PLANTED['query']}"
            for method in ("GET", "POST", "DELETE"):
                answer = httpx2.request(method, url, headers=wrong, content=PLANTED["body"])
                assert PLANTED["hook"] not in answer.text
                assert 400 <= answer.status_code < 500
        broken = httpx2.post(f"{ingest.url}/v1/activities", content=f'{{"a": {PLANTED["body"]}', headers=ingest.headers)
        assert broken.status_code == 400
        ingest.end()
        log = (tmp_path / "ingest.log").read_text()
    assert "request_refused" in log
    for secret in (*PLANTED.values(), ingest.key, ingest.key.split("_", 2)[2]):
        assert secret not in log
    assert "@example.co.jp" not in log
