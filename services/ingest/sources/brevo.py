"""Brevo: transactional and marketing events, alone or batched; unsigned.

Source: live captures in django-anymail's tests, headings of Brevo's guides. Only `ts_epoch` is free of the account's
time zone; `id` names the webhook, not the event.
"""

import json
from typing import Any

from services.ingest.sources.base import Adapter, Delivery, Options, ParsedItem
from services.ingest.sources.bodies import json_items
from services.ingest.sources.drafts import an_object, each, lead, mail_consent, origin, our_type, posted
from services.ingest.sources.people import folded
from services.ingest.sources.signatures import shared_secret
from services.ingest.sources.values import derived_id, from_date, from_millis, from_seconds, listing, text

NAME = "brevo"
TYPES = {
    "request": "email_sent",
    "delivered": "email_delivered",
    "hard_bounce": "email_bounced",
    "soft_bounce": "email_bounced",
    "blocked": "email_dropped",
    "spam": "email_unsubscribed",
    "complaint": "email_unsubscribed",
    "invalid_email": "email_bounced",
    "deferred": "email_deferred",
    "opened": "email_opened",
    "unique_opened": "email_opened",
    "proxy_open": "email_opened",
    "unique_proxy_open": "email_opened",
    "click": "email_clicked",
    "unsubscribe": "email_unsubscribed",
    "unsubscribed": "email_unsubscribed",
    "error": "email_failed",
    "list_addition": "newsletter_subscribed",
    "contact_updated": "profile_updated",
    "contact_deleted": "profile_deleted",
}
_WITHDRAWN = frozenset({"hard_bounce", "invalid_email", "spam", "complaint", "unsubscribe", "unsubscribed"})
_BOUNCES = {"hard_bounce": "hard", "invalid_email": "hard", "soft_bounce": "soft"}


def parse(delivery: Delivery, options: Options) -> list[ParsedItem]:
    """One event, or an array of them."""
    items = [single for item in json_items(delivery) for single in _singles(item)]
    return each(items, lambda item: _item(an_object(item), options))


def _singles(item: Any) -> list[Any]:
    """Changes of lists name several addresses at once."""
    addresses = item.get("email") if isinstance(item, dict) else None
    return (
        [{**item, "email": address} for address in addresses] if isinstance(addresses, list) and addresses else [item]
    )


def _item(item: dict[str, Any], options: Options) -> ParsedItem:
    said = text(item.get("event"))
    kind = folded(said) if said else None
    at = _time(item, options)
    campaign = text(item.get("camp_id"))
    mail = text(item.get("message-id")) or campaign
    # A list is joined by people and by imports; only the first kind of event is about mail.
    list_change = kind in {"list_addition", "contact_updated", "contact_deleted"}
    about = {
        "email_id": mail,
        "link": text(item.get("link")) or text(item.get("URL")),
        "subject": text(item.get("subject")),
        "campaign": text(item.get("campaign name")) or campaign,
        "template_id": text(item.get("template_id")),
        "list_ids": [found for entry in listing(item.get("list_id")) if (found := text(entry))],
        "tags": _tags(item),
        "reason": text(item.get("reason")),
        "bounce": _BOUNCES.get(kind or ""),
        "complaint": True if kind in {"spam", "complaint"} else None,
    }
    if not list_change:
        signals = ["proxy_open"] if kind in {"proxy_open", "unique_proxy_open"} else []
        about |= origin(signals=signals, agent=item.get("user_agent"), address=item.get("ip"))
    when = item.get("ts_epoch") or item.get("ts_event") or item.get("ts") or item.get("date")
    return posted(
        options,
        item,
        id_=derived_id(options.source, kind, mail, item.get("email"), when, about["link"]),
        kind=kind,
        type_=our_type(kind, TYPES, options),
        at=at,
        lead=lead(options, email=item.get("email")),
        properties=about,
        consent=mail_consent(options, at, granted=False) if kind in _WITHDRAWN else None,
    )


def _time(item: dict[str, Any], options: Options) -> str | None:
    """`ts_epoch` (ms), else the date in the source's zone, else seconds as they are."""
    if item.get("ts_epoch"):
        return from_millis(item["ts_epoch"])
    if text(item.get("date")):
        return from_date(item["date"], options.zone)
    return from_seconds(item.get("ts_event") or item.get("ts"))


def _tags(item: dict[str, Any]) -> list[str]:
    """`tags` is an array; the older `tag` is that array as a text, or a plain word."""
    tags = item.get("tags")
    if not isinstance(tags, list):
        said = text(item.get("tag")) or ""
        try:
            tags = listing(json.loads(said)) if said.startswith("[") else listing(said or None)
        except ValueError:
            tags = [said]
    return [tag for tag in tags if isinstance(tag, str)]


ADAPTER = Adapter(name=NAME, verify=shared_secret, parse=parse, best_effort=True, secret_in_path=True)
