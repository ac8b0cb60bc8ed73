"""Twilio SendGrid: arrays of mail events, signed by ECDSA over the header's time and the raw body (CRLF included).

The secret of such a source is SendGrid's public key. Source: tests of sendgrid-python and -nodejs, Twilio's event
reference. The signed time is that of the post, which may come a day late, so no age is demanded by default.
"""

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

from services.ingest.sources.base import Adapter, Delivery, Options, ParsedItem, Verdict, to_bytes
from services.ingest.sources.bodies import json_items
from services.ingest.sources.drafts import an_object, each, lead, mail_consent, origin, our_type, posted
from services.ingest.sources.signatures import NO_MATCH, aged, guarded, missing
from services.ingest.sources.values import from_seconds, given_id, listing, text, truth

NAME = "sendgrid"
SIGNATURE, TIMESTAMP = "X-Twilio-Email-Event-Webhook-Signature", "X-Twilio-Email-Event-Webhook-Timestamp"
TYPES = {
    "processed": "email_sent",
    "deferred": "email_deferred",
    "delivered": "email_delivered",
    "bounce": "email_bounced",
    "blocked": "email_bounced",
    "dropped": "email_dropped",
    "open": "email_opened",
    "click": "email_clicked",
    "spamreport": "email_unsubscribed",
    "unsubscribe": "email_unsubscribed",
    "group_unsubscribe": "email_unsubscribed",
    "group_resubscribe": "newsletter_subscribed",
}
_BOUNCES, _BY_BROWSER = frozenset({"bounce", "blocked"}), frozenset({"open", "click"})
_CONSENT = {"spamreport": False, "unsubscribe": False, "group_unsubscribe": False, "group_resubscribe": True}


def _verify(delivery: Delivery, secrets: Sequence[str], now: datetime, options: Options) -> Verdict:
    signature, stamp = delivery.headers.one(SIGNATURE), delivery.headers.one(TIMESTAMP)
    if not signature or not stamp:
        return missing(TIMESTAMP if signature else SIGNATURE)
    from services.ingest.sources import public_keys  # noqa: PLC0415 - see there

    keys = [key for secret in secrets if (key := public_keys.p256(secret))]
    if not keys:
        return Verdict(False, "secret: is not a public key (base64 of a P-256 key, as SendGrid shows it)")
    try:
        found = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return NO_MATCH
    signed = to_bytes(stamp) + delivery.body
    if not any(public_keys.signed_by_p256(key, found, signed) for key in keys):
        return NO_MATCH
    return aged(stamp, "s", None, now, options)


verify = guarded(_verify)


def parse(delivery: Delivery, options: Options) -> list[ParsedItem]:
    """Up to some thousand events; custom arguments lie flat beside the known fields."""
    return each(json_items(delivery), partial(_item, options))


def _item(options: Options, item: Any) -> ParsedItem:
    get = an_object(item).get
    kind, address, seconds, url = text(get("event")), get("email"), get("timestamp"), get("url")
    at = from_seconds(seconds)
    message = (text(get("sg_message_id")) or "").partition(".")[0] or text(get("smtp-id"))
    bounce = _bounce(item) if kind in _BOUNCES else None
    about: dict[str, Any] = {
        "email_id": message,
        "link": text(url),
        "categories": [name for name in listing(get("category")) if isinstance(name, str)],
        "reason": text(get("reason")),
    }
    if bounce is not None:
        about["bounce"] = bounce
    if kind == "spamreport":
        about["complaint"] = True
    if kind in _BY_BROWSER:
        signals = ["machine_open"] if truth(get("sg_machine_open")) else []
        about |= origin(signals=signals, agent=get("useragent"), address=get("ip"))
    return posted(
        options,
        item,
        id_=given_id(options.source, get("sg_event_id"), kind, message, address, seconds, url),
        kind=kind,
        type_=our_type(kind, TYPES, options),
        at=at,
        lead=lead(options, email=address),
        properties=about,
        consent=_consent(kind, bounce, at, options),
    )


def _bounce(item: dict[str, Any]) -> str:
    """`soft` where the receiving server refused this mail and not the address, or says that it may work later (RFC
    3463, class 4), else `hard`.
    """
    blocked = "blocked" in (item.get("event"), item.get("type"))
    return "soft" if blocked or (text(item.get("status")) or "5").startswith("4") else "hard"


def _consent(kind: str | None, bounce: str | None, at: str | None, options: Options) -> dict[str, Any] | None:
    granted = False if bounce == "hard" else _CONSENT.get(kind or "")
    return None if granted is None else mail_consent(options, at, granted=granted)


ADAPTER = Adapter(name=NAME, verify=verify, parse=parse)
