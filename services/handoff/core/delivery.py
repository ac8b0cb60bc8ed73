"""Which events go to which destinations, and under which ids. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from services.handoff.core.destination import EVERY
from shared.events import EXTRACTION_COMPLETED, QUALIFIED

EARLIER = timedelta(minutes=1)
"""What was published this much before a destination was made is still delivered: clocks differ."""
_NAMESPACE = uuid5(NAMESPACE_URL, "https://kizashi.invalid/delivery")


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a topic. `published_at` is the record's time, `value` the data as it came."""

    id: str
    source: str
    type: str
    time: str
    topic: str
    lead_id: str
    published_at: datetime
    value: bytes
    data: dict[str, Any]

    @property
    def rule(self) -> Any:
        """The rule it is about, None where it is about none."""
        return self.data.get("rule")

    @property
    def queue(self) -> Any:
        """The queue it is about, None where it is about none."""
        return _part(self.data, "handoff").get("queue") or self.data.get("queue")

    @property
    def extraction(self) -> str | None:
        """The collected run it belongs to, or tells the end of."""
        found = _part(self.data, "handoff").get("extraction") or self.data.get("extraction_id")
        return str(found) if found else None


@dataclass(frozen=True, slots=True)
class Wish:
    """What a destination wants: a filter, and since when."""

    destination_id: UUID
    events: frozenset[str]
    rules: frozenset[str] | None
    queues: frozenset[str] | None
    collects: bool
    since: datetime


State = Literal["waiting", "collected", "delivered", "failed", "skipped"]


def standing(wish: Wish, event: Event) -> State | None:
    """How a delivery of this event begins: `waiting` to be sent, `collected` for the message of its run, or not at all.

    The end of a run is told to whoever collects its leads, whether or not it was asked for by name.
    """
    if event.published_at < wish.since - EARLIER or not _asked_for(wish, event):
        return None
    if wish.rules is not None and event.rule not in wish.rules:
        return None
    if wish.queues is not None and event.queue not in wish.queues:
        return None
    return "collected" if wish.collects and event.type == QUALIFIED and event.extraction else "waiting"


def _asked_for(wish: Wish, event: Event) -> bool:
    if event.type in wish.events or EVERY in wish.events:
        return True
    # A list of who is hot has no records of its own that could have been collected.
    tells_a_run = event.type == EXTRACTION_COMPLETED and event.data.get("kind") != "list"
    return wish.collects and tells_a_run and QUALIFIED in wish.events


def delivery_id(destination_id: UUID, source: str, event_id: str) -> UUID:
    """The same for the same event and destination, whatever is read or sent again."""
    return uuid5(_NAMESPACE, f"{destination_id}\n{source}\n{event_id}")


def message_id(delivery: UUID) -> str:
    """The `webhook-id` under which a delivery is sent, by every attempt."""
    return f"msg_{delivery.hex}"


def _part(data: dict[str, Any], name: str) -> dict[str, Any]:
    part = data.get(name)
    return part if isinstance(part, dict) else {}
