"""`kizashi schedule`: when the rules that collect leads hand them over."""

from datetime import datetime
from typing import Annotated

import typer

from deploy.cli.common import ConfigDir, Json, fail, print_json
from deploy.local.paths import ROOT
from services.handoff.config import FILE, read_handoff_file
from services.handoff.core.file import Schedule
from services.handoff.core.schedule import runs
from shared.clock import from_rfc3339, is_reckonable, system_clock
from shared.durations import parse_duration

SPAN = "31d"

app = typer.Typer(add_completion=False)


@app.command()
def schedule(
    config_dir: ConfigDir = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="INSTANT", help="RFC 3339, inclusive; default: now.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="INSTANT", help="RFC 3339, exclusive; default: 31 days later.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Print the runs of every scheduled hand-over, each with its time in the rule's zone and its key."""
    file = read_handoff_file((config_dir or ROOT / "config") / FILE).file
    first = _instant(start, "--from") if start else system_clock()
    last = _instant(end, "--to") if end else first + parse_duration(SPAN)
    if last < first:
        raise fail("--to lies before --from", 2)
    found = [
        run for rule in file.rules if isinstance(rule.when, Schedule) for run in runs(rule.id, rule.when, first, last)
    ]
    for run in sorted(found):
        at = run.at.isoformat()
        if as_json:
            print_json({"rule": run.rule, "at": at, "key": run.key})
        else:
            print(f"{at}  {run.at:%a}  {run.rule}")


def _instant(text: str, option: str) -> datetime:
    try:
        instant = from_rfc3339(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
    if not is_reckonable(instant):
        raise typer.BadParameter("expected an instant between 1970 and 9000", param_hint=option)
    return instant
