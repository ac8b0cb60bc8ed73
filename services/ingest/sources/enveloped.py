"""CloudEvents as any sender's webhook: structured, batched, or binary with `ce-` headers around the data.

Source: cloudevents/spec 1.0.2, bindings/http-protocol-binding.md §3. Of ours is one of type `lead.activity.v1`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.ingest.cloudevents import (
    BATCH_TYPE,
    STRUCTURED_TYPE,
    Event,
    is_binary,
    open_binary,
    open_structured,
)
from services.ingest.sources.base import Delivery, Unreadable, to_bytes
from services.ingest.sources.bodies import json_body, json_items
from services.ingest.sources.flat import records
from services.ingest.sources.values import text
from shared.errors import ProblemError
from shared.events import ACTIVITY
from shared.posted import ActivityFaults

_BATCH, _STRUCTURED = (media_type.removesuffix("+json") for media_type in (BATCH_TYPE, STRUCTURED_TYPE))


@dataclass(frozen=True, slots=True)
class Told:
    """What a body says happened, and what its envelope says of that; `fault` where the envelope cannot be opened.

    `ours`: the data is an activity of our own shape, with its gaps filled.
    """

    data: Any
    id: str | None = None
    kind: str | None = None
    at: str | None = None
    ours: bool = False
    fault: str | None = None


def cloud_events(delivery: Delivery) -> list[Told] | None:
    """The events of a request that carries any, None for one that does not. Raises Unreadable."""
    if delivery.media_type.startswith(_BATCH):
        return [_told(event) for event in json_items(delivery)]
    if delivery.media_type.startswith(_STRUCTURED):
        return [_told(json_body(delivery))]
    headers = {
        name.lower().encode("latin-1", "replace"): to_bytes(value) for name, value in reversed(delivery.headers.pairs)
    }
    return [_of_headers(headers, delivery)] if is_binary(headers) else None


def _told(event: Any) -> Told:
    try:
        return _opened(open_structured(event))
    except ActivityFaults as error:
        return Told(event, fault=str(error))


def _of_headers(headers: Mapping[bytes, bytes], delivery: Delivery) -> Told:
    if not delivery.body.strip():
        raise Unreadable("the event has no data")
    found = records(delivery)
    try:
        return _opened(open_binary(headers, found[0] if len(found) == 1 else found))
    except ActivityFaults as error:
        raise Unreadable(str(error)) from None
    except ProblemError as error:
        raise Unreadable(error.detail) from None


def _opened(event: Event) -> Told:
    said = event.attributes
    if said["type"] == ACTIVITY:
        return Told(event.wrapped.raw, ours=True)
    return Told(event.data, id=said["id"], kind=said["type"], at=text(said.get("time")))
