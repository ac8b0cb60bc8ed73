"""`kizashi replay`: does what is stored follow from what was stored? Every lead is folded again and compared."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.common import (
    DEFAULT_DATA_DIR,
    ConfigDir,
    DataDir,
    Json,
    StackAddresses,
    print_json,
    progress,
    stack_addresses,
)
from deploy.cli.servers import prepare_servers, servers_only
from deploy.local.report import Report
from services.handoff import recovery as handoff_recovery
from services.handoff.config import FILE, read_handoff_file
from services.handoff.settings import HandoffSettings
from services.scoring import models as model_store
from services.scoring.rebuild import rebuild
from services.scoring.replay import replay as compare
from services.scoring.replayed import Replay
from services.scoring.settings import ScoringSettings
from shared.clock import system_clock
from shared.errors import KizashiError, reason
from shared.postgres import create_pool, is_transient

MOST_SHOWN = 20

app = typer.Typer(add_completion=False)


@app.command()
def replay(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    config_dir: ConfigDir = None,
    from_topic: Annotated[
        bool, typer.Option("--from-topic", help="Fill an empty database from lead-activities; the services are down.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Fold all leads again from their stored activities and compare with what is stored; nothing is changed.

    With --from-topic an empty database is filled instead. Exit 1 when anything differs.
    """
    if from_topic:
        _rebuild(data_dir, config_dir, as_json=as_json)
        return
    stack = stack_addresses(data_dir)
    with progress().part("Leads", "folded again", 1) as part:
        found = asyncio.run(_compare(stack, part.advance))
    if as_json:
        print_json(found.to_json())
    else:
        _print(found)
    if found.differences:
        raise typer.Exit(1)


def _rebuild(data_dir: Path, config_dir: Path | None, *, as_json: bool) -> None:
    report = progress()
    with servers_only(data_dir, config_dir, report) as (scoring, handoff):
        records = asyncio.run(_fill(scoring, handoff, report))
    if as_json:
        print_json({"records": records})
    else:
        print(f"{records:,} records of lead-activities read; `kizashi up` publishes what follows from them")


async def _fill(scoring: ScoringSettings, handoff: HandoffSettings, report: Report) -> int:
    await prepare_servers(scoring, handoff)
    await handoff_recovery.recover(handoff, read_handoff_file(handoff.config_dir / FILE).rulebook(), system_clock)
    with report.part("Activities", "read again", 1) as part:
        return await rebuild(scoring, system_clock, part.advance)


async def _compare(stack: StackAddresses, progress: Callable[[int, int], None]) -> Replay:
    pool = await create_pool(stack.settings.database, name="replay", size=1)
    try:
        async with pool.acquire() as conn:
            models = await model_store.in_force(conn, model_store.read_models(stack.config_dir))
        return await compare(pool, models, system_clock(), progress)
    except Exception as error:
        if is_transient(error):
            raise KizashiError(f"PostgreSQL does not answer: {reason(error)}") from None
        raise
    finally:
        await pool.close()


def _print(found: Replay) -> None:
    for one in found.differences[:MOST_SHOWN]:
        print(f"{one.lead_id or 'all leads'}  {one.what}: stored {one.stored}, folded again {one.folded}")
    if len(found.differences) > MOST_SHOWN:
        print(f"… and {len(found.differences) - MOST_SHOWN} more; --json shows all")
    waiting = f", {found.waiting} about to change by themselves" if found.waiting else ""
    of = f"{found.leads:,} leads of {found.activities:,} activities, {found.accounts:,} accounts"
    print(f"{of}: {len(found.differences)} differences{waiting}")
