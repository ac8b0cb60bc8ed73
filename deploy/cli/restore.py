"""`kizashi restore`: a backup, or a database restored by other means, brought up to what stands in Kafka."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.common import DEFAULT_DATA_DIR, ConfigDir, DataDir, Json, fail, print_json, progress
from deploy.cli.servers import prepare_servers, servers_only
from deploy.local.backup import check_backup, restore_database, restore_files
from deploy.local.paths import DataFolder
from deploy.local.report import Report
from services.handoff import recovery as handoff_recovery
from services.handoff.config import FILE, read_handoff_file
from services.handoff.settings import HandoffSettings
from services.handoff.tables import SCHEMA as HANDOFF
from services.scoring import models as model_store
from services.scoring import recovery as scoring_recovery
from services.scoring.settings import ScoringSettings
from services.scoring.tables import SCHEMA as SCORING
from shared.clock import system_clock
from shared.postgres import create_pool
from shared.recovery import BEGIN_ANEW, RESTORE, alone

SAID = {
    "leads_behind": "{:,} leads were published under later versions; theirs go on from there",
    "handoffs": "{:,} hand-overs were taken over from the topics",
    "outcomes": "{:,} outcomes were taken over from the topics",
    "erasures": "{:,} erasures of people were applied",
    "points": "{:,} points by hand were taken over from the topics",
    "words": "{:,} merges and unmerges by hand were taken over from the topics",
    "already_published": "{:,} waiting events had been published already and were dropped",
    "leads_to_publish": "{:,} leads will be published again; hand-overs of before are not",
}
"""What a count of `_recover` means."""

app = typer.Typer(add_completion=False)


@app.command()
def restore(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="What `kizashi backup` has written.")
    ] = None,
    only_recover: Annotated[
        bool, typer.Option("--database-is-restored", help="The database was put back already, by other means.")
    ] = False,
    new_kafka: Annotated[
        bool, typer.Option("--new-kafka", help="Kafka was lost: go on with an empty one, and publish every lead again.")
    ] = False,
    config_dir: ConfigDir = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: Json = False,
) -> None:
    """Put a backup back and bring it up to date with Kafka, so that nothing is published twice.

    The services must be down (`kizashi down`); the servers are started for as long as this takes. Start with
    `kizashi up` afterwards: what came after the backup is read from Kafka again. A damaged backup changes nothing;
    if this is ended in the middle, `kizashi up` says what to run.
    """
    if folder is None and not only_recover and not new_kafka:
        raise fail("name the FOLDER of a backup, or say --database-is-restored or --new-kafka", 2)
    data = DataFolder.at(data_dir)
    report = progress()
    if folder is not None:
        check_backup(folder)
        data.create()
        restore_files(data, folder)
    with servers_only(data_dir, config_dir, report) as (scoring, handoff):
        if folder is not None:
            with report.part("Database", "restored"):
                asyncio.run(_check_ended(scoring, handoff))
                command = BEGIN_ANEW if new_kafka else RESTORE
                restore_database(scoring.database.url.get_secret_value(), folder, command)
        done = asyncio.run(_recover(scoring, handoff, report, new_kafka=new_kafka))
    if as_json:
        print_json(done)
    else:
        for what, count in done.items():
            print(SAID[what].format(count))


async def _check_ended(scoring: ScoringSettings, handoff: HandoffSettings) -> None:
    """Servers of one's own may be worked with from elsewhere. Raises KizashiError where they are."""
    for settings, schema in ((scoring, SCORING), (handoff, HANDOFF)):
        async with alone(settings.database, schema):
            pass


async def _recover(
    scoring: ScoringSettings, handoff: HandoffSettings, report: Report, *, new_kafka: bool
) -> dict[str, int]:
    """How many of each of `SAID`."""
    await prepare_servers(scoring, handoff)
    if new_kafka:
        return await _begin_anew(scoring, handoff, report)
    with report.part("Topics", "read"):
        leads = await scoring_recovery.recover(scoring, system_clock)
        book = read_handoff_file(handoff.config_dir / FILE).rulebook()
        handed = await handoff_recovery.recover(handoff, book, system_clock)
    return {
        "leads_behind": leads.behind,
        "handoffs": handed.handoffs,
        "outcomes": handed.outcomes,
        "erasures": leads.erasures,
        "points": leads.points,
        "words": leads.words,
        "already_published": leads.already_published + handed.already_published,
    }


async def _begin_anew(scoring: ScoringSettings, handoff: HandoffSettings, report: Report) -> dict[str, int]:
    await handoff_recovery.begin_with_new_kafka(handoff)
    pool = await create_pool(scoring.database, name="restore", size=1)
    try:
        async with pool.acquire() as conn:
            models = await model_store.publish(conn, model_store.read_models(scoring.config_dir))
    finally:
        await pool.close()
    with report.part("Leads", "published again") as part:
        count = await scoring_recovery.begin_with_new_kafka(
            scoring, models, system_clock, lambda done: part.note(f"{done:,}")
        )
    return {"leads_to_publish": count}
