"""`kizashi retention`: what is removed for its age, how far that has come, and what another age would remove."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Annotated, Any

import asyncpg
import typer

from deploy.cli.common import DEFAULT_DATA_DIR, DataDir, Json, StackAddresses, print_json, progress, stack_addresses
from deploy.local.report import Part
from services.scoring import models as model_store
from services.scoring.retention import Retention, cut_for
from services.scoring.retention_repository import RetentionJob, RetentionRepository
from services.scoring.settings import LEAST_DAYS
from shared.clock import system_clock, to_rfc3339
from shared.errors import KizashiError, reason
from shared.identity import lead_id_for
from shared.postgres import create_pool, is_transient

SETTING = "KIZASHI_SCORING__KEEP_ACTIVITIES_DAYS"

app = typer.Typer(add_completion=False)


@app.command()
def retention(
    days: Annotated[
        int | None,
        typer.Option(min=LEAST_DAYS, max=36_500, help="Count what keeping activities so long would remove now."),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="With --days: remove it. Not to be undone.")] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: Json = False,
) -> None:
    """Show how far the removal of old activities has come; with --days count what would go, with --remove remove it.

    No score changes by it. The service removes by itself where KIZASHI_SCORING__KEEP_ACTIVITIES_DAYS is set.
    """
    if remove and days is None:
        raise typer.BadParameter("expected --days beside it", param_hint="--remove")
    stack = stack_addresses(data_dir)
    if days is None:
        body = asyncio.run(_latest(stack))
    elif remove:
        with progress().part("Activities", "removed", 1) as part:
            body = asyncio.run(_remove(stack, days, part))
    else:
        body = asyncio.run(_count(stack, days))
    if as_json:
        print_json(body)
    else:
        print(text_of(body))


def text_of(body: dict[str, Any]) -> str:
    """An answer in one line."""
    if body["before"] is None:
        return f"nothing was ever removed; {SETTING} is where the service is told to"
    what = f"{body['activities']:,} activities of {body['leads']:,} leads from before {body['before'][:10]}"
    if "finished_at" not in body:
        return f"{what} would be removed; --remove removes them"
    state = f"finished {body['finished_at']}" if body["finished_at"] else "under way"
    kept = f", those of {body['kept']:,} leads kept as a score would change" if body["kept"] else ""
    return f"{what} removed{kept}; {state}"


async def _latest(stack: StackAddresses) -> dict[str, Any]:
    async with _pool(stack) as pool, pool.acquire() as conn:
        job = await RetentionRepository(conn).latest()
    return {"before": None} if job is None else _job_out(job)


async def _count(stack: StackAddresses, days: int) -> dict[str, Any]:
    cut = cut_for(days, system_clock())
    async with _pool(stack) as pool, pool.acquire() as conn:
        activities, leads = await RetentionRepository(conn).count_old(cut)
    return {"before": to_rfc3339(cut), "leads": leads, "activities": activities}


async def _remove(stack: StackAddresses, days: int, part: Part) -> dict[str, Any]:
    cut = cut_for(days, system_clock())
    async with _pool(stack) as pool:
        async with pool.acquire() as conn:
            models = await model_store.in_force(conn, model_store.read_models(stack.config_dir))
            total, _ = await RetentionRepository(conn).count_old(cut)
        now = system_clock()  # one cut, whatever month it is when the last lead is done
        worker = Retention(pool, models, partial(lead_id_for, stack.settings.identity_key), lambda: now)
        while await worker.some(days):
            part.advance(min((await _job(pool, cut)).activities, total), total)
        job = await _job(pool, cut)
        part.advance(total, total)
    if job.finished_at is None:
        raise KizashiError(
            "another process rewrites leads now, for a model or their age; try again when it has finished"
        )
    return _job_out(job)


async def _job(pool: asyncpg.Pool, cut: datetime) -> RetentionJob:
    async with pool.acquire() as conn:
        return await RetentionRepository(conn).job(cut)


def _job_out(job: RetentionJob) -> dict[str, Any]:
    return {
        "before": to_rfc3339(job.cut),
        "leads": job.leads,
        "activities": job.activities,
        "kept": job.kept,
        "started_at": to_rfc3339(job.started_at),
        "finished_at": to_rfc3339(job.finished_at) if job.finished_at else None,
    }


@asynccontextmanager
async def _pool(stack: StackAddresses) -> AsyncIterator[asyncpg.Pool]:
    """Raises KizashiError where PostgreSQL does not answer."""
    try:
        pool = await create_pool(stack.settings.database, name="retention", size=2)
        try:
            yield pool
        finally:
            await pool.close()
    except Exception as error:
        if is_transient(error):
            raise KizashiError(f"PostgreSQL does not answer: {reason(error)}") from None
        raise
