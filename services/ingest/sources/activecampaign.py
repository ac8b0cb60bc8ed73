"""ActiveCampaign: one form-encoded event a request, with PHP's brackets; unsigned, never sent twice.

Source: the AsyncAPI text made from ActiveCampaign's webhook reference.
"""

from typing import Any

from services.ingest.sources.base import Adapter, Delivery, Options, ParsedItem
from services.ingest.sources.drafts import an_object, each, lead, mail_consent, origin, our_type, posted
from services.ingest.sources.flat import records
from services.ingest.sources.people import attributes, person
from services.ingest.sources.signatures import shared_secret
from services.ingest.sources.values import derived_id, from_date, mapping, text

NAME = "activecampaign"
TYPES = {
    "subscribe": "newsletter_subscribed",
    "unsubscribe": "email_unsubscribed",
    "update": "profile_updated",
    "contact_tag_added": "profile_updated",
    "contact_tag_removed": "profile_updated",
    "open": "email_opened",
    "click": "email_clicked",
    "sent": "email_sent",
    "reply": "email_replied",
    "forward": "email_forwarded",
    "share": "email_shared",
    "bounce": "email_bounced",
}
_CONSENT = {"subscribe": True, "unsubscribe": False, "bounce": False}


def parse(delivery: Delivery, options: Options) -> list[ParsedItem]:
    """One event; the contact's own fields stand under `contact[fields]`."""
    return each(records(delivery), lambda item: _item(an_object(item), options))


def _item(item: dict[str, Any], options: Options) -> ParsedItem:
    contact, campaign, link = (mapping(item.get(name)) for name in ("contact", "campaign", "link"))
    kind, said = text(item.get("type")), item.get("date_time")
    at = from_date(said, options.zone)
    known = person({**mapping(contact.get("fields")), **contact}, options.region)
    form = mapping(item.get("form"))
    soft = kind == "bounce" and "soft" in (text(mapping(item.get("bounce")).get("type")) or "").lower()
    granted = None if soft else _CONSENT.get(kind or "")
    about = {
        "email_id": text(campaign.get("id")),
        "campaign": text(campaign.get("name")),
        "subject": text(mapping(campaign.get("message")).get("subject")),
        "link": text(link.get("url")),
        "form": text(form.get("id")),
        "list_id": text(item.get("list")),
        "tag": text(item.get("tag")),
        "tags": [tag.strip() for tag in (text(contact.get("tags")) or "").split(",") if tag.strip()],
        "initiated_from": text(item.get("initiated_from")),
        "bounce": None if kind != "bounce" else "soft" if soft else "hard",
    }
    if kind in {"open", "click"}:
        about |= origin(address=contact.get("ip"))
    return posted(
        options,
        item,
        id_=derived_id(
            options.source, kind, contact.get("id"), said, campaign.get("id"), link.get("id"), *_further(kind, item)
        ),
        kind=kind,
        type_=our_type(kind, TYPES, options),
        at=at,
        lead=lead(options, email=known.get("email"), phone=known.get("phone"), external=contact.get("id")),
        attributes=attributes(known),
        properties=about,
        consent=None if granted is None else mail_consent(options, at, granted=granted),
    )


def _further(kind: str | None, item: dict[str, Any]) -> tuple[Any, ...]:
    """Two tags set in the same second, or two lists joined at once, are two events."""
    return (item.get("tag"),) if kind in {"contact_tag_added", "contact_tag_removed"} else (item.get("list"),)


ADAPTER = Adapter(name=NAME, verify=shared_secret, parse=parse, best_effort=True, secret_in_path=True)
