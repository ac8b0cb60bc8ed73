"""Mautic 5: `{"<event type>": [item, …], …}`, signed over the raw bytes (PHP escapes slashes and non-ASCII signs).

Source: Mautic's WebhookBundle, its subscribers and the entities' API metadata. Mautic forgets an event on any HTTP
answer, so what is genuine is never refused.
"""

from collections.abc import Callable, Mapping
from typing import Any

from services.ingest.sources.base import UTC_ZONE, Adapter, Delivery, Options, ParsedItem, Unreadable
from services.ingest.sources.bodies import json_items
from services.ingest.sources.drafts import an_object, each, lead, mail_consent, origin, our_type, posted
from services.ingest.sources.people import attributes, person
from services.ingest.sources.recipes import Recipe
from services.ingest.sources.signatures import by_recipe
from services.ingest.sources.values import canonical, derived_id, from_date, listing, mapping, text

NAME = "mautic"
_SUBSCRIPTION = "subscription_changed"
TYPES = {
    "form_on_submit": "form_submitted",
    "page_on_hit": "page_viewed",
    "email_on_open": "email_opened",
    "email_on_send": "email_sent",
    "lead_points_change": "points_changed",
    "lead_post_save_new": "profile_updated",
    "lead_post_save_update": "profile_updated",
    "lead_post_delete": "profile_deleted",
    "lead_company_change": "profile_updated",
    "lead_channel_subscription_changed": _SUBSCRIPTION,
    "sms_on_send": "sms_sent",
}
_PREFIX = "mautic."
# Of the channel email; in the words of every other tool.
_MAIL = {
    "contactable": "newsletter_subscribed",
    "unsubscribed": "email_unsubscribed",
    "manual": "email_unsubscribed",
    "bounced": "email_bounced",
}

verify = by_recipe(Recipe(header="Webhook-Signature", encoding="base64"))
Detail = tuple[tuple[Any, ...], Any, dict[str, Any]]
"""What names the event, when it happened, and what it was about."""


def parse(delivery: Delivery, options: Options) -> list[ParsedItem]:
    """Every item of every event type, in the order sent."""
    pairs = [pair for body in json_items(delivery) for pair in _pairs(body)]
    if not pairs:
        raise Unreadable("the body names no event")
    return each(pairs, lambda pair: _item(pair[0], an_object(pair[1]), options))


def _pairs(body: Any) -> list[tuple[str, Any]]:
    if not isinstance(body, dict):
        return [("", body)]
    return [(kind, item) for kind, items in body.items() for item in listing(items) if kind != "timestamp"]


def _item(kind: str, item: dict[str, Any], options: Options) -> ParsedItem:
    word = _word(kind)
    named, said, about = _DETAILS.get(word, _other)(item)
    contact = _contact(item)
    known = person(_fields(contact), options.region) | ({"email": email} if (email := _address(item)) else {})
    at = from_date(said or item.get("timestamp"), options.zone)
    type_ = options.types.get(kind) or our_type(word, TYPES, options)
    if word == "page_on_hit" and "link" in about and type_ == "page_viewed":
        type_ = "email_clicked" if "email_id" in about else "link_clicked"
    if type_ == _SUBSCRIPTION:
        type_ = _MAIL.get(_mail_status(item), type_)
    return posted(
        options,
        item,
        id_=derived_id(options.source, word, *named),
        kind=kind,
        type_=type_,
        at=at,
        lead=lead(
            options,
            email=known.get("email"),
            phone=known.get("phone"),
            external=contact.get("id"),
            anonymous=_browser(item),
        ),
        attributes=attributes(known),
        properties=about,
        consent=_consent(word, item, at, options),
    )


def _word(kind: str) -> str:
    """`mautic.email_on_open` and the newer `mautic.lead_post_save_update` without the product's name."""
    return kind.removeprefix(_PREFIX)


def _form(item: Mapping[str, Any]) -> Detail:
    submission = mapping(item.get("submission"))
    form = mapping(submission.get("form"))
    answers = {name: text(value) for name, value in mapping(submission.get("results")).items()}
    about = {
        "form": text(form.get("alias")) or text(form.get("id")),
        "form_name": text(form.get("name")),
        "url": text(submission.get("referer")),
        "answers": {name: value for name, value in answers.items() if value is not None},
    }
    named = (text(submission.get("id")) or canonical(submission),)
    return named, submission.get("dateSubmitted"), about


