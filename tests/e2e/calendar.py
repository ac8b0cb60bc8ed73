"""A stack whose days a test chooses: the services as they are, with a clock that can be set."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from deploy.chaos.service import command
from deploy.local.paths import DataFolder
from deploy.local.ports import PortBlock, free_block
from deploy.local.report import Silent
from deploy.local.stack import Stack, StackOptions
from shared.clock import system_clock
from tests.conftest import PARTITIONS


@dataclass(frozen=True, slots=True)
class Calendar:
    """The clock of all services of one stack; it goes on from wherever it is put."""

    file: Path

    def put(self, instant: datetime) -> None:
        """Make it this instant now."""
        draft = self.file.with_suffix(".new")
        draft.write_text(str((instant - system_clock()).total_seconds()), encoding="ascii")
        draft.replace(self.file)  # at once: nobody may read half a number


@contextmanager
def stack_at(instant: datetime, folder: Path, config: Path, env: dict[str, str]) -> Iterator[tuple[Stack, Calendar]]:
    """A started stack in which it is `instant`."""
    block: PortBlock = free_block()
    calendar = Calendar(folder / "clock")
    calendar.put(instant)

    def of(name: str) -> tuple[str, ...]:
        return command(name, "local", block.kafka, None if name == "ingest" else block.postgres, calendar.file)

    options = StackOptions(
        data_dir=DataFolder.at(folder / "data").path,
        config_dir=config,
        port_base=block.base,
        env={**os.environ, "KIZASHI_KAFKA__PARTITIONS": str(PARTITIONS), **env},
        command=of,
    )
    with Stack(options, Silent()) as stack:
        stack.start()
        yield stack, calendar


def before(instant: datetime, **span: float) -> datetime:
    """So long before it."""
    return instant - timedelta(**span)
