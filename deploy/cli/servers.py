"""The servers of a stack without its services: for commands that must have the data to themselves."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local import stack as local_stack
from deploy.local.report import Report
from deploy.local.services import service_env
from services.handoff.app import HandoffService
from services.handoff.settings import HandoffSettings
from services.handoff.tables import SCHEMA as HANDOFF
from services.scoring.app import ScoringService
from services.scoring.settings import ScoringSettings
from services.scoring.tables import SCHEMA as SCORING
from shared.kafka.admin import ensure_topics
from shared.migrate import upgrade
from shared.settings import load


@contextmanager
def servers_only(
    data_dir: Path, config_dir: Path | None, report: Report
) -> Iterator[tuple[ScoringSettings, HandoffSettings]]:
    """Start Kafka and PostgreSQL, or use those the environment names; gives the settings the services would have.

    Raises AlreadyRunning while a stack runs on the folder.
    """
    with local_stack.start(data_dir, config_dir=config_dir, services=(), report=report) as stack:
        env = service_env(os.environ, stack.data, stack.addresses, str(stack.config_dir), 1)
        yield load(ScoringSettings, env), load(HandoffSettings, env)


async def prepare_servers(scoring: ScoringSettings, handoff: HandoffSettings) -> None:
    """Bring both schemas to their newest form, and make missing topics."""
    await upgrade(scoring.database, ScoringService.migrations, SCORING)
    await upgrade(handoff.database, HandoffService.migrations, HANDOFF)
    await ensure_topics(scoring.kafka)
