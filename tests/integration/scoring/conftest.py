"""A migrated database with a small model, and a handler on it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.scoring.desk import Desk, open_desk


@pytest.fixture
async def desk(database: str, tmp_path: Path) -> AsyncIterator[Desk]:
    desk = await open_desk(database, tmp_path)
    yield desk
    await desk.engine.dispose()
    await desk.pool.close()
