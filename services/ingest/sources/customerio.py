"""Customer.io: reporting webhooks, one JSON object a request.

Source: Customer.io's OpenAPI text. All later calls queue behind a failing one, so what is genuine is never refused.
"""

from typing import Any

from services.ingest.sources.base import Adapter, Delivery, Options, ParsedItem
from services.ingest.sources.bodies import json_items
from services.ingest.sources.drafts import an_object, each, lead, mail_consent, origin, our_type, posted
from services.ingest.sources.recipes import Recipe
from services.ingest.sources.signatures import by_recipe
from services.ingest.sources.values import from_seconds, given_id, mapping, text, truth

NAME = "customerio"
TYPES = {
    "email_drafted": "email_drafted",
    "email_attempted": "email_attempted",
    "email_sent": "email_sent",
    "email_delivered": "email_delivered",
    "email_opened": "email_opened",
    "email_clicked": "email_clicked",
    "email_converted": "email_converted",
    "email_bounced": "email_bounced",
    "email_dropped": "email_dropped",
    "email_spammed": "email_unsubscribed",
    "email_failed": "email_failed",
    "email_undeliverable": "email_undeliverable",
    "email_unsubscribed": "email_unsubscribed",
    "customer_subscribed": "newsletter_subscribed",
    "customer_unsubscribed": "email_unsubscribed",
}
"""Object type and metric together; what happens on other channels (sms, push …) keeps its own two words."""
_CONSENT = {
    "email_bounced": False,
    "email_spammed": False,
    "email_unsubscribed": False,
    "customer_unsubscribed": False,
    "customer_subscribed": True,
}
_FLAGS = {"proxied": "proxy_open", "prefetched": "prefetched", "synthetic": "synthetic", "machine": "machine_click"}

verify = by_recipe(
    Recipe(header="X-CIO-Signature", signed="v0:{timestamp}:{body}", timestamp="X-CIO-Timestamp", encoding="hex")
)


def parse(delivery: Delivery, options: Options) -> list[ParsedItem]:
    """One event, or an array of them."""
    return each(json_items(delivery), lambda item: _item(an_object(item), options))


def _item(item: dict[str, Any], options: Options) -> ParsedItem:
    data = mapping(item.get("data"))
    who = mapping(data.get("identifiers"))
    kind, at = f"{text(item.get('object_type'))}_{text(item.get('metric'))}", from_seconds(item.get("timestamp"))
    recipient = text(data.get("recipient")) or ""
    about = {
        "email_id": text(data.get("delivery_id")),
        "campaign": text(data.get("campaign_id")) or text(data.get("broadcast_id")) or text(data.get("newsletter_id")),
        "subject": text(data.get("subject")),
        "link": text(data.get("href")) or text(data.get("link")),
        "reason": text(data.get("failure_message")),
        "complaint": True if kind == "email_spammed" else None,
    }
    if kind in {"email_opened", "email_clicked"}:
        about |= origin(signals=[word for flag, word in _FLAGS.items() if truth(data.get(flag))])
    granted = _CONSENT.get(kind)
    named = (kind, data.get("delivery_id"), data.get("customer_id"), item.get("timestamp"), about["link"])
    return posted(
        options,
        item,
        id_=given_id(options.source, item.get("event_id"), *named),
        kind=kind,
        type_=options.types.get(text(item.get("metric")) or "") or our_type(kind, TYPES, options),
        at=at,
        lead=lead(
            options,
            email=who.get("email") or data.get("email_address") or (recipient if "@" in recipient else None),
            external=data.get("customer_id") or who.get("id") or who.get("cio_id"),
        ),
        properties=about,
        consent=None if granted is None else mail_consent(options, at, granted=granted),
    )


ADAPTER = Adapter(name=NAME, verify=verify, parse=parse, best_effort=True)