def _hit(item: Mapping[str, Any]) -> Detail:
    hit = mapping(item.get("hit"))
    redirect, mail = mapping(hit.get("redirect")), mapping(hit.get("email"))
    about = {"url": text(hit.get("url")), "title": text(hit.get("urlTitle")), "referrer": text(hit.get("referer"))}
    mail_id = text(mail.get("id")) or (text(hit.get("sourceId")) if hit.get("source") == "email" else None)
    if redirect:
        about["link"] = text(redirect.get("url")) or text(hit.get("url"))
    if mail_id:
        about["email_id"] = mail_id
    where = origin(agent=hit.get("userAgent"), address=_ip(hit))
    return (text(hit.get("id")) or canonical(hit),), hit.get("dateHit"), {**about, **where}


def _open(item: Mapping[str, Any]) -> Detail:
    stat = mapping(item.get("stat"))
    mail = mapping(stat.get("email"))
    opened = stat.get("lastOpened") or stat.get("dateRead")
    about = {
        "email_id": text(mail.get("id")) or text(stat.get("sourceId")),
        "subject": text(mail.get("subject")),
        **origin(address=_ip(stat), sent=_instant(stat.get("dateSent")), at=_instant(opened)),
    }
    return (text(stat.get("id")) or canonical(stat), stat.get("openCount")), opened, about


def _send(item: Mapping[str, Any]) -> Detail:
    mail = mapping(item.get("email"))
    about = {"email_id": text(mail.get("id")), "subject": text(item.get("subject"))}
    return (text(item.get("idHash")) or canonical(item),), None, about


def _points(item: Mapping[str, Any]) -> Detail:
    points = mapping(item.get("points"))
    before, after = points.get("old_points"), points.get("new_points")
    named = (mapping(item.get("contact")).get("id"), before, after, item.get("timestamp"))
    return named, None, {"old_points": before, "new_points": after}


def _other(item: Mapping[str, Any]) -> Detail:
    # A timestamp is of whole seconds, and one change of a contact comes as several items.
    return (_contact(item).get("id"), canonical(item)), None, {}


_DETAILS: dict[str, Callable[[Mapping[str, Any]], Detail]] = {
    "form_on_submit": _form,
    "page_on_hit": _hit,
    "email_on_open": _open,
    "email_on_send": _send,
    "lead_points_change": _points,
}


def _contact(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """The contact, which stands at another place in every kind of event."""
    for outer in (item, *(mapping(item.get(name)) for name in ("submission", "hit", "stat"))):
        for name in ("contact", "lead"):
            if isinstance(outer.get(name), dict):
                return mapping(outer[name])
    return {}


def _fields(contact: Mapping[str, Any]) -> dict[str, Any]:
    """`fields.<group>.<alias>.value` as alias → value; the core group goes first."""
    groups = mapping(contact.get("fields"))
    found: dict[str, Any] = {}
    for name in sorted(groups, key=lambda group: group != "core"):
        for alias, described in mapping(groups[name]).items():
            found.setdefault(alias, mapping(described).get("value") if isinstance(described, dict) else described)
    return found


def _address(item: Mapping[str, Any]) -> str | None:
    return text(mapping(item.get("stat")).get("emailAddress"))


def _browser(item: Mapping[str, Any]) -> str | None:
    return text(mapping(item.get("hit")).get("trackingId")) or text(mapping(item.get("submission")).get("trackingId"))


def _ip(holder: Mapping[str, Any]) -> str | None:
    address = holder.get("ipAddress")
    return text(mapping(address).get("ipAddress") or mapping(address).get("ip")) or text(address)


def _instant(value: Any) -> str | None:
    """A time for the age of a mail, where one that cannot be read costs nothing."""
    try:
        return from_date(value, UTC_ZONE)
    except Unreadable:
        return None


def _mail_status(item: Mapping[str, Any]) -> str:
    """What the channel email has become, "" for another channel."""
    if item.get("channel") != "email":
        return ""
    return text(item.get("new_status")) or text(item.get("newStatus")) or ""


def _consent(word: str, item: Mapping[str, Any], at: str | None, options: Options) -> dict[str, Any] | None:
    status = _mail_status(item) if word == "lead_channel_subscription_changed" else ""
    return mail_consent(options, at, granted=status == "contactable") if status else None


ADAPTER = Adapter(name=NAME, verify=verify, parse=parse)
