"""No request to a webhook's address makes the service fail, whatever it holds."""

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.clock import system_clock
from tests.conftest import KafkaServer
from tests.integration.ingest.webhook_desk import Desk, running_desk
from tests.unit.ingest.sources.samples import SAMPLES, Sample
from tests.unit.ingest.sources.signing import SIGNERS

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "OPTIONS")
QUERIES = (
    "",
    "?from=tool",
    "?hub.mode=subscribe&hub.challenge=%FF%00",
    "?challengeCode=%C0%A0",
    "?a[b]=%",
    "?" + "a=1&" * 2_000,
)
TYPES = ("application/json", "application/x-www-form-urlencoded", "text/xml", "multipart/form-data", "", "\xff/\xfe")


@pytest.fixture
async def desk(tmp_path: Path, kafka_server: KafkaServer) -> AsyncIterator[Desk]:
    async with running_desk(tmp_path, kafka_server.bootstrap_servers) as running:
        yield running


def any_body(dice: random.Random, sample: Sample) -> bytes:
    """Noise, or a sample with a few bytes changed."""
    if dice.random() < 0.3:
        return dice.choice(
            (b"", b"{}", b"[]", b"null", b"[[]]", b"\x00", dice.randbytes(40), b'{"a":"\\ud800"}', b"<a/>")
        )
    body = bytearray(sample.bytes_of("body"))
    for _ in range(dice.randrange(4)):
        place = dice.randrange(len(body))
        body[place : place + dice.randrange(3)] = dice.choice((b"", b"\xff", b"null", b"0", b'"', b"[", b"\\u0000"))
    return bytes(body)


@pytest.mark.parametrize("seed", range(3))
async def test_no_request_fails(desk: Desk, seed: int) -> None:
    dice = random.Random(seed)
    statuses = set()
    for _ in range(700):
        sample = dice.choice(SAMPLES)
        body = any_body(dice, sample)
        content_type = dice.choice((sample.content_type, *TYPES)).encode("latin-1")
        signed = SIGNERS[sample.adapter](sample.secret, body, system_clock())
        headers = [
            (b"content-type", content_type),
            *((name.encode(), value.encode()) for name, value in signed.items()),
        ]
        if dice.random() < 0.2:
            noise = dice.randbytes(6).translate(None, b"\r\n")
            headers.append((dice.choice([*signed, "webhook-id", "x-request-id"]).encode(), noise))
        path = f"/v1/webhooks/{sample.adapter}{dice.choice(QUERIES)}"
        answer = await desk.client.request(dice.choice(METHODS), path, headers=headers, content=body)
        assert answer.status_code < 500, (sample.adapter, body, answer.text)
        statuses.add(answer.status_code)
    assert {200, 202, 401} <= statuses
