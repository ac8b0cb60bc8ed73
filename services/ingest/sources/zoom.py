"""Zoom: registrations for and attendance at webinars.

Source: zoom/webhook-sample, Zoom's notes on validation, fixtures of public receivers.
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.ingest.sources.base import Adapter, Delivery, Ignored, Options, ParsedItem, Reply, Unreadable, to_bytes
from services.ingest.sources.bodies import json_body, json_items
from services.ingest.sources.drafts import an_object, each, lead, our_type, posted
from services.ingest.sources.people import attributes, person
from services.ingest.sources.recipes import Recipe
from services.ingest.sources.signatures import by_recipe
from services.ingest.sources.values import derived_id, from_date, from_millis, listing, mapping, text
from shared.codec import encode

NAME = "zoom"
VALIDATION = "endpoint.url_validation"
TYPES = {
    "webinar.registration_created": "webinar_registered",
    "webinar.registration_approved": "webinar_approved",
    "webinar.registration_cancelled": "webinar_canceled",
    "webinar.registration_denied": "webinar_denied",
    "webinar.participant_joined": "webinar_attended",
    "webinar.participant_left": "webinar_left",
    "meeting.registration_created": "meeting_registered",
    "meeting.participant_joined": "meeting_joined",
    "meeting.participant_left": "meeting_left",
}
# The answer is an HMAC with the key that also signs deliveries: no text that could be a signed one is answered.
_PLAIN_TOKEN = re.compile(r"[A-Za-z0-9_=+/-]{1,256}")

verify = by_recipe(
    Recipe(
        header="x-zm-signature",
        signed="v0:{timestamp}:{body}",
        form="v0={signature}",
        timestamp="x-zm-request-timestamp",
    )
)


def handshake(delivery: Delivery, secrets: Sequence[str], now: datetime, options: Options) -> Reply | None:
    """`endpoint.url_validation`, at set-up and every 72 hours, signed like any delivery: prove that we have the secret.

    None also for a wrong signature, which is then refused like any other.
    """
    if VALIDATION.encode() not in delivery.body:
        return None
    try:
        body = mapping(json_body(delivery))
    except Unreadable:
        return None
    token = text(mapping(body.get("payload")).get("plainToken")) or ""
    key = next((known for known in secrets if known and verify(delivery, [known], now, options).valid), None)
    if body.get("event") != VALIDATION or not _PLAIN_TOKEN.fullmatch(token) or key is None:
        return None
    proof = hmac.digest(to_bytes(key), token.encode(), "sha256").hex()
    return Reply(200, encode({"plainToken": token, "encryptedToken": proof}), "application/json")


def parse(delivery: Delivery, options: Options) -> list[ParsedItem]:
    """One event, or an array of them."""
    return each(json_items(delivery), lambda item: _item(an_object(item), options))


def _item(item: dict[str, Any], options: Options) -> ParsedItem:
    object_ = mapping(mapping(item.get("payload")).get("object"))
    registrant, participant = mapping(object_.get("registrant")), mapping(object_.get("participant"))
    who = registrant or participant
    kind, stamp = text(item.get("event")), item.get("event_ts")
    if _is_about_nobody(kind, object_):
        return Ignored(f"{kind} names no person")
    known = person(who, options.region)
    joined = participant.get("join_time") if kind and kind.endswith("joined") else participant.get("leave_time")
    at = from_millis(stamp) or from_date(joined, options.zone)
    person_id = participant.get("participant_uuid") or participant.get("participant_user_id") or registrant.get("id")
    return posted(
        options,
        item,
        id_=derived_id(options.source, kind, object_.get("uuid") or object_.get("id"), person_id or who, stamp),
        kind=kind,
        type_=our_type(kind, TYPES, options),
        at=at,
        lead=lead(options, email=known.get("email"), phone=known.get("phone"), external=_external(who)),
        attributes=attributes(known),
        properties={
            "event": text(object_.get("id")),
            "event_name": text(object_.get("topic")),
            "tracking_source": text(mapping(registrant.get("tracking_source")).get("source_name")),
            **{name: text(registrant.get(name)) for name in ("purchasing_time_frame", "role_in_purchase_process")},
            "answers": _answers(registrant),
            "left_reason": text(participant.get("leave_reason")),
        },
    )


def _is_about_nobody(kind: str | None, object_: Mapping[str, Any]) -> bool:
    """Whether it tells of the webinar or meeting itself: that it was planned, began, ended. There is nothing to count,
    and nothing wrong.
    """
    own = kind is not None and kind.startswith(("webinar.", "meeting.")) and kind not in TYPES
    return own and bool(object_) and not {"registrant", "participant"} & object_.keys()


def _external(who: Mapping[str, Any]) -> str | None:
    """The registrant's id joins registration and attendance; a signed-in participant has a user id besides."""
    return text(who.get("registrant_id")) or text(who.get("id")) or text(who.get("participant_user_id"))


def _answers(registrant: Mapping[str, Any]) -> dict[str, str]:
    questions = map(mapping, listing(registrant.get("custom_questions")))
    return {
        title: said for entry in questions if (title := text(entry.get("title"))) and (said := text(entry.get("value")))
    }


ADAPTER = Adapter(name=NAME, verify=verify, parse=parse, handshake=handshake, answer=Reply(200))
