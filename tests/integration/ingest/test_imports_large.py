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
FIRST_BYTES, AGAIN_BYTES = 128 * 1_048_576, 48 * 1_048_576
"""What memory may grow by: at first also caches of a fixed size fill, as they do for single activities; then there is
but the table of what was seen, about 200 bytes a record."""


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

            async def measured(data: bytes) -> tuple[dict[str, int], int]:
                before, sizes = process.memory_info().rss, list[int]()
                watching = asyncio.ensure_future(watch(sizes))
                started, busy = time.monotonic(), sum(process.cpu_times()[:2])
                summary = await send(data)
                took, busy = time.monotonic() - started, sum(process.cpu_times()[:2]) - busy
                watching.cancel()
                grown = max(sizes) - before
                print(f"{COUNT} cards: {took:.1f} s, {busy:.1f} s of a core; {before >> 20} MiB grew by {grown >> 20}")
                # Of a core: how long it takes beside other work says nothing about the import.
                assert busy < 60
                return summary, grown

            await send(small)
            first, grown = await measured(large)
            assert (first["records"], first["accepted"], first["refused"]) == (COUNT, COUNT, 0)
            assert grown < FIRST_BYTES
            again, grown = await measured(large)
            assert (again["accepted"], grown < AGAIN_BYTES) == (COUNT, True)
