"""`kizashi report`: what became of leads that were handed over, and what a mail seems to have changed."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from deploy.cli.asking import ask
from deploy.cli.common import DEFAULT_DATA_DIR, DataDir, Json, print_json, stack_addresses, write_file

app = typer.Typer(no_args_is_help=True, add_completion=False, help="What hand-overs and mails have brought.")

Since = Annotated[str | None, typer.Option("--from", metavar="INSTANT", help="RFC 3339; from then on.")]
Until = Annotated[str | None, typer.Option("--to", metavar="INSTANT", help="RFC 3339; before then.")]
COUNTS = "qualified accepted rejected recycled converted lost expired waiting".split()


@app.command()
def handoffs(
    by: Annotated[
        str, typer.Option(help="What to group by, comma-separated: rule, source, campaign, band, queue, owner.")
    ] = "rule",
    since: Since = None,
    until: Until = None,
    table: Annotated[Path | None, typer.Option("--csv", help="Write a table for a spreadsheet here instead.")] = None,
    encoding: Annotated[str, typer.Option(help="Of the table: utf-8-sig, utf-8 or cp932.")] = "utf-8-sig",
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: Json = False,
) -> None:
    """Show what became of those handed over, with the uncertainty of each share."""
    asked = {"by": by, "from": since, "to": until}
    stack = stack_addresses(data_dir)
    if table is not None:
        found = ask(stack, "handoff", "/v1/reports/handoffs.csv", {**asked, "encoding": encoding})
        write_file(table, found.content)
        return
    report = ask(stack, "handoff", "/v1/reports/handoffs", asked).json()
    if as_json:
        print_json(report)
    else:
        _show_handoffs(report)


@app.command()
def responses(
    email_id: Annotated[str | None, typer.Option(help="Which mail.")] = None,
    campaign: Annotated[str | None, typer.Option(help="All mails of a campaign.")] = None,
    link: Annotated[str | None, typer.Option(help="Count clicks on links that contain this.")] = None,
    appointments: Annotated[str, typer.Option(help="Activity types, comma-separated.")] = "meeting_booked,meeting_held",
    within: Annotated[str, typer.Option(help="How long after the delivery.")] = "30d",
    since: Since = None,
    until: Until = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: Json = False,
) -> None:
    """Compare appointments of those who clicked in a mail with those who got it and did not."""
    asked = {
        "email_id": email_id,
        "campaign": campaign,
        "link": link,
        "appointments": appointments,
        "within": within,
        "from": since,
        "to": until,
    }
    report = ask(stack_addresses(data_dir), "scoring", "/v1/reports/responses", asked).json()
    if as_json:
        print_json(report)
    else:
        _show_responses(report)


def _show_handoffs(report: dict[str, Any]) -> None:
    shown = Table(box=None)
    for name in (*report["by"], *COUNTS, "acceptance", "conversion"):
        shown.add_column(name, justify="left" if name in report["by"] else "right")
    for item in report["items"]:
        groups = ["–" if item[name] is None else str(item[name]) for name in report["by"]]
        shares = [_share(item[name]) for name in ("acceptance", "conversion")]
        shown.add_row(*groups, *(f"{item[name]:,}" for name in COUNTS), *shares)
    Console().print(shown)
    if any(item[name]["few"] for item in report["items"] for name in ("acceptance", "conversion")):
        print("* fewer than 25 answers: too few to rely on")


def _show_responses(report: dict[str, Any]) -> None:
    for name, about in (("responded", "clicked"), ("not_responded", "did not click")):
        share = report[name]
        print(f"{about:<14} {share['hits']:,} of {share['of']:,} had an appointment: {_share(share)}")
    difference = report["difference"]
    if difference["value"] is not None:
        low, high = 100 * difference["low"], 100 * difference["high"]
        print(f"{'difference':<14} {100 * difference['value']:+.1f} points (95 %: {low:+.1f} to {high:+.1f})")
    for warning in report["warnings"]:
        print(warning)


def _share(share: dict[str, Any]) -> str:
    if share["value"] is None:
        return "–"
    few = "*" if share.get("few") else ""
    return f"{100 * share['value']:.1f} % ({100 * share['low']:.1f}–{100 * share['high']:.1f}){few}"
