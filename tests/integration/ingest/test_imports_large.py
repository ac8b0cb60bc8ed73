"""A hundred thousand cards: in a minute, without memory that grows with them, and a second time nothing new."""

import asyncio
import time
from pathlib import Path

import httpx2
import orjson
import psutil
import pytest

from deploy.bench.cases.cards import card_list
from tests.conftest import KafkaServer
from tests.integration.ingest.process import running_ingest

PATH = "/v1/imports/business-cards"
COUNT, SMALL = 100_000, 5_000
GROWTH_BYTES = 48 * 1_048_576
"""Two entries a record in the table of what was seen take a quarter of it; what is on its way to Kafka the rest."""


@pytest.mark.long
async def test_a_hundred_thousand_cards(topics: KafkaServer, tmp_path: Path) -> None:
    small, large = card_list(SMALL), card_list(COUNT)
    with running_ingest(tmp_path, topics.bootstrap_servers) as ingest:
        process = psutil.Process(ingest.process.pid)
        key = {"Authorization": f"Bearer {ingest.key}"}
        async with httpx2.AsyncClient(base_url=ingest.url, headers=key, timeout=300) as client:

            async def send(data: bytes) -> dict[str, int]:
                async with client.stream("POST", PATH, files={"file": ("cards.csv", data)}) as answer:
                    assert answer.status_code == 202
                    async for line in answer.aiter_lines():
                        last = line
                summary: dict[str, int] = orjson.loads(last)["summary"]
                return summary

            async def watch(seen: list[int]) -> None:
                while True:
                    seen.append(process.memory_info().rss)
                    await asyncio.sleep(0.05)

            await send(small)
            before, sizes = process.memory_info().rss, list[int]()
            watching = asyncio.ensure_future(watch(sizes))
            started = time.monotonic()
            summary = await send(large)
            took = time.monotonic() - started
            watching.cancel()
            assert (summary["records"], summary["accepted"], summary["refused"]) == (COUNT, COUNT, 0)
            grown = max(sizes) - before
            print(f"{COUNT} cards of {len(large)} bytes in {took:.1f} s; {before >> 20} MiB grew by {grown >> 20} MiB")
            assert grown < GROWTH_BYTES
            assert took < 60
