"""No request to a webhook's address makes the service fail, whatever it holds."""

import gzip
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from shared.clock import system_clock
from tests.conftest import KafkaServer
from tests.integration.ingest.webhook_desk import Desk, running_desk
from tests.unit.ingest.sources.samples import SAMPLES, Sample
from tests.unit.ingest.sources.signing import SIGNERS

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "OPTIONS", "DELETE", "TRACE", "PROPFIND", "x")
QUERIES = (
    "",
    "?from=tool",
    "?hub.mode=subscribe&hub.challenge=%FF%00",
    "?hub.mode=subscribe&hub.challenge=1&hub.verify_token=right-secret-0123456789",
    "?challengeCode=%C0%A0",
    "?challengeCode=890e4665-4dfe-4ab1-b689-ed553bceeed0",
    "?a[b]=%",
    "?" + "a=1&" * 2_000,
    "?secret=right-secret-0123456789",
    "?%",
    "?=&=&&;",
)
TYPES = (
    "application/json",
    "application/json; charset=Shift_JIS",
    "application/x-www-form-urlencoded",
    "application/x-www-form-urlencoded; charset=utf-7",
    "text/xml",
    "multipart/form-data",
    "multipart/form-data; boundary=" + "x" * 300,
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "",
    "\xff/\xfe",
)
NOISE = (
    b"",
    b"{}",
    b"[]",
    b"null",
    b"[[]]",
    b"\x00",
    b'{"a":"\\ud800"}',
    b"<a/>",
    b"[" * 500 + b"]" * 500,
    b'{"a":' * 100 + b"1" + b"}" * 100,
    b"1e999999",
    b"-" * 2_000,
    b"9" * 5_000,
    b"\xef\xbb\xbf{}",
    b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n',
    b'<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;&b;">]><a>&d;</a>',
    b'<?xml version="1.0"?><!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
    b"&".join(b"a[b][c][]=1" for _ in range(2_000)),
    b"events=%5B%7B%7D%5D&mandrill_events=%FF&_charset_=euc-jp",
)
SPLICES = (b"", b"\xff", b"null", b"0", b'"', b"[", b"\\u0000", b"-1", b"1e400", b"{}", b"%00", b"\r\n", b"\xe3\x81")
SECRET = "right-secret-0123456789"


def _as_sent(dice: random.Random, body: bytes) -> bytes:
    return body


def _noise(dice: random.Random, body: bytes) -> bytes:
    return dice.choice((*NOISE, dice.randbytes(40)))


def _spliced(dice: random.Random, body: bytes) -> bytes:
    changed = bytearray(body)
    for _ in range(dice.randrange(1, 4)):
        place = dice.randrange(len(changed) + 1)
        changed[place : place + dice.randrange(3)] = dice.choice(SPLICES)
    return bytes(changed)


def _truncated(dice: random.Random, body: bytes) -> bytes:
    return body[: dice.randrange(len(body) + 1)]


def _encoded(dice: random.Random, body: bytes) -> bytes:
    return body.decode().encode(dice.choice(("utf-16", "utf-32-le", "cp932", "euc_jp", "utf-7")), "replace")


def _squeezed(dice: random.Random, body: bytes) -> bytes:
    return gzip.compress(body)


def _reordered(dice: random.Random, body: bytes) -> bytes:
    try:
        tree = json.loads(body)
    except ValueError:
        return body[::-1]
    items = list(tree.items()) if isinstance(tree, dict) else list(tree) if isinstance(tree, list) else [tree]
    dice.shuffle(items)
    return json.dumps(dict(items) if isinstance(tree, dict) else items).encode()


def _retyped(dice: random.Random, body: bytes) -> bytes:
    """The same shape with values of other types in some places."""

    def change(value: object) -> object:
        if dice.random() < 0.15:
            return dice.choice(
                (None, True, 0, -1, 1e308, 2**70, "", "\x00", "a" * 300, [], {}, [[]], "<script>", "９９")
            )
        if isinstance(value, dict):
            return {name: change(child) for name, child in value.items()}
        return [change(child) for child in value] if isinstance(value, list) else value

    try:
        return json.dumps(change(json.loads(body))).encode()
    except ValueError:
        return body + b"&" + body


CHANGES: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _as_sent,
    _noise,
    _spliced,
    _spliced,
    _retyped,
    _retyped,
    _truncated,
    _encoded,
    _squeezed,
    _reordered,
)


def any_headers(dice: random.Random, sample: Sample, body: bytes) -> list[tuple[bytes, bytes]]:
    """Signed as the tool does, sometimes with another secret, another case, twice, or with noise beside it."""
    secret = sample.other_secret if dice.random() < 0.1 else sample.secret
    signed = SIGNERS[sample.adapter](secret, body, system_clock()) if dice.random() < 0.95 else {}
    content_type = dice.choice((sample.content_type,) * 6 + TYPES)
    pairs = [("content-type", content_type), *signed.items()]
    if dice.random() < 0.2:
        pairs = [(dice.choice((str.upper, str.lower, str.title))(name), value) for name, value in pairs]
    if dice.random() < 0.1:
        pairs.append(dice.choice(pairs))
    headers = [(name.encode(), value.encode("latin-1")) for name, value in pairs]
    if dice.random() < 0.2:
        noise = dice.randbytes(6).translate(None, b"\r\n")
        name = dice.choice([*signed, "webhook-id", "x-request-id", "content-encoding", "traceparent", "host"])
        headers.append((name.encode(), noise))
    return headers


def any_path(dice: random.Random, sample: Sample) -> str:
    """Mostly the sample's source; sometimes another one, or none there is."""
    if dice.random() < 0.95:
        return sample.adapter
    return dice.choice(
        (dice.choice(SAMPLES).adapter, quote(dice.randbytes(6)), "..", "%00", "a" * 3_000, "a/b", "%2e%2e")
    )


async def send_any(desk: Desk, dice: random.Random) -> int:
    """One request; its status, which is never one of failure."""
    sample = dice.choice(SAMPLES)
    body = dice.choice(CHANGES)(dice, sample.bytes_of("body"))
    headers = any_headers(dice, sample, body)
    path = f"/v1/webhooks/{any_path(dice, sample)}{dice.choice(QUERIES)}"
    method = dice.choice(("POST",) * 10 + METHODS)
    answer = await desk.client.request(method, path, headers=headers, content=body)
    assert answer.status_code < 500, (method, path, headers, body, answer.text)
    if answer.status_code >= 400 and method != "HEAD" and not answer.text.startswith("verify token"):
        assert SECRET not in answer.text
    return answer.status_code


@pytest.fixture
async def desk(tmp_path: Path, kafka_server: KafkaServer) -> AsyncIterator[Desk]:
    async with running_desk(tmp_path, kafka_server.bootstrap_servers) as running:
        yield running


async def run(desk: Desk, cases: int, seed: int) -> Counter[int]:
    print("seed", seed)
    dice = random.Random(seed)
    return Counter([await send_any(desk, dice) for _ in range(cases)])


async def test_no_request_fails(desk: Desk) -> None:
    assert {200, 202, 401} <= set(await run(desk, 250, seed=1))


@pytest.mark.long
@pytest.mark.timeout(1_800)
async def test_no_request_of_ten_thousand_fails(desk: Desk) -> None:
    statuses = await run(desk, 10_000, random.SystemRandom().randrange(1_000_000))
    print(sorted(statuses.items()))
    assert {200, 202, 400, 401, 403, 404, 405, 415} <= set(statuses)
