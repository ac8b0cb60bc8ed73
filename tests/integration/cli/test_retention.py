"""`kizashi retention` on a database with old activities."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from deploy.cli.retention import app
from tests.integration.scoring.desk import SECRET, Desk, open_desk
from tests.integration.scoring.model_desk import fold

LONG_AGO = datetime(2024, 1, 10, 9, 0, tzinfo=UTC)


@pytest.fixture
async def desk(database: str, tmp_path: Path) -> AsyncIterator[Desk]:
    desk = await open_desk(database, tmp_path)
    desk.now = LONG_AGO
    for number in range(3):
        lead = {"email": f"p{number % 2}@example.co.jp"}
        occurred_at = f"2024-01-0{number + 1}T00:00:00Z"
        await desk.receive({"id": f"a{number}", "type": "page_viewed", "occurred_at": occurred_at, "lead": lead})
    yield desk
    await desk.engine.dispose()
    await desk.pool.close()


async def run(desk: Desk, *arguments: str) -> Result:
    env = {
        "KIZASHI_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "KIZASHI_DATABASE__URL": desk.settings.database.url.get_secret_value(),
        "KIZASHI_IDENTITY_SECRET": SECRET,
        "KIZASHI_CONFIG_DIR": str(desk.settings.config_dir),
    }
    wanted = [*arguments, "--data-dir", str(desk.settings.data_dir)]
    return await asyncio.to_thread(lambda: CliRunner(env=env).invoke(app, wanted))


async def asked(desk: Desk, *arguments: str) -> Any:
    result = await run(desk, *arguments, "--json")
    assert result.exit_code == 0, (result.stderr, result.exception)
    return json.loads(result.stdout)


async def test_it_counts_then_removes_then_says_so(desk: Desk) -> None:
    assert await asked(desk) == {"before": None}
    counted = await asked(desk, "--days", "400")
    assert (counted["activities"], counted["leads"]) == (3, 2)
    assert "3 activities of 2 leads from before" in (await run(desk, "--days", "400")).stdout
    assert await desk.pool.fetchval("SELECT count(*) FROM scoring.activity") == 3
    too_early = await run(desk, "--days", "400", "--remove")
    assert (too_early.exit_code, str(too_early.exception)[:24]) == (1, "another process rewrites")
    await fold(desk)
    removed = await asked(desk, "--days", "400", "--remove")
    assert (removed["activities"], removed["leads"], removed["kept"]) == (3, 2, 0)
    assert await asked(desk) == removed
    assert await desk.pool.fetchval("SELECT count(*) FROM scoring.activity") == 0
    assert (await asked(desk, "--days", "400"))["activities"] == 0
    assert (await desk.replayed()).differences == []
    assert "3 activities of 2 leads from before" in (await run(desk)).stdout


@pytest.mark.parametrize("arguments", [["--remove"], ["--days", "30"]])
async def test_wrong_use_is_refused(desk: Desk, arguments: list[str]) -> None:
    assert (await run(desk, *arguments)).exit_code == 2
