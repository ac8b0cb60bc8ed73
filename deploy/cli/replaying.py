"""Replaying dead letters.

How far each dead-letter topic was replayed stands in Kafka, as the position of a consumer group of its own: every
operator sees it, and a second replay sends nothing twice.
"""

import os
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy.cli.common import StackAddresses
from deploy.cli.rejected_webhooks import poster, reread, whole_requests
from services.ingest.sources.file import load_webhooks
from shared.errors import KizashiError
from shared.kafka.client import client_options
from shared.kafka.dead_letter import Letter, letters_of
from shared.kafka.reading import reading
from shared.kafka.records import Record
from shared.settings import KafkaSettings
from shared.topics import ALL, REJECTED_WEBHOOKS

GROUP = "kizashi-dead-letters"
COMPACTED = frozenset(topic.name for topic in ALL if topic.compacted)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of one dead letter."""

    place: str
    result: str
    sent: bool
    failed: bool = False

    def to_json(self) -> dict[str, Any]:
        """As printed with --json."""
        return asdict(self)


async def replay_topic(
    stack: StackAddresses, topic: str, *, only: Collection[str], again: bool, dry_run: bool
) -> list[Replayed]:
    """Replay the letters of one topic: those in `only`, or all that were not replayed before (all with `again`).

    Raises KizashiError for a place in `only` that does not exist; KafkaError.
    """
    wanted = {place for place in only if place.startswith(f"{topic}/")}
    records, done = await _records(stack.settings.kafka, topic)
    letters = letters_of(records)
    if missing := wanted - {letter.place for letter in letters}:
        raise KizashiError(f"there is no record {', '.join(sorted(missing))}")
    if topic == REJECTED_WEBHOOKS.name:
        return _reread(stack, letters, wanted, dry_run)
    fresh = [
        letter for letter in letters if letter.place in wanted or (not wanted and (again or not _done(letter, done)))
    ]
    return await _send_back(stack.settings.kafka, topic, fresh, dry_run, keep=not wanted)


def _done(letter: Letter, positions: dict[TopicPartition, int]) -> bool:
    return bool(letter.raw.offset < positions[TopicPartition(letter.raw.topic, letter.raw.partition)])


async def _records(kafka: KafkaSettings, topic: str) -> tuple[list[Any], dict[TopicPartition, int]]:
    """All records of a topic, and how far it was replayed."""
    async with reading(kafka, topic) as opened:
        records = [raw async for found in opened.until_end() for raw in found]
        partitions = list(opened.end)
    async with _group_member(kafka) as member:
        return records, {tp: await member.committed(tp) or 0 for tp in partitions}


@asynccontextmanager
async def _group_member(kafka: KafkaSettings) -> AsyncIterator[AIOKafkaConsumer]:
    """Reads and commits the group's positions, without subscribing to anything."""
    member = AIOKafkaConsumer(**client_options(kafka), group_id=GROUP, enable_auto_commit=False)
    await member.start()
    try:
        yield member
    finally:
        await member.stop()


async def _send_back(
    kafka: KafkaSettings, topic: str, letters: Sequence[Letter], dry_run: bool, keep: bool
) -> list[Replayed]:
    """Send letters to where they came from; with `keep` the next replay begins after them."""
    late = await _superseded(kafka, letters)
    if dry_run or not letters:
        return [_told(letter, late, "would go to") for letter in letters]
    producer = AIOKafkaProducer(**client_options(kafka), acks="all", enable_idempotence=True)
    await producer.start()
    try:
        for letter in letters:
            if letter.place in late:
                continue
            raw = letter.raw
            # To the partition it came from, so that a lead's records stay in one.
            await producer.send_and_wait(
                letter.origin_topic,
                raw.value,
                key=raw.key,
                partition=letter.origin_partition,
                headers=letter.original_headers,
            )
    finally:
        await producer.stop()
    if keep:
        positions: dict[TopicPartition, int] = {}
        for letter in letters:
            positions[TopicPartition(topic, letter.raw.partition)] = letter.raw.offset + 1
        async with _group_member(kafka) as member:
            member.assign(list(positions))
            await member.commit(positions)
    return [_told(letter, late, "sent to") for letter in letters]


def _told(letter: Letter, late: Collection[str], verb: str) -> Replayed:
    if letter.place in late:
        return Replayed(letter.place, f"left: {letter.origin_topic} has a later record of its key", False)
    return Replayed(letter.place, f"{verb} {letter.origin_topic}", True)


async def _superseded(kafka: KafkaSettings, letters: Sequence[Letter]) -> set[str]:
    """Places of letters whose key has a later record, or a tombstone, on a compacted topic: the last record there is
    what holds, and one that was erased must not come back.
    """
    late: set[str] = set()
    for topic in sorted({letter.origin_topic for letter in letters} & COMPACTED):
        concerned = [letter for letter in letters if letter.origin_topic == topic]
        async with reading(kafka, topic) as opened:
            for tp, begin in opened.begin.items():
                after = [letter.origin_offset + 1 for letter in concerned if letter.origin_partition == tp.partition]
                opened.seek({tp: max(begin, min(after, default=opened.end[tp]))})
            last = {(raw.partition, raw.key): raw.offset async for found in opened.until_end() for raw in found}
        late |= {
            letter.place
            for letter in concerned
            if last.get((letter.origin_partition, letter.raw.key), -1) > letter.origin_offset
        }
    return late


def _reread(stack: StackAddresses, letters: Sequence[Letter], wanted: set[str], dry_run: bool) -> list[Replayed]:
    """Kept requests are read again each time: one that only the next change makes clear must not be passed by."""
    sources = load_webhooks(stack.config_dir, os.environ, stack.settings.region)
    post = (lambda _: None) if dry_run else poster(stack.url("ingest"), stack.cli_key)
    done = []
    for request in whole_requests(Record.of(letter.raw) for letter in letters):
        places = [f"{part.topic}/{part.partition}/{part.offset}" for part in request]
        if wanted and not wanted & set(places):
            continue
        result = reread(request, sources, post)
        posted = f"{len(result.ids)} activities {'understood' if dry_run else 'posted'}"
        text = "; ".join(filter(None, [posted, result.refused]))
        done.append(Replayed(places[0], text, bool(result.ids), failed=not result.done))
    return done
