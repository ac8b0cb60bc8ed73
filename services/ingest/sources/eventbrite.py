"""Eventbrite: an action and the address of the object it is about; unsigned.

Source: headers and bodies captured in public fixtures. Without the object the lead is known by the attendee's or
order's number. `X-Eventbrite-Delivery` repeats the webhook's id and names no delivery.
"""

import re
from typing import Any
from urllib.parse import urlsplit

from services.ingest.sources.base import Adapter, Delivery, Ignored, Options, ParsedItem, Reply, Unreadable
from services.ingest.sources.bodies import json_items
from services.ingest.sources.drafts import an_object, each, lead, our_type, posted
from services.ingest.sources.signatures import shared_secret
from services.ingest.sources.values import derived_id, mapping, text

NAME = "eventbrite"
API_HOST = "www.eventbriteapi.com"
TYPES = {
    "order.placed": "seminar_registered",
    "order.updated": "order_updated",
    "order.refunded": "seminar_canceled",
    "attendee.updated": "profile_updated",
    "attendee.checked_in": "seminar_attended",
    "attendee.checked_out": "seminar_left",
    "barcode.checked_in": "seminar_attended",
    "barcode.un_checked_in": "seminar_left",
}
# One arrival is told by both, and must count once.
_SAME = {"barcode.checked_in": "attendee.checked_in"}
_PATH = re.compile(r"/v3/(?:events/(?P<event>\d+)/)?(?P<kind>attendees|orders)/(?P<id>\d+)/?", re.ASCII)


def parse(delivery: Delivery, options: Options) -> list[ParsedItem]:
    """One action, or an array of them."""
    return each(json_items(delivery), lambda item: _item(an_object(item), options))


def _item(item: dict[str, Any], options: Options) -> ParsedItem:
    config, address = mapping(item.get("config")), text(item.get("api_url")) or ""
    action = text(config.get("action"))
    if action == "test":
        return Ignored("test delivery")
    found = api_object(address)
    if found is None:
        raise Unreadable(f"{action} is not about an attendee or an order")
    event, kind, number = found
    return posted(
        options,
        {"config": {"action": action, "webhook_id": text(config.get("webhook_id"))}, "api_url": address},
        id_=derived_id(options.source, _SAME.get(action or "", action), address),
        kind=action,
        type_=our_type(action, TYPES, options),
        at=None,
        lead=lead(options, external=f"{kind}-{number}"),
        properties={"event": event, kind: number},
    )


def api_object(address: str) -> tuple[str | None, str, str] | None:
    """Event, kind (`attendee` or `order`) and number from an `api_url`, None for one that names neither.

    Raises Unreadable for an address that is not Eventbrite's own, so that no one makes us ask another server.
    """
    try:
        parts = urlsplit(address)
        own = parts.scheme == "https" and parts.hostname == API_HOST and parts.port in {None, 443}
    except ValueError:
        own = False
    if not own or parts.username is not None or parts.query or parts.fragment:
        raise Unreadable("api_url is not an address of Eventbrite's API")
    found = _PATH.fullmatch(parts.path)
    return (found["event"], found["kind"].removesuffix("s"), found["id"]) if found else None


ADAPTER = Adapter(name=NAME, verify=shared_secret, parse=parse, answer=Reply(200), secret_in_path=True)
