"""`kizashi demo`: the main job from end to end, on a stack of its own."""

import signal
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from deploy.cli.common import Json, fail, print_json
from deploy.demo.feed import Refused
from deploy.demo.run import Options, run
from deploy.demo.showing import show_outcome
from deploy.local.report import for_stderr
from deploy.local.run import describe_failure
from shared.errors import KizashiError

app = typer.Typer(add_completion=False)


@app.command()
def demo(
    dataset: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Orders instead of the sample: a header line, then customer, date, items, dollars; plain or gzipped.",
        ),
    ] = None,
    silent: Annotated[
        bool, typer.Option("--silent", help="Take the activities as history: score them, hand no lead over.")
    ] = False,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir", help="An empty folder to keep the data in (default: one that is removed).", file_okay=False
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Start everything, feed a month of sample activities over HTTP, show who goes to sales and why, stop everything.

    Exit 0 only if all came out as expected.
    """
    signal.signal(signal.SIGTERM, _end)
    report = for_stderr(plain=True)
    try:
        outcome = run(Options(data_dir, dataset, silent), report)
    except Refused as error:
        raise fail(f"ingest refuses an activity: {error}") from None
    except KizashiError as error:
        describe_failure(error, report)
        raise typer.Exit(1) from None
    if as_json:
        print_json(outcome.to_json())
    else:
        show_outcome(outcome)
    if outcome.differences:
        raise typer.Exit(1)


def _end(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the signature of a handler
    # Leaves through the stack's `stop`.
    raise KeyboardInterrupt
