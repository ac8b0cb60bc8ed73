"""Mailchimp Transactional (Mandrill): a form whose one field is a JSON array; the signature covers address and fields.

Source: captured deliveries in mandrill-rails and django-anymail.
"""

import base64
import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from services.ingest.sources.base import (
    Adapter,
    Delivery,
    Options,
    ParsedItem,
    Reply,
    Unreadable,
    Verdict,
    equal,
    to_bytes,
)
from services.ingest.sources.bodies import form_pairs, form_text, json_text
from services.ingest.sources.drafts import an_object, each, lead, mail_consent, origin, our_type, posted
from services.ingest.sources.signatures import NO_MATCH, guarded, missing
from services.ingest.sources.values import derived_id, from_seconds, listing, mapping, text

NAME = "mandrill"
SIGNATURE = "X-Mandrill-Signature"
FIELD = b"mandrill_events"
TEST_KEY = "test-webhook"
"""Signs the check of an address that has no key yet; its body is always an empty list."""

TYPES = {
    "send": "email_sent",
    "deferral": "email_deferred",
    "delivered": "email_delivered",
    "hard_bounce": "email_bounced",
    "soft_bounce": "email_bounced",
    "reject": "email_dropped",
    "open": "email_opened",
    "click": "email_clicked",
    "spam": "email_unsubscribed",
    "unsub": "email_unsubscribed",
    "inbound": "email_replied",
}
_WITHDRAWN = frozenset({"hard_bounce", "spam", "unsub"})


def _verify(delivery: Delivery, secrets: Sequence[str], now: datetime, options: Options) -> Verdict:  # noqa: ARG001 - untimed
    found = delivery.headers.one(SIGNATURE)
    if not found:
        return missing(SIGNATURE)
    try:
        fields = sorted(form_pairs(delivery.body), key=lambda pair: pair[0])
    except Unreadable as error:
        return Verdict(False, f"signature: {error}")
    signed = to_bytes(delivery.url) + b"".join(name + value for name, value in fields)
    if any(equal(found, _digest(secret, signed)) for secret in secrets):
        return Verdict(True, "signature matches")
    return NO_MATCH


def _digest(secret: str, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(to_bytes(secret), signed, "sha1")).decode()


verify = guarded(_verify)


def handshake(delivery: Delivery, secrets: Sequence[str], now: datetime, options: Options) -> Reply | None:
    """HEAD, or an empty list signed with the test key, when an address is saved: nothing is taken from either."""
    if delivery.method in {"HEAD", "GET"}:
        return Reply(200)
    if _is_empty(delivery) and verify(delivery, [TEST_KEY, *secrets], now, options).valid:
        return Reply(200)
    return None


def _is_empty(delivery: Delivery) -> bool:
    try:
        return len(delivery.body) < 256 and form_pairs(delivery.body) == [(FIELD, b"[]")]
    except Unreadable:
        return False


def parse(delivery: Delivery, options: Options) -> list[ParsedItem]:
    """The events of the one field."""
    value = dict(form_pairs(delivery.body)).get(FIELD)
    if value is None:
        raise Unreadable("no field mandrill_events")
    events = json_text(form_text(value))
    if not isinstance(events, list | dict):
        raise Unreadable("mandrill_events is not an array")
    return each(listing(events), lambda item: _item(an_object(item), options))


def _item(item: dict[str, Any], options: Options) -> ParsedItem:
    message = mapping(item.get("msg"))
    kind, at = text(item.get("event")) or _list_change(item), from_seconds(item.get("ts"))
    inbound = kind == "inbound"
    about = {
        "email_id": text(item.get("_id")) or text(message.get("_id")),
        "subject": text(message.get("subject")),
        "link": text(item.get("url")),
        "tags": [tag for tag in listing(message.get("tags")) if isinstance(tag, str)],
        "reason": text(message.get("diag")) or text(message.get("bounce_description")),
        "bounce": kind.removesuffix("_bounce") if kind and kind.endswith("_bounce") else None,
        "complaint": True if kind == "spam" else None,
        **origin(agent=item.get("user_agent"), address=item.get("ip"), sent=from_seconds(message.get("ts")), at=at),
    }
    return posted(
        options,
        item,
        id_=derived_id(options.source, kind, about["email_id"], item.get("ts"), item.get("url"), _reject_email(item)),
        kind=kind,
        type_=our_type(kind, TYPES, options),
        at=at,
        lead=lead(options, email=message.get("from_email") if inbound else message.get("email") or _reject_email(item)),
        properties=about,
        consent=mail_consent(options, at, granted=False) if kind in _WITHDRAWN else None,
    )


def _list_change(item: dict[str, Any]) -> str | None:
    """Changes of the deny and allow lists have `type` and `action` in place of an event."""
    parts = [text(item.get("type")), text(item.get("action"))]
    return "_".join(part for part in parts if part) or None


def _reject_email(item: dict[str, Any]) -> str | None:
    return text(mapping(item.get("reject")).get("email")) or text(mapping(item.get("entry")).get("email"))


ADAPTER = Adapter(name=NAME, verify=verify, parse=parse, handshake=handshake, answer=Reply(200), best_effort=True)
