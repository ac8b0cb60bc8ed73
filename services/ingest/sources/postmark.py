"""Postmark: one JSON object a request, told apart by `RecordType`; unsigned.

Source: test payloads of django-anymail, Postmark's webhook reference. Times carry seven fraction digits.
"""

from typing import Any

from services.ingest.sources.base import Adapter, Delivery, Ignored, Options, ParsedItem, Reply
from services.ingest.sources.bodies import json_items
from services.ingest.sources.drafts import an_object, each, lead, mail_consent, origin, our_type, posted
from services.ingest.sources.signatures import shared_secret
from services.ingest.sources.values import derived_id, from_date, mapping, text, truth

NAME = "postmark"
TYPES = {
    "Delivery": "email_delivered",
    "Bounce": "email_bounced",
    "SpamComplaint": "email_unsubscribed",
    "Open": "email_opened",
    "Click": "email_clicked",
    "SubscriptionChange": "email_unsubscribed",
    "Inbound": "email_replied",
}
_TIMES = ("DeliveredAt", "BouncedAt", "ReceivedAt", "ChangedAt", "Date")
# Kinds of bounce that pass by themselves: the address stays good.
_SOFT = frozenset({"Transient", "SoftBounce", "DnsError", "AutoResponder", "OpenRelayTest", "Unknown"})


def parse(delivery: Delivery, options: Options) -> list[ParsedItem]:
    """One record, or an array of them."""
    return each(json_items(delivery), lambda item: _item(an_object(item), options))


def _item(item: dict[str, Any], options: Options) -> ParsedItem:
    kind = text(item.get("RecordType"))
    if kind == "Test":
        return Ignored("test delivery")
    said = next((item[name] for name in _TIMES if text(item.get(name))), None)
    at = from_date(said, options.zone)
    who = item.get("Recipient") or item.get("Email") or item.get("From")
    bounce = _bounce(item) if kind == "Bounce" else None
    about = {
        "email_id": text(item.get("MessageID")),
        "link": text(item.get("OriginalLink")),
        "subject": text(item.get("Subject")),
        "tag": text(item.get("Tag")),
        "metadata": {name: said for name, value in mapping(item.get("Metadata")).items() if (said := text(value))},
        "reason": text(item.get("Description")) or text(item.get("SuppressionReason")),
        "bounce": bounce,
        "complaint": True if kind == "SpamComplaint" else None,
    }
    if kind in {"Open", "Click"}:
        about |= origin(agent=item.get("UserAgent"), address=mapping(item.get("Geo")).get("IP"))
    suppressed = item.get("SuppressSending")
    resubscribed = kind == "SubscriptionChange" and suppressed is not None and not truth(suppressed)
    type_ = "newsletter_subscribed" if resubscribed else our_type(kind, TYPES, options)
    named = (kind, item.get("MessageID"), who, said, item.get("OriginalLink"))
    return posted(
        options,
        item,
        id_=derived_id(options.source, kind, item["ID"])
        if text(item.get("ID"))
        else derived_id(options.source, *named),
        kind=kind,
        type_=type_,
        at=at,
        lead=lead(options, email=who),
        properties=about,
        consent=_consent(kind, bounce, at, options, resubscribed=resubscribed),
    )


def _bounce(item: dict[str, Any]) -> str:
    return "soft" if text(item.get("Type")) in _SOFT else "hard"


def _consent(
    kind: str | None, bounce: str | None, at: str | None, options: Options, *, resubscribed: bool
) -> dict[str, Any] | None:
    if kind in {"SpamComplaint", "SubscriptionChange"} or bounce == "hard":
        return mail_consent(options, at, granted=resubscribed)
    return None


ADAPTER = Adapter(name=NAME, verify=shared_secret, parse=parse, answer=Reply(200), secret_in_path=True)
