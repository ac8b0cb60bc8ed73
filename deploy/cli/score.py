"""`kizashi score`: the pure engine on files."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.scoring.core.model import ModelFaults
from services.scoring.offline import FileFaults, ScoredLead, read_file, score_texts, text_of_cents
from shared.clock import from_rfc3339, system_clock, to_rfc3339

app = typer.Typer(add_completion=False)


def _instant(text: str) -> datetime:
    try:
        return from_rfc3339(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}; expected RFC 3339 such as 2026-11-20T10:15:00+09:00") from None


@app.command()
def score(
    model: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="The model: YAML or JSON.")],
    activities: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="Activities as posted, one JSON object per line, with id.")
    ],
    leads: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help='Known attributes, lines {"lead": …, "attributes": {…}}.'),
    ] = None,
    at: Annotated[
        datetime | None, typer.Option(parser=_instant, metavar="INSTANT", help="Instant of evaluation; default now.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per lead and line.")] = False,
) -> None:
    """Score leads from files, without a stack: the same engine, the same numbers."""
    instant = at or system_clock()
    try:
        known = read_file(leads) if leads else None
        scored = score_texts(read_file(model), read_file(activities), known, instant)
    except (ModelFaults, FileFaults) as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(1) from None
    if as_json:
        sys.stdout.buffer.writelines(one.to_json() + b"\n" for one in scored)
    else:
        _print(scored, instant)


def _print(scored: list[ScoredLead], at: datetime) -> None:
    table = Table(box=box.SIMPLE_HEAD, title=f"{len(scored)} leads at {to_rfc3339(at)}", title_justify="left")
    table.add_column("lead", overflow="fold")
    for name in ("score", "engagement", "fit"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("cell", no_wrap=True)
    table.add_column("stage")
    table.add_column("reasons", overflow="fold")
    for one in scored:
        table.add_row(*_cells(one))
    # A file or pipe has no width of its own; 80 columns would cut every name.
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def _cells(one: ScoredLead) -> list[str]:
    result = one.evaluation
    numbers = [
        "–" if cents is None else text_of_cents(cents) for cents in (result.score, result.engagement, result.fit)
    ]
    reasons = "\n".join(f"{text_of_cents(reason.points):>7}  {reason.rule}" for reason in result.reasons)
    return [escape(one.lead), *numbers, result.cell or "–", escape(result.stage or "–"), escape(reasons)]
