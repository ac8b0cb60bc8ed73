"""Calls of the tracking protocol that Segment introduced: identify, track, page, screen, group, alias."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from services.ingest.sources.base import Options, ParsedItem, Unreadable
from services.ingest.sources.drafts import lead, mail_consent, origin, our_word, posted
from services.ingest.sources.people import attributes, person
from services.ingest.sources.values import from_date, given_id, mapping, text
from shared.clock import from_rfc3339, to_rfc3339

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
_OF_ALL = ("context", "sentAt", "receivedAt")
"""What a batch says of every call in it."""
_CAMPAIGN = ("name", "source", "medium", "term", "content")


def unbatched(body: Any) -> list[Any]:
    """The calls of `{"batch": […], "context": {…}, "sentAt": …}`, each with what the batch says of all; anything else
    is one call.
    """
    batch = body.get("batch") if isinstance(body, dict) else None
    if not isinstance(batch, list):
        return [body]
    shared = {name: body[name] for name in _OF_ALL if name in body}
    return [{**shared, **_merged(shared, item)} if isinstance(item, dict) else item for item in batch]


def _merged(shared: Mapping[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    common, own = shared.get("context"), item.get("context")
    return {**item, "context": {**common, **own}} if isinstance(common, dict) and isinstance(own, dict) else item


def free_of_clock(said: Any, sent: Any, received: datetime) -> str | None:
    """When a call was made, whatever the client's clock shows: received - (sent - said). None where the client did not
    tell both as instants.
    """
    if not isinstance(said, str) or not isinstance(sent, str):
        return None
    try:
        passed = from_rfc3339(sent) - from_rfc3339(said)
        return to_rfc3339(received - max(passed, timedelta(0)))
    except (ValueError, OverflowError):
        return None


def tracking_item(options: Options, item: Any) -> ParsedItem:
    """One call. An event name of the sender's own is kept as `unknown` with its name in `kind`. Raises Unreadable."""
    if not isinstance(item, dict):
        raise Unreadable("the item is not an object")
    context, properties = mapping(item.get("context")), mapping(item.get("properties"))
    traits = {**mapping(context.get("traits")), **mapping(item.get("traits"))}
    call = text(item.get("type")) or "track"
    kind = text(item.get("event")) if call == "track" else call
    known = person(traits, options.region) if call != "group" else {}
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
        attributes=_company(traits, options.region) if call == "group" else {**_employer(traits), **attributes(known)},
        properties={**_about(context, properties), **_page(context, properties)},
        consent=mail_consent(options, at, granted=False) if type_ in {"email_unsubscribed", "email_bounced"} else None,
    )


def _time(item: Mapping[str, Any]) -> Any:
    """`timestamp` is already free of the client's clock; where it is missing, what it is made of may be there."""
    return item.get("timestamp") or _corrected(item) or item.get("originalTimestamp") or item.get("receivedAt")


def _corrected(item: Mapping[str, Any]) -> str | None:
    received = item.get("receivedAt")
    if not isinstance(received, str):
        return None
    try:
        return free_of_clock(item.get("originalTimestamp"), item.get("sentAt"), from_rfc3339(received))
    except ValueError:
        return None


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


def _employer(traits: Mapping[str, Any]) -> dict[str, str]:
    """The trait `company` may be an object."""
    name = text(mapping(traits.get("company")).get("name"))
    return {"company": name} if name else {}


def _company(traits: Mapping[str, Any], region: str) -> dict[str, str]:
    """A group is a company: its name is the lead's company, its other traits describe that."""
    known = attributes(person(traits, region))
    name = known.pop("name", None)
    return {**known, "company": name} if name else known
