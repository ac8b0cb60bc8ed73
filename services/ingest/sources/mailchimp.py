"""Mailchimp Marketing: audience webhooks, one form-encoded event a request, signed where signing was switched on.

Source: the guide "Sync audience data with webhooks". Times are GMT without an offset.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from services.ingest.sources.base import Adapter, Delivery, Options, ParsedItem, Reply
from services.ingest.sources.bodies import form_body
from services.ingest.sources.drafts import each, lead, mail_consent, our_type, posted
from services.ingest.sources.flat import records
from services.ingest.sources.people import attributes, person
from services.ingest.sources.recipes import Recipe
from services.ingest.sources.signatures import by_recipe, signed_or_shared
from services.ingest.sources.values import derived_id, from_date, mapping, text

NAME = "mailchimp"
SIGNATURE = "X-Mailchimp-Signature"
TYPES = {
    "subscribe": "newsletter_subscribed",
    "unsubscribe": "email_unsubscribed",
    "cleaned": "email_bounced",
    "profile": "profile_updated",
    "upemail": "profile_updated",
    "campaign": "campaign_sent",
}
_CONSENT = {"subscribe": True, "unsubscribe": False, "cleaned": False}

_signed = by_recipe(Recipe(header=SIGNATURE, signed="{timestamp}.{body}", form="fields"))
verify = signed_or_shared(_signed, SIGNATURE)


def handshake(delivery: Delivery, secrets: Sequence[str], now: datetime, options: Options) -> Reply | None:  # noqa: ARG001 - the shape of a handshake
    """When an address is saved Mailchimp asks for it by GET, without a signature."""
    return Reply(200, b"OK") if delivery.method in {"GET", "HEAD"} else None


def parse(delivery: Delivery, options: Options) -> list[ParsedItem]:
    """One event; `data[merges]` holds the audience's fields."""
    found = records(delivery) if "json" in delivery.media_type else [form_body(delivery)]
    return each(found, lambda item: _item(mapping(item), options))


def _item(item: Any, options: Options) -> ParsedItem:
    data, kind = mapping(item.get("data")), text(item.get("type"))
    fired = item.get("fired_at")
    at = from_date(fired, options.zone)
    known = person(mapping(data.get("merges")), options.region)
    address = text(data.get("new_email")) or text(data.get("email")) or known.get("email")
    about = {
        name: text(data.get(name)) for name in ("list_id", "campaign_id", "action", "reason", "old_email", "subject")
    }
    granted = _CONSENT.get(kind or "")
    return posted(
        options,
        item,
        id_=derived_id(options.source, kind, data.get("id") or data.get("new_id"), fired, address),
        kind=kind,
        type_=our_type(kind, TYPES, options),
        at=at,
        lead=lead(options, email=address, phone=known.get("phone"), external=_member(kind, data)),
        attributes=attributes(known),
        properties=about,
        consent=None if granted is None else mail_consent(options, at, granted=granted),
    )


def _member(kind: str | None, data: Any) -> str | None:
    """The member's id; of a campaign event `id` names the campaign."""
    return None if kind == "campaign" else text(data.get("id")) or text(data.get("new_id"))


ADAPTER = Adapter(
    name=NAME,
    verify=verify,
    parse=parse,
    handshake=handshake,
    answer=Reply(200, b"OK"),
    best_effort=True,
    secret_in_path=True,
)
