"""`kizashi dead-letters`: what could not be processed, why, and how it is given another chance."""

import asyncio
import os
from typing import Annotated, Any

import typer
from aiokafka.errors import KafkaError

from deploy.cli.common import DEFAULT_DATA_DIR, DataDir, Json, StackAddresses, fail, print_json, stack_addresses
from deploy.cli.replaying import Replayed, replay_topic
from deploy.cli.tail import describe
from shared.errors import KizashiError
from shared.kafka.dead_letter import Letter, letters_of
from shared.kafka.reading import reading
from shared.topics import DEAD_LETTERS, REJECTED_WEBHOOKS

TOPICS = (*(topic.name for topic in DEAD_LETTERS), REJECTED_WEBHOOKS.name)

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Records that could not be processed.")
Topic = Annotated[
    list[str] | None, typer.Option("--topic", help=f"Only this topic, repeatable. One of {', '.join(TOPICS)}.")
]


@app.command("list")
def list_(topic: Topic = None, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: Json = False) -> None:
    """Show every dead letter: where it lies, where it came from, when and why."""
    stack = stack_addresses(data_dir, os.environ)
    letters = [letter for name in _chosen(topic) for letter in _run(stack, _letters(stack, name))]
    if as_json:
        print_json([letter.to_json() for letter in letters])
        return
    for letter in letters:
        print(f"{letter.place:34} {letter.time:27} {letter.origin:28} {letter.reason}")
    typer.echo(f"{len(letters)} dead letters", err=True)


@app.command()
def show(
    place: Annotated[str, typer.Argument(metavar="TOPIC/PARTITION/OFFSET", help="As `list` prints it.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: Json = False,
) -> None:
    """Print one dead letter whole: headers and value."""
    stack = stack_addresses(data_dir, os.environ)
    topic = place.partition("/")[0]
    found = [letter for letter in _run(stack, _letters(stack, _known(topic))) if letter.place == place]
    if not found:
        raise fail(f"there is no record {place}; `kizashi dead-letters list` shows what there is")
    described = describe(found[0].raw)
    if as_json:
        print_json(described)
        return
    for name, value in (("key", described["key"]), *described["headers"].items()):
        print(f"{name}: {value}")
    print()
    print("(none)" if found[0].raw.value is None else found[0].raw.value.decode("utf-8", "backslashreplace"))


@app.command()
def replay(
    topic: Topic = None,
    place: Annotated[
        list[str] | None, typer.Option("--only", metavar="TOPIC/PARTITION/OFFSET", help="Only this one, repeatable.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Also those that were replayed before.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: Json = False,
) -> None:
    """Give dead letters another chance, after whatever refused them was put right.

    A record goes back to the topic it came from, as it was. A kept webhook request is read again with the present
    configuration, and what it means now is posted. Ids keep anything from counting twice. What fails once more becomes
    a new dead letter. Exit 1 when a kept request is still not understood.
    """
    stack = stack_addresses(data_dir, os.environ)
    chosen = sorted({one.partition("/")[0] for one in place}) if place else _chosen(topic)
    done: list[Replayed] = []
    for name in chosen:
        done += _run(stack, replay_topic(stack, _known(name), only=place or (), again=again, dry_run=dry_run))
    if as_json:
        print_json([one.to_json() for one in done])
    else:
        for one in done:
            print(f"{one.place:34} {one.result}")
        typer.echo(f"{sum(one.sent for one in done)} of {len(done)} {'would be ' if dry_run else ''}replayed", err=True)
    if any(one.failed for one in done):
        raise typer.Exit(1)


def _chosen(topics: list[str] | None) -> list[str]:
    return [_known(name) for name in topics] if topics else list(TOPICS)


def _known(topic: str) -> str:
    if topic not in TOPICS:
        raise typer.BadParameter(f"{topic} is none of {', '.join(TOPICS)}")
    return topic


async def _letters(stack: StackAddresses, topic: str) -> list[Letter]:
    async with reading(stack.settings.kafka, topic) as opened:
        return [letter async for records in opened.until_end() for letter in letters_of(records)]


def _run(stack: StackAddresses, work: Any) -> Any:
    try:
        return asyncio.run(work)
    except KafkaError as error:
        raise KizashiError(f"Kafka at {stack.bootstrap_servers} does not answer: {error}") from None
