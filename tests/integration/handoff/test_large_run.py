"""A hundred thousand leads in one run, the process killed in the middle of it."""

import asyncio
import os
import signal
import time
from datetime import UTC, datetime, timedelta

import asyncpg
import orjson
import pytest

from services.handoff.tables import SCHEMA
from shared.clock import to_rfc3339
from shared.migrate import upgrade
from shared.settings import DatabaseSettings
from tests.integration.handoff.desk import MIGRATIONS
from tests.integration.handoff.service import Stack
from tests.unit.handoff.builders import body

LEADS = 100_000
AGAIN_S = 0.1
RULES = """
queues:
  desk:
    members: [{{name: sato, capacity_per_day: 500}}, {{name: suzuki, weight: 2.0}}]
    calendar: {{timezone: Asia/Tokyo, country: JP, hours: "09:00-18:00", days: MON-FRI}}
    respond_within: 4h
rules:
  - {{id: weekly, enter: 50, to: desk, when: {{every: "{every}", timezone: UTC}}}}
"""
REASONS = [{"rule": f"rule-{number}", "points": 13.0, "count": 3} for number in range(4)]
RECENT = [
    {
        "id": f"a{number}",
        "source": "web",
        "type": "page_viewed",
        "occurred_at": "2026-11-01T00:00:00.000000Z",
        "properties": {"url": "https://www.example.co.jp/products/pricing", "campaign": "autumn-expo"},
    }
    for number in range(10)
]
FILL = """
WITH made AS (SELECT lpad(n::text, 8, '0') AS lead, ('00000000-0000-5000-8000-' || lpad(n::text, 12, '0'))::uuid AS id
    FROM generate_series(1, $1::int) AS n),
leads AS (INSERT INTO handoff.lead (id, version, state)
    SELECT lead, 1, convert_to(replace($3::text, 'LEAD', lead), 'UTF8') FROM made),
crossings AS (INSERT INTO handoff.crossing (lead_id, rule, armed, previous, cycle, crossed_at, open_handoff, version)
    SELECT lead, 'weekly', false, 5200, 1, $2, id, 1 FROM made),
lines AS (INSERT INTO handoff.history (handoff_id, number, state, at, by)
    SELECT id, 1, 'qualified', $2, 'kizashi' FROM made)
INSERT INTO handoff.handoff (id, lead_id, rule, cycle, state, queue, mode, model, model_version, crossed_at,
    expires_at, close_at, revision)
    SELECT id, lead, 'weekly', 1, 'qualified', 'desk', 'scheduled', 'test', 3, $2, $2 + interval '90 days',
    $2 + interval '90 days', 1 FROM made
"""


async def fill(stack: Stack, at: datetime) -> None:
    """As many waiting handoffs, as judging would have left them."""
    await upgrade(DatabaseSettings(url=stack.database), MIGRATIONS, SCHEMA)
    state = body(52, lead_id="LEAD", evaluated_at=to_rfc3339(at - timedelta(hours=1)), recent_activities=RECENT)
    state["models"]["test"]["reasons"] = REASONS
    conn = await asyncpg.connect(stack.database)
    await conn.execute(FILL, LEADS, at - timedelta(hours=1), orjson.dumps(state).decode())
    await conn.execute("INSERT INTO handoff.schedule_mark VALUES ('weekly', $1)", at - timedelta(hours=1))
    await conn.execute("ANALYZE handoff.handoff, handoff.lead")
    await conn.close()


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_a_hundred_thousand_leads_in_one_run_with_a_kill_in_the_middle(stack: Stack) -> None:
    at = datetime.now(UTC).replace(second=0, microsecond=0)
    stack.write_rules(RULES.format(every=f"MON-SUN {at:%H:%M}"))
    await fill(stack, at)
    conn = await asyncpg.connect(stack.database)

    async def handed_over(least: int) -> None:
        deadline = time.monotonic() + 300
        while await conn.fetchval("SELECT coalesce(max(count), 0) FROM handoff.extraction") < least:
            assert time.monotonic() < deadline, (stack.folder / "service.log").read_text()[-3000:]
            await asyncio.sleep(AGAIN_S)  # asking without pause would take what the run needs

    first = stack.start()
    await handed_over(1)
    started = time.monotonic()
    await handed_over(LEADS // 2)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    half_s = time.monotonic() - started
    stack.start()
    await stack.ready(120)
    started = time.monotonic()
    before = await conn.fetchval("SELECT max(count) FROM handoff.extraction")
    await handed_over(LEADS)
    rest_s = time.monotonic() - started
    await stack.drained(within_s=300)
    published_s = time.monotonic() - started
    run = await conn.fetchrow("SELECT state, count, lapsed FROM handoff.extraction")
    assert tuple(run) == ("completed", LEADS, 0)
    assert await conn.fetchval("SELECT count(DISTINCT lead_id) FROM handoff.extraction_row") == LEADS
    assert await conn.fetchval("SELECT max(number) FROM handoff.extraction_row") == LEADS
    assert await conn.fetchval("SELECT count(*) FROM handoff.handoff WHERE owner = 'sato'") == 500
    await conn.close()
    leads = {f"{number:08}": None for number in range(1, LEADS + 1)}
    keys = [record["key"] for record in await stack.read("qualified-leads", leads)]
    assert len(keys) == len(set(keys)) == LEADS
    print(
        f"\nrun of {LEADS} leads: {half_s:.1f} s for the first half, killed;"
        f" {LEADS - before} more in {rest_s:.1f} s, published after {published_s:.1f} s"
    )
