"""`kizashi tail`: the records of a topic, one JSON object per line."""

import asyncio
import base64
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import orjson
import typer
from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError

from deploy.cli.common import DEFAULT_DATA_DIR, DataDir, Json, fail, stack_addresses
from shared.clock import from_micros, to_rfc3339
from shared.kafka.reading import OpenTopic, reading
from shared.settings import KafkaSettings

LAST = 10

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
    async with reading(kafka, topic) as opened:
        more = await _print_last(opened, last, emit) if last else await _print_all(opened, emit)
        while more and follow:
            more = emit([describe(raw) for raw in await opened.coming()])


async def _print_all(opened: OpenTopic, emit: Emit) -> bool:
    async for records in opened.until_end():
        if not emit([describe(raw) for raw in records]):
            return False
    return True


async def _print_last(opened: OpenTopic, last: int, emit: Emit) -> bool:
    """The last records of all partitions together, by time.

    Offsets may have holes, so a partition that gave fewer than `last` is read again from further back.
    """
    begin, end = opened.begin, opened.end
    span, found, wanting = last, list[dict[str, Any]](), set(end)
    while wanting:
        start = {tp: max(begin[tp], end[tp] - span) for tp in wanting}
        opened.seek({**end, **start})
        kept = [record for record in found if record["partition"] not in {tp.partition for tp in wanting}]
        found = kept + [describe(raw) async for records in opened.until_end() for raw in records]
        counts = Counter(record["partition"] for record in found)
        wanting = {tp for tp in wanting if counts[tp.partition] < last and start[tp] > begin[tp]}
        span *= 10
    found.sort(key=lambda record: (record["timestamp"], record["partition"], record["offset"]))
    return emit(found[-last:])


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
