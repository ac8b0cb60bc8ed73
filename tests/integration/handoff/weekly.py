"""A rule that hands over on Fridays, and what its runs have done."""

from datetime import timedelta

from services.handoff.core.rules import load_rules
from tests.integration.handoff.desk import Desk
from tests.unit.handoff.builders import day

FRIDAY = day(5)  # 09:00 on Friday 6 November 2026 in Tokyo
AFTER = timedelta(seconds=3)
KEY = "weekly/2026-11-06T09:00"
WEEKLY = """
queues:
  desk: {members: [{name: sato, capacity_per_day: 2}], respond_within: 4h}
rules:
  - id: weekly
    enter: 50
    leave: 45
    cooldown: 1d
    to: desk
    when: {every: "FRI 09:00", timezone: Asia/Tokyo, missed: MISSED}
"""


def use(desk: Desk, missed: str = "run_once", **changes: str) -> None:
    text = WEEKLY.replace("MISSED", missed)
    for before, after in changes.items():
        text = text.replace(before, after)
    desk.book = load_rules(text).rulebook(3)


async def started(desk: Desk, at: float = 1) -> None:
    """A first look, from which on runs are known."""
    await desk.run_at(day(at))


async def extractions(desk: Desk) -> list[tuple[str, str, int, int]]:
    rows = await desk.pool.fetch("SELECT key, state, count, lapsed FROM handoff.extraction ORDER BY at, key")
    return [tuple(row) for row in rows]
