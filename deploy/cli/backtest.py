"""`kizashi backtest`: a model judged by what became of leads, on a running stack or on files alone."""

import asyncio
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.cli.common import (
    DEFAULT_DATA_DIR,
    DataDir,
    Json,
    StackAddresses,
    fail,
    print_json,
    progress,
    stack_addresses,
)
from deploy.cli.judged_model import Model, tree_of
from services.scoring import judging
from services.scoring.backtest_files import backtest_files
from services.scoring.core.backtest import Backtest
from services.scoring.offline import FileFaults, read_file
from services.scoring.outcomes import read_outcomes, topic_outcomes
from shared.durations import parse_duration

app = typer.Typer(add_completion=False)


def _span(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


@app.command()
def backtest(
    model: Model,
    outcomes: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help='Lines {"lead", "outcome", "at"}, beside those of the stack.'),
    ] = None,
    activities: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Activities as posted; then no stack is asked.")
    ] = None,
    threshold: Annotated[float | None, typer.Option(help="By default the highest total the model watches.")] = None,
    split: Annotated[
        float, typer.Option(min=0, max=0.99, help="The share of outcomes before the judged time.")
    ] = judging.DEFAULT_SPLIT,
    per_week: Annotated[
        float | None, typer.Option(min=0.01, help="Find the threshold at which so many leads come a week.")
    ] = None,
    before: Annotated[
        timedelta | None, typer.Option(parser=_span, metavar="SPAN", help="Score this long before the outcome: 7d.")
    ] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: Json = False,
) -> None:
    """Precision, recall, lift and conversion per band, each lead scored as of the moment before its outcome, judged on
    later leads; with sample sizes and intervals. Exit 0 also where there are too few: it is said.
    """
    tree = tree_of(model)
    cents = judging.threshold_of(tree) if threshold is None else round(threshold * 100)
    question = judging.BacktestQuestion(cents, split, before or timedelta(), per_week)
    try:
        with progress().part("Leads", "judged", 1) as part:
            if activities is None:
                found = asyncio.run(_stored(stack_addresses(data_dir), tree, outcomes, question, part.advance))
            elif outcomes is None:
                raise fail("--activities without a stack needs --outcomes", 2)
            else:
                found = backtest_files(
                    read_file(model), read_file(activities), read_file(outcomes), question, part.advance, _processes()
                )
    except FileFaults as error:
        raise fail(str(error)) from None
    body = {"model": tree["model"], **found.to_json()}
    if as_json:
        print_json(body)
    else:
        _print(body)


async def _stored(
    stack: StackAddresses,
    tree: dict[str, Any],
    outcomes: Path | None,
    question: judging.BacktestQuestion,
    progress: Callable[[int, int], None],
) -> Backtest:
    known = await topic_outcomes(stack.settings.kafka)
    if outcomes is not None:
        known += read_outcomes(read_file(outcomes))
    return await judging.backtest_stored(stack.settings.database, tree, known, question, progress, _processes())


def _processes() -> int:
    return os.cpu_count() or 2


def _print(body: dict[str, Any]) -> None:
    for name, title in (("judged", "Judged on later leads"), ("earlier", "Earlier leads, for comparison")):
        part = body[name]
        print(f"{title}: {part['leads']:,}, of which {part['converted']:,} converted")
        if part["too_few"]:
            print(f"  {part['too_few']}")
        lift = "–" if part["lift"] is None else f"{part['lift']:.2f}"
        print(
            f"  at {body['threshold']:g} or above: precision {_share(part['precision'])}, recall"
            f" {_share(part['recall'])}, lift {lift}; without a score {_share(part['base'])}"
        )
    print("Conversion by score, later leads")
    for band in body["bands"]:
        bounds = f"{_bound(band['from'])} – {_bound(band['to'])}"
        print(f"  {bounds:>14}  {_share(band['conversion'])}")
    if body["leads_per_week"] is not None:
        print(f"{body['leads_per_week']:g} leads a week come to {body['threshold']:g}")
    if body["for_volume"]:
        volume = body["for_volume"]
        place = "–" if volume["threshold"] is None else f"{volume['threshold']:g}"
        print(f"for at most {volume['leads_per_week']:g} leads a week: a threshold of {place}")
    for warning in body["warnings"]:
        print(f"! {warning}")


def _share(share: dict[str, Any]) -> str:
    if share["value"] is None:
        return "– (of none)"
    interval = f"{share['low'] * 100:.0f}–{share['high'] * 100:.0f} %"
    return f"{share['value'] * 100:.1f} % ({share['hits']} of {share['of']}; {interval})"


def _bound(value: float | None) -> str:
    return "…" if value is None else f"{value:g}"
