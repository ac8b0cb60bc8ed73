"""`kizashi bench`: the performance table, measured here and now."""

import asyncio
import signal
import sys
from typing import Annotated

import typer
import uvloop

from deploy.bench.machine import machine
from deploy.bench.measuring import Line
from deploy.bench.registry import GOALS, Group, groups_for
from deploy.bench.report import markdown, summary, table
from deploy.cli.common import Json, fail, print_json, progress
from shared.telemetry import configure_logging

app = typer.Typer(add_completion=False)


@app.command()
def bench(
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="Only this line and those measured with it.")
    ] = None,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")] = False,
    as_json: Json = False,
) -> None:
    """Measure, each figure beside its limit in the same run: subject and limit by turns, the median of three.

    Takes some minutes on servers of its own; nothing else should run meanwhile. The line `growth` fills a store of
    1,000,000 leads first, about five minutes and 15 GB: it is measured only when named. Exit 1 when a limit was
    unsteady, so that its line has no ratio.
    """
    try:
        groups = groups_for(tuple(only or ()))
    except KeyError as error:
        raise fail(f"no line is called {error.args[0]}; there are {', '.join(GOALS)}", 2) from None
    configure_logging("bench", "CRITICAL")
    # What is measured in this process runs on the loop that the services have.
    try:
        lines = uvloop.run(_measure(groups))
    except asyncio.CancelledError:
        raise typer.Exit(128 + signal.SIGTERM) from None
    if as_json:
        print_json({"machine": machine(), "lines": [line.to_json(GOALS.get(line.name, ())) for line in lines]})
    elif as_markdown:
        print(markdown(lines, GOALS), end="")
    else:
        from rich.console import Console  # noqa: PLC0415 - only a table pays for it

        Console(width=None if sys.stdout.isatty() else 160).print(table(lines, GOALS))
    if any(line.problem for line in lines):
        raise typer.Exit(1)


async def _measure(groups: tuple[Group, ...]) -> list[Line]:
    _end_by(signal.SIGTERM)
    report = progress()
    lines: list[Line] = []
    for group in groups:
        with report.part("bench", group.lines[0], len(group.lines)) as part:
            async for line in group.measure():
                lines.append(line)
                report.say(summary(line, GOALS.get(line.name, ())))
                part.advance(len([one for one in lines if one.name in group.lines]), len(group.lines))
    return lines


def _end_by(number: signal.Signals) -> None:
    """Let the signal end this task as Ctrl-C does, so that it leaves no servers and no data behind."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
