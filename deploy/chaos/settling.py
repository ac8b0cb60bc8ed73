"""After the faults: wait until everything that was begun has come to its end."""

import asyncio
import time

import asyncpg

from deploy.chaos.stack import SufferingStack
from shared.errors import KizashiError

PATIENCE_S = 90.0
AGAIN_S = 0.2
AHEAD_S = 5 * 3_600
"""How far ahead handoff's clocks are put, so that nothing waits for its next attempt: what the schedule puts off, and
what was claimed or put off while a clock was an hour fast."""
FURTHER_S = 5.0
"""After how long without a delivery they are put ahead once more: an attempt may fail by the new clock, too."""
_WAITING = (
    "SELECT count(*) FILTER (WHERE state = 'waiting'), count(*),"
    " (SELECT count(*) FROM handoff.handoff WHERE handed_over_at IS NOT NULL) FROM handoff.delivery"
)


async def until_up(stack: SufferingStack) -> None:
    """Wait until everything runs again that the last faults ended. Raises KizashiError where something does not."""
    deadline = time.monotonic() + PATIENCE_S
    while down := [name for name, one in stack.state.processes.items() if one.pid is None or not one.ready]:
        if time.monotonic() > deadline:
            why = "\n".join(f"{name}: {stack.complaint(name)}" for name in down)
            raise KizashiError(f"after the faults these do not come back:\n{why}")
        await asyncio.sleep(AGAIN_S)


async def until_delivered(stack: SufferingStack, database: str) -> bool:
    """Wait until every lead that was handed over is delivered; False where that does not get on."""
    ahead = AHEAD_S
    _set_clocks(stack, ahead)
    connection = await asyncpg.connect(database)
    try:
        seen, since = None, time.monotonic()
        put_ahead = since
        while True:
            waiting, made, handed_over = await connection.fetchrow(_WAITING)
            if not waiting and made >= handed_over:
                return True
            if (waiting, made) != seen:
                seen, since = (waiting, made), time.monotonic()
            if time.monotonic() - max(since, put_ahead) > FURTHER_S:
                ahead, put_ahead = ahead + AHEAD_S, time.monotonic()
                _set_clocks(stack, ahead)
            if time.monotonic() - since > PATIENCE_S:
                return False
            await asyncio.sleep(AGAIN_S)
    finally:
        await connection.close()
        _set_clocks(stack, 0)


def _set_clocks(stack: SufferingStack, ahead_s: float) -> None:
    for name in ("handoff", "handoff-2"):
        stack.set_clock(name, ahead_s)
