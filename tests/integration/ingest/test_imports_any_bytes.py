"""No bytes whatever, as a list or as a form, make an import fail: the service answers with 2xx or 4xx."""

import asyncio
import random
from collections import Counter

import httpx2
import pytest

from deploy.bench.cases.cards import card_list
from tests.integration.ingest.process import IngestProcess

PATH = "/v1/imports/business-cards"
ENCODINGS = ("utf-8", "utf-8-sig", "cp932", "utf-16", "utf-16-le", "utf-16-be", "euc_jis_2004", "iso2022_jp", "utf-7")
SPLICES = (
    *(
        b"\x00|\xff|,|\t|;|\x1b$B|\x1b(B|\x1b(I|\x1f|\xef\xbb\xbf|\xff\xfe|\x81|\xe3\x81|?|--b|--b--|a@b;c@d,e@f".split(
            b"|"
        )
    ),
    *(b"", b'"', b'""', b"\r", b"\n", b"\r\n", b"=cmd|' /C calc'!A0", b"0" * 5_000, b"@" * 300, b"9" * 400),
    *(text.encode() for text in ("＊", "令和99年99月99日", "\u202e")),
    "㈱".encode("cp932"),
)
FIELDS = (
    ("source", "expo"),
    ("event", "展示会"),
    ("occurred_at", "R8.11.20"),
    ("consent", "email,phone"),
    ("timezone", "UTC"),
    ("encoding", "utf-16"),
    ("encoding", "iso-2022-jp"),
    ("delimiter", "tab"),
    ("columns", '{"会社名": "memo"}'),
    ("silent", "true"),
    ("language", "ja"),
    ("report_encoding", "cp932"),
    ("timezone", "../.."),
    ("columns", "["),
    ("event", "\x00"),
)


def a_list(dice: random.Random, plain: str) -> bytes:
    """A list that was damaged, or something else altogether."""
    lines = plain.splitlines(keepends=True)
    text = lines[0] + "".join(dice.choices(lines[1:], k=dice.randrange(12)))
    if dice.random() < 0.2:
        text = text.replace(",", dice.choice(("\t", ";", '","', "\x1f", "，")))
    data = bytearray(text.encode(dice.choice(ENCODINGS), "replace"))
    for _ in range(dice.randrange(8)):
        place = dice.randrange(len(data) + 1)
        data[place : place + dice.randrange(4)] = dice.choice(SPLICES)
    if dice.random() < 0.1:
        data = bytearray(dice.randbytes(dice.randrange(300)))
    return bytes(data[: dice.randrange(len(data) + 1)] if dice.random() < 0.2 else data)


def a_form(dice: random.Random, plain: str) -> tuple[str, bytes]:
    """A form around a list, now and then damaged itself."""
    parts = [b'--b\r\nContent-Disposition: form-data; name="file"; filename="c.csv"\r\n\r\n' + a_list(dice, plain)]
    for _ in range(dice.randrange(4)):
        name, value = dice.choice(FIELDS)
        parts.append(f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode())
    parts.append(b'--b\r\nContent-Disposition: form-data; name="dry_run"\r\n\r\ntrue')
    dice.shuffle(parts)
    body = bytearray(b"\r\n".join([*parts, b"--b--\r\n"]))
    if dice.random() < 0.15:
        place = dice.randrange(len(body))
        body[place : place + dice.randrange(9)] = dice.choice(SPLICES)
    content_type = "multipart/form-data; boundary=b"
    if dice.random() < 0.03:
        content_type = dice.choice(
            ("text/csv", "multipart/form-data", "multipart/form-data; boundary=", "\xff", content_type + "x")
        )
    return content_type, bytes(body)


async def run(ingest: IngestProcess, cases: int) -> Counter[int]:
    """Post so many forms; every answer's status."""
    plain, statuses, numbers = card_list(40).decode("cp932"), Counter[int](), iter(range(cases))
    accepts = ("", "application/json", "text/csv", "application/x-ndjson")

    async def work(client: httpx2.AsyncClient) -> None:
        for number in numbers:
            dice = random.Random(number)
            content_type, body = a_form(dice, plain)
            headers = {b"content-type": content_type.encode("latin-1"), b"accept": dice.choice(accepts).encode()}
            answer = await client.post(PATH, content=body, headers=headers)
            assert answer.status_code < 500 or answer.json()["code"] == "unavailable", (number, answer.text)
            statuses[answer.status_code] += 1

    key = {"Authorization": f"Bearer {ingest.key}"}
    async with httpx2.AsyncClient(base_url=ingest.url, headers=key, timeout=60) as client:
        await asyncio.gather(work(client), work(client))
    assert ingest.ready()
    return statuses


async def test_some_hundred_damaged_lists(ingest: IngestProcess) -> None:
    statuses = await run(ingest, 300)
    assert statuses[200] > 100
    assert statuses[422] > 10
    assert statuses[503] == 0


@pytest.mark.long
async def test_ten_thousand_damaged_lists(ingest: IngestProcess) -> None:
    statuses = await run(ingest, 10_000)
    assert sum(statuses.values()) == 10_000
    assert statuses[503] == 0
