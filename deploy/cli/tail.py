"""`kizashi tail`: the records of a topic, one JSON object per line."""

import asyncio
import base64
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Annotated, Any

import orjson
import typer
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from deploy.cli.common import DEFAULT_DATA_DIR, DataDir, Json, fail, stack_addresses
from shared.clock import from_micros, to_rfc3339
from shared.errors import KizashiError
from shared.kafka.admin import view_cluster
from shared.kafka.client import client_options
from shared.settings import KafkaSettings

LAST = 10
POLL_MS = 200
QUIET_POLLS = 25
"""So many polls in a row without a record, five seconds, and the end counts as reached: what is left holds no records
(markers of transactions, holes of compaction)."""

app = typer.Typer()
Emit = Callable[[Sequence[dict[str, Any]]], bool]
"""Prints described records; False once enough were printed."""


@app.command()
def tail(
    topic: Annotated[str, typer.Argument(help="The topic's name.")],
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="All records, not only the last.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new records until stopped.")] = False,
    count: Annotated[int | None, typer.Option("--count", "-n", min=1, help="End after so many records.")] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: Json = False,  # noqa: ARG001 - a line is JSON with and without it
) -> None:
    """Print the committed records of a topic: the last 10, all, or on and on."""
    kafka = stack_addresses(data_dir, os.environ).settings.kafka
    printed = 0

    def emit(records: Sequence[dict[str, Any]]) -> bool:
        nonlocal printed
        for record in records:
            if count is not None and printed >= count:
                return False
            sys.stdout.write(orjson.dumps(record).decode() + "\n")
            printed += 1
        sys.stdout.flush()
        return count is None or printed < count

    look_back = min(count or LAST, LAST) if follow else count or LAST
    last = None if from_beginning else look_back
    try:
        asyncio.run(read_topic(kafka, topic, last=last, follow=follow, emit=emit))
    except KafkaError as error:
        raise fail(f"Kafka at {kafka.bootstrap_servers} does not answer: {error}") from None
    except KeyboardInterrupt:
        raise typer.Exit from None
    except BrokenPipeError:
        # The reader has enough; without this the interpreter would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


async def read_topic(kafka: KafkaSettings, topic: str, *, last: int | None, follow: bool, emit: Emit) -> None:
    """Give the records of `topic` to `emit`: the `last` ones or all, then with `follow` those to come.

    Reads committed records, without a consumer group. Raises KizashiError for an unknown topic, KafkaError.
    """
    view = await view_cluster(kafka, [topic])
    if topic not in view.partitions:
        raise KizashiError(f"there is no topic {topic} in Kafka at {kafka.bootstrap_servers}")
    partitions = [TopicPartition(topic, number) for number in range(view.partitions[topic])]
    consumer = AIOKafkaConsumer(
        **client_options(kafka),
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        request_timeout_ms=10_000,
    )
    await consumer.start()
    try:
        consumer.assign(partitions)
        begin = await consumer.beginning_offsets(partitions)
        end = await consumer.end_offsets(partitions)
        more = await _print_last(consumer, begin, end, last, emit) if last else await _print_all(consumer, end, emit)
        while more and follow:
            more = emit(_flatten(await consumer.getmany(timeout_ms=POLL_MS)))
    finally:
        with suppress(KafkaError, asyncio.TimeoutError):
            await asyncio.wait_for(consumer.stop(), 3)


async def _print_all(consumer: AIOKafkaConsumer, end: dict[TopicPartition, int], emit: Emit) -> bool:
    await consumer.seek_to_beginning(*end)
    async for records in _until(consumer, end):
        if not emit(records):
            return False
    return True


async def _print_last(
    consumer: AIOKafkaConsumer,
    begin: dict[TopicPartition, int],
    end: dict[TopicPartition, int],
    last: int,
    emit: Emit,
) -> bool:
    """The last records of all partitions together, by time.

    Offsets may have holes, so a partition that gave fewer than `last` is read again from further back.
    """
    span, found, wanting = last, list[dict[str, Any]](), set(end)
    while wanting:
        start = {tp: max(begin[tp], end[tp] - span) for tp in wanting}
        for tp, at in start.items():
            consumer.seek(tp, at)
        kept = [record for record in found if record["partition"] not in {tp.partition for tp in wanting}]
        found = kept + [record async for records in _until(consumer, end) for record in records]
        counts = Counter(record["partition"] for record in found)
        wanting = {tp for tp in wanting if counts[tp.partition] < last and start[tp] > begin[tp]}
        span *= 10
    found.sort(key=lambda record: (record["timestamp"], record["partition"], record["offset"]))
    return emit(found[-last:])


async def _until(consumer: AIOKafkaConsumer, end: dict[TopicPartition, int]) -> Any:
    """Lists of described records up to `end`; what arrives beyond it meanwhile is left for later."""
    quiet = 0
    while quiet < QUIET_POLLS:
        behind = [tp for tp in end if await consumer.position(tp) < end[tp]]
        if not behind:
            break
        records = _flatten(await consumer.getmany(*behind, timeout_ms=POLL_MS))
        quiet = 0 if records else quiet + 1
        yield [
            record for record in records if record["offset"] < end[TopicPartition(record["topic"], record["partition"])]
        ]
    for tp, at in end.items():
        consumer.seek(tp, at)


def _flatten(fetched: dict[TopicPartition, list["ConsumerRecord[bytes, bytes]"]]) -> list[dict[str, Any]]:
    return [describe(record) for tp in sorted(fetched) for record in fetched[tp]]


def describe(record: "ConsumerRecord[bytes, bytes]") -> dict[str, Any]:
    """A record as printed; what is no text is given in base64."""
    described: dict[str, Any] = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": to_rfc3339(from_micros(record.timestamp * 1_000)),
        "key": _text(record.key),
        "headers": {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers},
    }
    try:
        described["value"] = None if record.value is None else orjson.loads(record.value)
    except orjson.JSONDecodeError:
        described["value_base64"] = base64.b64encode(record.value or b"").decode()
    return described


def _text(key: bytes | None) -> str | None:
    return None if key is None else key.decode("utf-8", "backslashreplace")
