"""Poison written straight to a topic: kept with its reason, shown, and counted once after it was put right."""

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from deploy.local.stack import Stack
from shared.kafka.partition import partition_for
from tests.conftest import PARTITIONS
from tests.e2e.client import Client, kizashi, wait_for

LETTERS = "lead-activities-dlq"
POISON: dict[str, bytes | None] = {
    "not json": b"{",
    "not utf-8": b'{"type": "\xff"}',
    "another shape": b'["an", "array"]',
    "no identifier": b'{"id": "1", "type": "page_viewed", "lead": {}}',
    "deeply nested": b"[" * 100_000,
    "nul": b'{"id": "1", "type": "page_viewed", "lead": {"email": "a@example.com"}, "properties": {"p": "\\u0000"}}',
    "tombstone": None,
}


def places(client: Client, key: str, topic: str = LETTERS) -> list[str]:
    """Where the dead letters with this record key lie."""
    found = [record for record in client.records(topic) if record.key == key.encode()]
    return [f"{topic}/{record.partition}/{record.offset}" for record in found]


def replay(stack: Stack, *arguments: str, topic: str = LETTERS) -> list[dict[str, Any]]:
    """`kizashi dead-letters replay` of this topic; what it says of each letter."""
    done = kizashi(stack, "dead-letters", "replay", "--topic", topic, "--json", *arguments)
    assert done.returncode == 0, done.stderr
    said: list[dict[str, Any]] = orjson.loads(done.stdout)
    return said


def write(
    stack: Stack,
    key: str,
    value: bytes | None,
    topic: str = "lead-activities",
    headers: Sequence[tuple[str, bytes]] = (),
) -> None:
    """Put a record on a topic past the services."""

    async def run() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=stack.addresses.bootstrap_servers)
        await producer.start()
        try:
            partition = partition_for(key.encode(), PARTITIONS)
            await producer.send_and_wait(topic, value, key=key.encode(), partition=partition, headers=list(headers))
        finally:
            await producer.stop()

    asyncio.run(run())


@pytest.mark.parametrize("what", POISON)
def test_poison_is_kept_whole_and_holds_nothing_up(stack: Stack, client: Client, what: str) -> None:
    key, email = uuid.uuid4().hex, f"{uuid.uuid4().hex}@example.com"
    write(stack, key, POISON[what])
    client.post({"id": key, "type": "seminar_attended", "lead": {"email": email}})
    assert wait_for(lambda: client.lead(email))["score"] == 10

    (letter,) = wait_for(lambda: [value for value in client.records(LETTERS) if value.key == key.encode()])
    told = dict(letter.headers)
    assert letter.value == POISON[what]
    assert told["dlq_topic"] == b"lead-activities"
    assert told["dlq_reason"]


def test_a_letter_is_listed_shown_and_replayed_once(stack: Stack, client: Client) -> None:
    key = uuid.uuid4().hex
    write(stack, key, b'{"half": ')
    (place,) = wait_for(lambda: places(client, key), 60)
    listed = orjson.loads(kizashi(stack, "dead-letters", "list", "--topic", LETTERS, "--json").stdout)
    (letter,) = [one for one in listed if one["place"] == place]
    assert letter["origin"].startswith("lead-activities/")
    assert letter["reason"]
    shown = kizashi(stack, "dead-letters", "show", place)
    assert b'{"half": ' in shown.stdout
    assert b"dlq_reason: " in shown.stdout

    assert place in [one["place"] for one in replay(stack, "--dry-run")]
    assert place in [one["place"] for one in replay(stack)]
    # Still broken, so it becomes a letter once more: that one is replayed next time, the first one is not.
    (second,) = wait_for(lambda: {*places(client, key)} - {place}, 60)
    said = [one["place"] for one in replay(stack, "--dry-run")]
    assert place not in said
    assert second in said
    assert place in [one["place"] for one in replay(stack, "--dry-run", "--again")]


def test_what_is_understood_by_now_counts_once_however_often_it_is_replayed(stack: Stack, client: Client) -> None:
    """A letter of an earlier version of the service, which could not read what this one can."""
    key, email = uuid.uuid4().hex, f"{uuid.uuid4().hex}@example.com"
    now = "2026-11-24T00:00:00Z"
    common = {"source": "test", "occurred_at": now, "received_at": now, "lead": {"email": email}}
    value = orjson.dumps({"id": key, "type": "seminar_attended", **common})
    origin = [("dlq_topic", b"lead-activities"), ("dlq_partition", b"0"), ("dlq_offset", b"0"), ("dlq_reason", b"-")]
    write(stack, key, value, LETTERS, origin)
    assert places(client, key)[0] in [one["place"] for one in replay(stack)]
    assert wait_for(lambda: client.lead(email))["score"] == 10
    replay(stack, "--again")
    client.post({"id": f"{key}-2", "type": "page_viewed", "lead": {"email": email}})
    lead = wait_for(lambda: (found := client.lead(email)) and found["score"] != 10 and found)
    assert (lead["score"], lead["reasons"][0]["count"]) == (10.5, 1)


def test_what_was_replaced_or_erased_since_is_not_brought_back(stack: Stack, client: Client) -> None:
    letters, found = "lead-scores-dlq", dict[str, str]()
    erased, standing = str(uuid.uuid4()), str(uuid.uuid4())
    for _ in range(2):
        write(stack, erased, None, "lead-scores")
    for key, offset in ((erased, b"0"), (standing, b"999999999")):
        partition = str(partition_for(key.encode(), PARTITIONS)).encode()
        origin = {"topic": b"lead-scores", "partition": partition, "offset": offset, "reason": b"-"}
        write(stack, key, b"{", letters, [(f"dlq_{name}", value) for name, value in origin.items()])
        (found[key],) = places(client, key, letters)
    said = {one["place"]: one for one in replay(stack, "--dry-run", topic=letters)}
    assert said[found[standing]]["sent"]
    assert not said[found[erased]]["sent"]
    assert replay(stack, "--only", found[erased], topic=letters) == [said[found[erased]]]
    assert "later record" in said[found[erased]]["result"]
    assert {one.value for one in client.records("lead-scores") if one.key == erased.encode()} == {None}


def test_an_unknown_place_or_topic_is_named(stack: Stack) -> None:
    missing = kizashi(stack, "dead-letters", "show", f"{LETTERS}/0/999999999")
    assert missing.returncode == 1
    assert b"there is no record" in missing.stderr
    assert kizashi(stack, "dead-letters", "list", "--topic", "nothing").returncode == 2
