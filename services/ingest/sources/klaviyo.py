"""Klaviyo: system webhooks with up to 1,000 events, signed; the webhook step of a flow is unsigned and free in shape.

Source: Klaviyo's page "Working with system webhooks". The signed text is the body, then the time as its header has it.
"""

from collections.abc import Mapping
from typing import Any

from services.ingest.sources.base import Adapter, Delivery, Options, ParsedItem, Unreadable
from services.ingest.sources.bodies import json_items
from services.ingest.sources.drafts import an_object, each, lead, mail_consent, origin, our_type, posted, says_soft
from services.ingest.sources.flat import flat_item
from services.ingest.sources.people import attributes, person
from services.ingest.sources.recipes import Recipe
from services.ingest.sources.signatures import by_recipe, signed_or_shared
from services.ingest.sources.values import from_any, given_id, listing, mapping, text, truth, unnamed

NAME = "klaviyo"
SIGNATURE, WEBHOOK_ID = "Klaviyo-Signature", "Klaviyo-Webhook-Id"
TYPES = {
    "received_email": "email_delivered",
    "opened_email": "email_opened",
    "clicked_email": "email_clicked",
    "bounced_email": "email_bounced",
    "dropped_email": "email_dropped",
    "marked_email_as_spam": "email_unsubscribed",
    "unsubscribed_from_email_marketing": "email_unsubscribed",
    "unsubscribed_from_list": "email_unsubscribed",
    "subscribed_to_email_marketing": "newsletter_subscribed",
    "subscribed_to_list": "newsletter_subscribed",
    "submitted_form": "form_submitted",
    "filled_out_form": "form_submitted",
    "viewed_page": "page_viewed",
    "active_on_site": "page_viewed",
    "placed_order": "order_placed",
}
_CONSENT = {
    "bounced_email": False,
    "marked_email_as_spam": False,
    "unsubscribed_from_email_marketing": False,
    "subscribed_to_email_marketing": True,
}

_signed = by_recipe(
    Recipe(header=SIGNATURE, signed="{body}{timestamp}", timestamp="Klaviyo-Timestamp", time_format="http_date")
)
verify = signed_or_shared(_signed, SIGNATURE)


def parse(delivery: Delivery, options: Options) -> list[ParsedItem]:
    """`{"data": [item, …], "meta"}` of a system webhook, else flat records of a flow; either also in an array."""
    webhook = delivery.headers.first(WEBHOOK_ID)
    found = [pair for body in json_items(delivery) for pair in _items(body, webhook)]
    return each(
        found,
        lambda pair: _item(an_object(pair[1]), options) if pair[0] else flat_item(options, pair[1], types=TYPES),
    )


def _items(body: Any, webhook: str | None) -> list[tuple[bool, Any]]:
    """Whether it is a system webhook's, and the item. Raises Unreadable."""
    if not isinstance(body, dict) or _is_system(body):
        return [(isinstance(body, dict), body)]
    data = listing(body.get("data"))
    if "data" not in body or ("meta" not in body and not any(map(_is_system, data))):
        return [(False, body)]
    told = text(mapping(body.get("meta")).get("klaviyo_webhook_id"))
    if webhook and told and webhook != told:
        raise Unreadable(f"header {WEBHOOK_ID} names another webhook than the body")
    return [(True, item) for item in data]


def _is_system(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("topic"), str) and isinstance(item.get("payload"), dict)


def _item(item: dict[str, Any], options: Options) -> ParsedItem:
    topic = text(item.get("topic"))
    kind = topic.rpartition(".")[2] if topic else None
    event = mapping(mapping(item.get("payload")).get("data")) or mapping(item.get("payload"))
    facts = mapping(event.get("attributes"))
    properties = mapping(facts.get("event_properties"))
    at = from_any(facts.get("datetime") or facts.get("timestamp"), options.zone)
    who, profile = _profile(item, event)
    # Only the profile describes the lead; a property called `name` or `title` describes the event.
    described = set(person(profile, options.region))
    known = person({**properties, **profile}, options.region)
    about = {
        "email_id": text(properties.get("$message")) or text(properties.get("Campaign Name")),
        "campaign": text(properties.get("Campaign Name")),
        "subject": text(properties.get("Subject")),
        "link": text(properties.get("URL")) or text(properties.get("url")),
        "form": text(properties.get("form_id")) or text(properties.get("Form ID")),
        "bounce": text(properties.get("Bounce Type")) if kind == "bounced_email" else None,
        "complaint": True if kind == "marked_email_as_spam" else None,
    }
    if kind in {"opened_email", "clicked_email"}:
        signals = ["machine_open"] if truth(properties.get("machine_open")) else []
        about |= origin(signals=signals, agent=properties.get("Client Name"))
    named = (event.get("id"), facts.get("uuid"))
    granted = None if says_soft(about["bounce"]) else _CONSENT.get(kind or "")
    return posted(
        options,
        item,
        id_=given_id(options.source, item.get("external_id"), topic, *named, unnamed(item, *named)),
        kind=kind,
        type_=options.types.get(topic or "") or our_type(kind, TYPES, options),
        at=at,
        lead=lead(options, email=known.get("email"), phone=known.get("phone"), external=who),
        attributes=attributes({name: value for name, value in known.items() if name in described}),
        properties=about,
        consent=None if granted is None else mail_consent(options, at, granted=granted),
    )


def _profile(item: Mapping[str, Any], event: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """The profile's id, and what is told of it, where the payload includes the profile."""
    related = mapping(mapping(mapping(event.get("relationships")).get("profile")).get("data"))
    told: dict[str, Any] = {}
    for included in listing(mapping(item.get("payload")).get("included")):
        if mapping(included).get("type") == "profile":
            told.update(mapping(mapping(included).get("attributes")))
    if event.get("type") == "profile":
        return text(event.get("id")), {**told, **mapping(event.get("attributes"))}
    return text(related.get("id")), told


ADAPTER = Adapter(name=NAME, verify=verify, parse=parse, secret_in_path=True)
