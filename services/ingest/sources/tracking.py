"""Calls of the tracking protocol that Segment introduced: identify, track, page, screen, group, alias."""

from collections.abc import Mapping
from typing import Any

from services.ingest.sources.base import Options, ParsedItem, Unreadable
from services.ingest.sources.drafts import lead, mail_consent, origin, our_word, posted
from services.ingest.sources.people import attributes, person
from services.ingest.sources.values import from_date, given_id, mapping, text

TYPES = {
    "identify": "profile_updated",
    "group": "profile_updated",
    "alias": "profile_linked",
    "page": "page_viewed",
    "screen": "screen_viewed",
    "Order Completed": "order_placed",
    "Trial Started": "trial_started",
    "Lead Form Submitted": "form_submitted",
    "Email Opened": "email_opened",
    "Email Delivered": "email_delivered",
    "Email Link Clicked": "email_clicked",
    "Email Bounced": "email_bounced",
    "Email Marked as Spam": "email_unsubscribed",
    "Unsubscribed": "email_unsubscribed",
}
_NAMED = ("type", "event", "name", "userId", "anonymousId", "groupId", "previousId", "properties", "traits", "context")
_CAMPAIGN = ("name", "source", "medium", "term", "content")


def tracking_item(options: Options, item: Any) -> ParsedItem:
    """One call. An event name of the sender's own is kept as `unknown` with its name in `kind`. Raises Unreadable."""
    if not isinstance(item, dict):
        raise Unreadable("the item is not an object")
    context, properties = mapping(item.get("context")), mapping(item.get("properties"))
    traits = {**mapping(context.get("traits")), **mapping(item.get("traits"))}
    call = text(item.get("type")) or "track"
    kind = text(item.get("event")) if call == "track" else call
    known = person(traits) if call != "group" else {}
    user = text(item.get("userId"))
    said = item.get("originalTimestamp") or item.get("timestamp")
    type_, at = our_word(kind, TYPES, options), from_date(_time(item), options.zone)
    address = known.get("email") or text(properties.get("email")) or (user if user and "@" in user else None)
    return posted(
        options,
        item,
        id_=given_id(options.source, item.get("messageId"), said, *(item.get(name) for name in _NAMED)),
        kind=kind,
        type_=type_,
        at=at,
        lead=lead(
            options,
            email=address,
            phone=known.get("phone"),
            external=None if user == address else user,
            anonymous=item.get("anonymousId"),
        ),
        attributes=_company(traits) if call == "group" else attributes(known),
        properties={**_about(context, properties), **_page(context, properties)},
        consent=mail_consent(options, at, granted=False) if type_ in {"email_unsubscribed", "email_bounced"} else None,
    )


def _time(item: Mapping[str, Any]) -> Any:
    """`timestamp` is already free of the client's clock: receivedAt - (sentAt - originalTimestamp)."""
    return item.get("timestamp") or item.get("originalTimestamp") or item.get("receivedAt")


def _about(context: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    """The event's own plain properties; those of a campaign under `utm_…`."""
    own = {name: value for name, value in properties.items() if text(value) is not None}
    campaign = mapping(context.get("campaign"))
    utm = {f"utm_{'campaign' if name == 'name' else name}": text(campaign.get(name)) for name in _CAMPAIGN}
    return {**own, **utm, **origin(agent=context.get("userAgent"), address=context.get("ip"))}


def _page(context: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    page = mapping(context.get("page"))
    return {
        "url": text(properties.get("url")) or text(page.get("url")),
        "referrer": text(properties.get("referrer")) or text(page.get("referrer")),
        "title": text(properties.get("title")) or text(page.get("title")),
    }


def _company(traits: Mapping[str, Any]) -> dict[str, str]:
    """A group is a company: its name is the lead's company, its other traits describe that."""
    known = attributes(person(traits))
    name = known.pop("name", None)
    return {**known, "company": name} if name else known
