"""`kizashi chaos`: break everything under load, then check the books."""

import secrets
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.chaos.fading import Fading
from deploy.chaos.fading_model import MODEL
from deploy.chaos.recovery import Recovery, measure
from deploy.chaos.run import Options, Verdict, run
from deploy.cli.common import Json, print_json, progress
from shared.telemetry import configure_logging

app = typer.Typer(add_completion=False)

SHOWN = 40


@app.command()
def chaos(
    seed: Annotated[int | None, typer.Option("--seed", help="Repeat the plan of an earlier run.")] = None,
    kills: Annotated[int, typer.Option("--kills", min=0, help="Processes killed, evenly over all of them.")] = 18,
    others: Annotated[int, typer.Option("--faults", min=0, help="Other faults.")] = 18,
    activities: Annotated[int, typer.Option("--activities", min=1, help="Activities sent at least.")] = 20_000,
    per_second: Annotated[float, typer.Option("--rate", min=1, help="Activities sent a second at most.")] = 500,
    fading: Annotated[
        bool, typer.Option("--fading/--steady", help="With people whose points fade and models published, or without.")
    ] = True,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Keep the stack's data here instead of removing it.")
    ] = None,
    recovery: Annotated[
        bool, typer.Option("--recovery", help="Only measure how soon each process is back after a kill.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Kill, freeze, cut off and fill up the parts of a stack of its own under load, then compare what came out with
    what had to come out. Exit 1 on any difference.
    """
    configure_logging("chaos", "CRITICAL")
    if recovery:
        _show_recovery(measure(progress()), as_json=as_json)
        return
    chosen = secrets.randbelow(1_000_000) if seed is None else seed
    print(f"seed {chosen}", flush=True)
    options = Options(chosen, kills, others, activities, per_second, fading=fading, data_dir=data_dir)
    verdict = run(options, progress())
    if as_json:
        print_json(to_json(verdict))
    else:
        _show(verdict)
    if verdict.differences:
        raise typer.Exit(1)


def _show_recovery(found: list[Recovery], *, as_json: bool) -> None:
    if as_json:
        print_json([{"process": one.process, "result": one.result, "seconds": one.seconds} for one in found])
        return
    for one in found:
        print(f"{one.process:<9} {one.median:5.2f} s median, {max(one.seconds):5.2f} s longest  ({one.result})")


def to_json(verdict: Verdict) -> dict[str, object]:
    """The verdict for machines; times in seconds."""
    return {
        "seed": verdict.options.seed,
        "faults": {f"{kind} {target}": count for (kind, target), count in sorted(verdict.faults.items())},
        "kills": verdict.kills,
        "activities": verdict.activities,
        "repeated_requests": verdict.sent.retries,
        "spooled": verdict.sent.spooled,
        "leads": verdict.leads,
        "fading": _faded(verdict.faded) if verdict.faded else None,
        "qualified": verdict.qualified,
        "delivered": verdict.delivered,
        "delivery_attempts": verdict.attempts,
        "seconds": round(verdict.seconds, 1),
        "settled_seconds": round(verdict.settled_s, 1),
        "differences": verdict.differences,
    }


def _faded(faded: Fading) -> dict[str, Any]:
    models = {"b2b-standard": faded.primary, MODEL: max(faded.published)}
    seen = {"people": faded.people, "states": faded.states, "by_time": faded.by_time}
    return {"activities": len(faded.sent), **seen, "given": len(faded.given), "joined": faded.joined, "models": models}


def _show(verdict: Verdict) -> None:
    others = verdict.faults.total() - verdict.kills
    print(f"{verdict.kills} kills and {others} other faults in {verdict.seconds:.0f} s")
    print(
        f"{verdict.activities:,} activities, {verdict.sent.retries:,} requests repeated,"
        f" {verdict.sent.spooled:,} activities waited on disk"
    )
    if verdict.faded:
        done = _faded(verdict.faded)
        print(
            f"{done['people']:,} people who fade in {done['states']:,} states, {done['by_time']:,} by time alone;"
            f" {done['given']} given points by hand, {done['joined']} joined by hand; models {done['models']}"
        )
    for difference in verdict.differences[:SHOWN]:
        print(f"  {difference}")
    if len(verdict.differences) > SHOWN:
        print(f"  and {len(verdict.differences) - SHOWN:,} more")
    if verdict.differences:
        print(f"FAILED: {len(verdict.differences):,} differences; again with --seed {verdict.options.seed}")
    else:
        print(
            f"nothing lost, nothing twice: {verdict.leads:,} leads exact, {verdict.qualified:,} handed over once each,"
            f" {verdict.delivered:,} delivered in {verdict.attempts:,} attempts"
        )
