"""`kizashi backtest` on a million activities; how long it takes is printed."""

import random
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

COUNT, LEADS, OUTCOMES = 1_000_000, 50_000, 5_000
START = datetime(2026, 1, 1, tzinfo=UTC)
KINDS = ["page_viewed", "page_viewed", "email_clicked", "document_downloaded", "webinar_attended", "form_submitted"]


def write(folder: Path) -> None:
    dice = random.Random(1)
    with (folder / "activities.ndjson").open("wb") as file:
        for number in range(COUNT):
            at = START + timedelta(seconds=dice.randrange(300 * 86_400))
            raw = {
                "id": f"a{number}",
                "type": dice.choice(KINDS),
                "occurred_at": at.isoformat(),
                "lead": {"email": f"p{dice.randrange(LEADS)}@example.co.jp"},
                "properties": {"url": dice.choice(["/pricing", "/", "/blog"]), "document": f"d{dice.randrange(9)}"},
            }
            file.write(orjson.dumps(raw) + b"\n")
    with (folder / "outcomes.ndjson").open("wb") as file:
        for number in range(OUTCOMES):
            at = START + timedelta(seconds=dice.randrange(60 * 86_400, 300 * 86_400))
            raw = {
                "lead": f"p{number}@example.co.jp",
                "outcome": dice.choice(["converted", "lost", "rejected"]),
                "at": at.isoformat(),
            }
            file.write(orjson.dumps(raw) + b"\n")


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_a_million_activities(tmp_path: Path) -> None:
    write(tmp_path)
    command = [
        sys.executable, "-m", "deploy.cli.main", "backtest", "--model", "config/examples/b2b-saas/model.yaml",
        "--activities", str(tmp_path / "activities.ndjson"), "--outcomes", str(tmp_path / "outcomes.ndjson"),
        "--threshold", "20", "--per-week", "20", "--json",
    ]  # fmt: skip
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, check=True, timeout=1_700)
    took, used = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"kizashi backtest: {COUNT:,} activities, {OUTCOMES:,} outcomes in {took:.0f} s,"
        f" {used.ru_utime + used.ru_stime:.0f} s of processor time, {used.ru_maxrss / 1_024:,.0f} MiB"
    )
    found = orjson.loads(done.stdout)
    assert found["judged"]["leads"] + found["earlier"]["leads"] == OUTCOMES
    assert found["judged"]["too_few"] is None
    assert sum(band["conversion"]["of"] for band in found["bands"]) == found["judged"]["leads"]
    assert found["leads_per_week"] > 0
    assert found["for_volume"]["threshold"] > 0
