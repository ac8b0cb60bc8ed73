"""Calendly: bookings, cancellations, no-shows and routing forms, one JSON object a request.

Source: the AsyncAPI text of Calendly's webhooks, several public receivers. A reschedule comes as a cancellation and a
new booking; only a first booking is `meeting_booked`, so that it counts once.
"""

from collections.abc import Mapping
from typing import Any

from services.ingest.sources.base import Adapter, Delivery, Options, ParsedItem, Reply
from services.ingest.sources.bodies import json_items
from services.ingest.sources.drafts import an_object, each, lead, our_type, posted
from services.ingest.sources.people import attributes, person
from services.ingest.sources.recipes import Recipe
from services.ingest.sources.signatures import by_recipe
from services.ingest.sources.values import derived_id, from_date, listing, mapping, text, truth

NAME = "calendly"
TYPES = {
    "invitee.created": "meeting_booked",
    "invitee.canceled": "meeting_canceled",
    "invitee_no_show.created": "meeting_missed",
    "invitee_no_show.deleted": "meeting_missed_undone",
    "routing_form_submission.created": "form_submitted",
}
_RESCHEDULED = "meeting_rescheduled"
_UTM = ("utm_campaign", "utm_source", "utm_medium", "utm_content", "utm_term", "salesforce_uuid")

verify = by_recipe(
    Recipe(header="Calendly-Webhook-Signature", signed="{timestamp}.{body}", form="fields", tolerance_s=180.0)
)


def parse(delivery: Delivery, options: Options) -> list[ParsedItem]:
    """One event, or an array of them."""
    return each(json_items(delivery), lambda item: _item(an_object(item), options))


def _item(item: dict[str, Any], options: Options) -> ParsedItem:
    payload, kind = mapping(item.get("payload")), text(item.get("event"))
    scheduled = mapping(payload.get("scheduled_event"))
    answers = _answers(payload)
    known = person(answers, options.region) | person({name: payload.get(name) for name in _PERSON}, options.region)
    number = text(payload.get("text_reminder_number")) or known.get("phone")
    type_ = our_type(kind, TYPES, options)
    tracking = mapping(payload.get("tracking"))
    return posted(
        options,
        item,
        id_=derived_id(options.source, kind, payload.get("uri") or item.get("created_at")),
        kind=kind,
        type_=_RESCHEDULED if _moved(kind, payload) and type_ in {"meeting_booked", "meeting_canceled"} else type_,
        at=from_date(item.get("created_at"), options.zone),
        lead=lead(options, email=known.get("email"), phone=number, external=_invitee(payload)),
        attributes=attributes(known),
        properties={
            "event": text(scheduled.get("name")) or text(scheduled.get("event_type")),
            "meeting": _last(payload.get("event")),
            "meeting_start": text(scheduled.get("start_time")),
            "form": _last(payload.get("routing_form")),
            "reason": text(mapping(payload.get("cancellation")).get("reason")),
            "answers": answers,
            **{name: text(tracking.get(name)) for name in _UTM},
        },
    )


_PERSON = ("email", "first_name", "last_name", "name")


def _moved(kind: str | None, payload: Mapping[str, Any]) -> bool:
    """Whether this is one half of a reschedule. A booking that was once moved keeps its `old_invitee` when it is called
    off for good.
    """
    return bool(payload.get("old_invitee")) if kind == "invitee.created" else truth(payload.get("rescheduled"))


def _invitee(payload: Mapping[str, Any]) -> str | None:
    """The invitee's id, which a no-show repeats without an address, and a reschedule under `old_invitee`."""
    return _last(payload.get("invitee")) or _last(payload.get("uri"))


def _last(uri: Any) -> str | None:
    return (text(uri) or "").rpartition("/")[2] or None


def _answers(payload: Mapping[str, Any]) -> dict[str, str]:
    """Question → answer, of a booking's questions as of a routing form's."""
    found: dict[str, str] = {}
    for entry in map(mapping, listing(payload.get("questions_and_answers"))):
        question, answer = text(entry.get("question")), text(entry.get("answer"))
        if question and answer:
            found[question] = answer
    return found


ADAPTER = Adapter(name=NAME, verify=verify, parse=parse, answer=Reply(200), best_effort=True)
