"""Bugs of deliveries, put in on purpose (see `plants`)."""

import asyncio
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

from deploy.chaos.planting import WINDOW_S, Plant, exchange, kills
from services.handoff import delivery_repository, sending
from services.handoff.core import delivery
from services.handoff.destinations import base


def _id_changes_over_a_retry() -> None:
    """Every attempt is a message of its own, as where the id is drawn when the request is made."""

    def message_id(self: Any) -> str:
        return f"{delivery.message_id(self.delivery_id)}-{time.time_ns():x}"

    exchange(base.Parcel, "message_id", property(message_id))


def _delivery_dropped_after_a_crash() -> None:
    """What a sender has claimed never comes back from it, as without a lease."""
    right = delivery_repository.DeliveryRepository.claim
    attempt = sending.make_attempt

    async def claim(self: Any, room: Any, now: Any, until: Any, mine: Any) -> Any:
        return await right(self, room, now, until + timedelta(days=3_650), mine)

    async def slow_attempt(*arguments: Any) -> Any:
        await asyncio.sleep(5 * WINDOW_S)
        return await attempt(*arguments)

    exchange(delivery_repository.DeliveryRepository, "claim", claim)
    exchange(sending, "make_attempt", slow_attempt)


def _delivered_without_an_answer() -> None:
    """A delivery counts as made once it is sent."""
    right = sending.make_attempt

    async def make_attempt(*arguments: Any) -> Any:
        return replace(await right(*arguments), state="delivered")

    exchange(sending, "make_attempt", make_attempt)


DELIVERY_PLANTS: dict[str, Plant] = {
    "id-changes": Plant("a delivery has another id when it is tried again", _id_changes_over_a_retry),
    "delivery-dropped": Plant(
        "a delivery in the hands of a process that dies is dropped",
        _delivery_dropped_after_a_crash,
        kills("handoff", "handoff-2"),
    ),
    "delivered-unanswered": Plant("a delivery counts as made once it is sent", _delivered_without_an_answer),
}
