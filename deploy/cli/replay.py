"""`kizashi replay`: does what is stored follow from what was stored? Every lead is folded again and compared."""

import asyncio
from collections.abc import Callable

import typer

from deploy.cli.common import DEFAULT_DATA_DIR, DataDir, Json, StackAddresses, print_json, stack_addresses
from deploy.local.report import for_stderr
from services.scoring import models as model_store
from services.scoring.replay import Replay
from services.scoring.replay import replay as compare
from shared.clock import system_clock
from shared.errors import KizashiError
from shared.postgres import create_pool, is_transient

MOST_SHOWN = 20

app = typer.Typer(add_completion=False)


@app.command()
def replay(data_dir: DataDir = DEFAULT_DATA_DIR, as_json: Json = False) -> None:
    """Fold all leads again from their stored activities and compare with what is stored; nothing is changed.

    Exit 1 when anything differs.
    """
    stack = stack_addresses(data_dir)
    with for_stderr(plain=True).part("Leads", "folded again", 1) as part:
        found = asyncio.run(_compare(stack, part.advance))
    if as_json:
        print_json(found.to_json())
    else:
        _print(found)
    if found.differences:
        raise typer.Exit(1)


async def _compare(stack: StackAddresses, progress: Callable[[int, int], None]) -> Replay:
    pool = await create_pool(stack.settings.database, name="replay", size=1)
    try:
        async with pool.acquire() as conn:
            models = await model_store.in_force(conn, model_store.read_models(stack.config_dir))
        return await compare(pool, models, system_clock(), progress)
    except Exception as error:
        if is_transient(error):
            raise KizashiError(f"PostgreSQL does not answer: {error or type(error).__name__}") from None
        raise
    finally:
        await pool.close()


def _print(found: Replay) -> None:
    for one in found.differences[:MOST_SHOWN]:
        print(f"{one.lead_id or 'all leads'}  {one.what}: stored {one.stored}, folded again {one.folded}")
    if len(found.differences) > MOST_SHOWN:
        print(f"… and {len(found.differences) - MOST_SHOWN} more; --json shows all")
    waiting = f", {found.waiting} about to change by themselves" if found.waiting else ""
    print(f"{found.leads:,} leads of {found.activities:,} activities: {len(found.differences)} differences{waiting}")
