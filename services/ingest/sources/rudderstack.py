"""RudderStack: the webhook destination, tracking calls as JSON, or flattened into the query of a GET; unsigned.

Source: rudder-transformer, `destinations/webhook`, which adds the headers an administrator sets and no signature.
"""

from typing import Any

from services.ingest.sources.base import Adapter, Delivery, Options, ParsedItem
from services.ingest.sources.bodies import json_items
from services.ingest.sources.drafts import each
from services.ingest.sources.signatures import shared_secret
from services.ingest.sources.tracking import tracking_item, unbatched

NAME = "rudderstack"
_MAX_NESTING = 12


def parse(delivery: Delivery, options: Options) -> list[ParsedItem]:
    """Tracking calls; `context.page.url=…` in a query is nested again."""
    items = [unflattened(delivery.query)] if not delivery.body.strip() and delivery.query else json_items(delivery)
    return each([call for item in items for call in unbatched(item)], lambda item: tracking_item(options, item))


def unflattened(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Dotted names as nested objects; a name that is both a value and a group keeps what came first."""
    tree: dict[str, Any] = {}
    for name, value in pairs:
        *groups, last = name.split(".")[:_MAX_NESTING]
        node: Any = tree
        for group in groups:
            node = node.setdefault(group, {}) if isinstance(node, dict) else None
        if isinstance(node, dict):
            node.setdefault(last, value)
    return tree


ADAPTER = Adapter(name=NAME, verify=shared_secret, parse=parse, best_effort=True, secret_in_path=True)
