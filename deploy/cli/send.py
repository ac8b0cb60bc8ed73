"""`kizashi send`: a file of activities to the ingest service."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import orjson
import typer

from deploy.cli.common import (
    DEFAULT_DATA_DIR,
    DataDir,
    Json,
    check_key,
    fail,
    print_json,
    progress,
    seekable,
    stack_addresses,
)
from deploy.demo.feed import CONNECTIONS, Line, Refused, Sent, feed
from shared.errors import KizashiError

MOST_SHOWN = 20

app = typer.Typer(add_completion=False)


@app.command()
def send(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="Activities as posted, one JSON object per line.")
    ],
    data_dir: DataDir = DEFAULT_DATA_DIR,
    url: Annotated[str | None, typer.Option(help="The ingest service; default: that of the running stack.")] = None,
    key: Annotated[str | None, typer.Option(help="An API key; default: the stack's own.")] = None,
    connections: Annotated[int, typer.Option(min=1, max=64, help="Requests in flight.")] = CONNECTIONS,
    as_json: Json = False,
) -> None:
    """Post every activity of a file; what the service cannot take now is tried again under the same ids."""
    check_key(key)
    # All lines are looked at before the first is sent.
    with seekable(file) as copy:
        _send(copy, file, data_dir, url, key, connections, as_json)


def _send(
    file: Path, named: Path, data_dir: Path, url: str | None, key: str | None, connections: int, as_json: bool
) -> None:
    total = check_file(file, named)
    if url is None or key is None:
        stack = stack_addresses(data_dir)
        url, key = url or stack.url("ingest"), key or stack.cli_key
    report = progress()
    try:
        with report.part("Activities", "sent", total or None) as part:
            done = asyncio.run(
                feed(
                    url,
                    key,
                    read_lines(file),
                    connections=connections,
                    on_progress=lambda count: part.advance(count, total),
                )
            )
    except Refused as error:
        raise fail(f"{url} refuses:\n{describe(named, error.faults)}") from None
    _print(done, as_json)


def check_file(file: Path, named: Path) -> int:
    """Count the activities before the first is sent. Raises KizashiError naming every line that is no JSON object, in
    the file as it was `named`.
    """
    count, faults = 0, list[tuple[int | None, str]]()
    for line in read_lines(file):
        count += 1
        try:
            value = orjson.loads(line.body)
        except orjson.JSONDecodeError as error:
            faults.append((line.number, f"broken JSON: {error.msg} at byte {error.pos}"))
            continue
        if not isinstance(value, dict):
            faults.append((line.number, "expected an activity, which is a JSON object"))
    if faults:
        raise KizashiError(f"nothing was sent:\n{describe(named, faults)}")
    return count


def read_lines(file: Path) -> Iterator[Line]:
    """The lines that are not blank, without a byte-order mark. Raises KizashiError for a file that cannot be read."""
    try:
        with file.open("rb") as opened:
            for number, line in enumerate(opened, 1):
                body = (line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).strip()
                if body:
                    yield Line(number, body)
    except OSError as error:
        raise KizashiError(f"{file}: expected a readable file ({error.strerror})") from None


def describe(file: Path, faults: list[tuple[int | None, str]] | tuple[tuple[int | None, str], ...]) -> str:
    """`file:line: what is wrong`, one fault a line, the first ones."""
    shown = [f"{file}:{line}: {reason}" if line else f"{file}: {reason}" for line, reason in faults[:MOST_SHOWN]]
    more = len(faults) - len(shown)
    return "\n".join([*shown, f"… and {more} more"] if more else shown)


def _print(done: Sent, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "activities": done.activities,
                "requests": done.requests,
                "retries": done.retries,
                "spooled": done.spooled,
                "seconds": round(done.seconds, 3),
                "per_second": round(done.per_second),
            }
        )
        return
    again = f", {done.retries} of them tried again" if done.retries else ""
    print(
        f"{done.activities:,} activities in {done.requests:,} requests{again}: "
        f"{done.seconds:.1f} s, {done.per_second:,.0f} a second"
    )
