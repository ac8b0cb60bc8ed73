"""`kizashi preview`: who would newly qualify or drop out by a model, before it is published."""

import asyncio
import os
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer

from deploy.cli.common import DEFAULT_DATA_DIR, DataDir, Json, fail, print_json, progress, stack_addresses
from deploy.cli.judged_model import Model, model_in_force, tree_of
from services.scoring import judging
from shared.clock import system_clock, to_rfc3339

MOST_SHOWN = 20
WIDTH = 40

app = typer.Typer(add_completion=False)


@app.command()
def preview(
    model: Model,
    threshold: Annotated[float | None, typer.Option(help="By default the highest total the model watches.")] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: Json = False,
) -> None:
    """Score all leads of a running stack by a model file, beside the model in force. Nothing is changed."""
    stack = stack_addresses(data_dir)
    tree = tree_of(model)
    at = system_clock()
    cents = judging.threshold_of(tree) if threshold is None else round(threshold * 100)

    async def run(progress: Callable[[int, int], None]) -> tuple[int, Any]:
        version, body = await model_in_force(stack, tree["model"])
        found = await judging.preview(stack.settings.database, body, tree, at, cents, progress, os.cpu_count() or 2)
        return version, found

    with progress().part("Leads", "scored by both", 1) as part:
        version, found = asyncio.run(run(part.advance))
    body = {"model": tree["model"], "against": version, "at": to_rfc3339(at), **found.to_json()}
    if as_json:
        print_json(body)
    elif not found.leads:
        raise fail("there are no leads yet")
    else:
        print("\n".join(lines_of(body)))


def lines_of(body: dict[str, Any]) -> Iterator[str]:
    """A preview as text."""
    sides = body["at_or_above"]
    at = f"at {body['threshold']:g} or above"
    yield f"{body['leads']:,} leads, {at}: {sides['before']:,} now, {sides['after']:,} then"
    for name, sign in (("qualify", "+"), ("drop_out", "−")):
        yield f"{body[name]['count']:,} would {'newly qualify' if sign == '+' else 'drop out'}"
        for lead in body[name]["leads"][:MOST_SHOWN]:
            called = " · ".join(filter(None, (lead["name"], lead["company"], lead["email"]))) or lead["lead_id"]
            yield f"  {sign} {_points(lead['before'])} → {_points(lead['after'])}  {called}"
        if body[name]["count"] > MOST_SHOWN:
            yield f"  … and {body[name]['count'] - MOST_SHOWN:,} more; --json shows up to 1,000"
    most = max((max(band["before"], band["after"]) for band in body["distribution"]), default=1)
    for band in body["distribution"]:
        yield f"{band['from']:>8g} – {band['to']:<6g} {band['before']:>8,} {band['after']:>8,}  {_bar(band, most)}"
    for move in body["moves"]:
        yield f"{move['what']} {move['from'] or '–'} → {move['to'] or '–'}: {move['leads']:,}"
    for warning in body["warnings"]:
        yield f"! {warning}"


def _bar(band: dict[str, Any], most: int) -> str:
    return "█" * int(WIDTH * band["after"] / most + 0.5)


def _points(value: float | None) -> str:
    return "excluded" if value is None else f"{value:.2f}"
