"""Signed webhooks to a local receiver, and what destinations that hang do to the others."""

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial

import httpcore2

from deploy.bench.delivery_rig import Desk, desk, event
from deploy.bench.measuring import Line, compare
from deploy.bench.rig import serving, stack_of
from services.handoff.destinations.webhook import body_of
from services.handoff.sending import Sender
from shared.clock import system_clock

COUNT = 1_500
HEALTHY, SICK = 4, 4
WARM_UP, EVENTS, EVERY_S = 50, 600, 0.01
CONCURRENCY = 16
"""As `KIZASHI_HANDOFF__DELIVERY_CONCURRENCY` has it by default."""


async def measure() -> AsyncIterator[Line]:
    """webhook_delivery, webhook_delivery_p99_sick."""
    with (
        stack_of([]) as stack,
        serving("deploy.bench.limits.bare_asgi") as receiver,
        serving("deploy.bench.limits.hanging") as hanging,
    ):
        async with desk(stack.addresses.database_url, stack.data.path, (receiver, hanging)) as office:
            yield await compare(
                "webhook_delivery", "/s", partial(_deliver, office, receiver), limit=partial(_bare, receiver)
            )
            well = partial(_p99, office, receiver, None)
            sick = partial(_p99, office, receiver, hanging)
            yield await compare("webhook_delivery_p99_sick", "ms", sick, limit=well)


async def _deliver(office: Desk, receiver: str) -> float:
    """Deliveries a second: claimed, signed, sent, written down."""
    id_ = await office.make(receiver)
    await office.publish([event() for _ in range(COUNT)])
    started = time.perf_counter()
    async with office.sending():
        await office.delivered([id_], COUNT)
        seconds = time.perf_counter() - started
    await office.remove()
    return COUNT / seconds


async def _bare(receiver: str) -> float:
    """The same bodies by a bare client with as many connections: nothing claimed, signed or written down."""
    bodies = [body_of(one.type, one.time, one.value) for one in (event() for _ in range(COUNT))]
    async with httpcore2.AsyncConnectionPool(max_connections=CONCURRENCY) as pool:

        async def send() -> None:
            while bodies:
                answer = await pool.request(
                    "POST", receiver, headers={"Content-Type": "application/json"}, content=bodies.pop()
                )
                assert answer.status == 202

        started = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(CONCURRENCY):
                tasks.create_task(send())
        return COUNT / (time.perf_counter() - started)


async def _p99(office: Desk, receiver: str, hanging: str | None) -> float:
    """Milliseconds from an event's transaction to the end of its delivery, at healthy destinations.

    The first ones open the connections; among the slowest hundredth they would be all there is.
    """
    healthy = [await office.make(receiver) for _ in range(HEALTHY)]
    for _ in range(SICK if hanging else 0):
        await office.make(hanging or "")
    async with office.sending() as sender:
        await _publish_evenly(office, sender, WARM_UP)
        await office.delivered(healthy, HEALTHY * WARM_UP)
        warm_at = system_clock()
        await _publish_evenly(office, sender, EVENTS)
        await office.delivered(healthy, HEALTHY * (WARM_UP + EVENTS))
    found: float = await office.pool.fetchval(
        "SELECT percentile_cont(0.99) WITHIN GROUP"
        " (ORDER BY extract(epoch FROM a.at - d.created_at) * 1000 + a.took_ms)"
        " FROM handoff.attempt a JOIN handoff.delivery d ON d.id = a.delivery_id"
        " WHERE a.destination_id = ANY($1::uuid[]) AND a.outcome = 'delivered' AND d.created_at >= $2",
        healthy,
        warm_at,
    )
    await office.remove()
    return float(found)


async def _publish_evenly(office: Desk, sender: Sender, count: int) -> None:
    for _ in range(count):
        await office.publish([event()])
        sender.wake()
        await asyncio.sleep(EVERY_S)
