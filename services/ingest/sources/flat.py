"""Bodies whose shape an administrator chose: our own activity, or a flat record of named fields."""

from collections.abc import Mapping
from typing import Any

from services.ingest.sources.base import Delivery, Ignored, Options, ParsedItem, Posted, Unreadable
from services.ingest.sources.bodies import form_body, json_body, nested
from services.ingest.sources.drafts import IGNORE, lead, mail_consent, our_word, posted, present
from services.ingest.sources.people import attributes, folded, our_name, person
from services.ingest.sources.values import canonical, derived_id, from_any, given_id, text, truth

_KINDS = ("activity", "activity_type", "type", "event", "event_type", "kind")
_TIMES = ("at", "occurred_at", "timestamp", "event_timestamp", "date_time", "time", "created_at", "date")
IDS = ("event_id", "activity_id", "message_id")
_PEOPLE = ("lead_id", "prospect_id", "contact_id", "customer_id", "person_id", "user_id", "profile_id")
_SECRET = ("secret", "token", "api_key", "apikey", "key", "password")

# Which property a type's object stands in, so that "once per object" means the same for every tool.
_DETAIL = {"page": "url", "form": "form", "document": "document", "webinar": "event", "seminar": "event"}
_CONSENT = {"email_unsubscribed": False, "email_bounced": False, "newsletter_subscribed": True}


def records(delivery: Delivery) -> list[Any]:
    """The records of a body as JSON, else as a form, else of the query. Raises Unreadable.

    A form is the second choice for any media type, because a template with an empty token may be broken JSON.
    """
    if not delivery.body.strip():
        if not delivery.query:
            raise Unreadable("the body is empty")
        return [nested(delivery.query)]
    if "form-urlencoded" in delivery.media_type:
        return [form_body(delivery)]
    try:
        value = json_body(delivery)
    except Unreadable:
        if delivery.body.lstrip()[:1] in b"{[" or b"=" not in delivery.body:
            raise
        return [form_body(delivery)]
    return value if isinstance(value, list) else [value]


def is_posted(record: Mapping[str, Any]) -> bool:
    """Whether a record already has the shape of `POST /v1/activities`."""
    return isinstance(record.get("lead"), dict) and isinstance(record.get("type"), str)


def posted_item(options: Options, record: Mapping[str, Any], id_: str | None = None) -> ParsedItem:
    """A record in our own shape, under this source's name; `id_` is taken where it has none."""
    own = text(record.get("id")) or id_ or derived_id(options.source, canonical(record))
    kind = record["type"]
    if options.types.get(kind) == IGNORE:
        return Ignored(f"kind {kind} is switched off in configuration")
    return Posted({**record, "type": options.types.get(kind, kind), "source": options.source, "id": own})


def flat_item(
    options: Options,
    record: Any,
    *,
    types: Mapping[str, str],
    named: tuple[str, ...] = (),
    ids: tuple[str, ...] = IDS,
    id_: str | None = None,
) -> ParsedItem:
    """An activity from a flat record. The event is named by `id_`, else the first of the (folded) fields `ids`, else
    all of `named` together; a record without any of these is named by everything in it. Raises Unreadable.
    """
    if not isinstance(record, dict):
        raise Unreadable("the item is not an object")
    if is_posted(record):
        return posted_item(options, record, id_)
    fields = {folded(name): value for name, value in record.items()}
    if truth(fields.get("is_test")) or truth(fields.get("test")):
        return Ignored("test delivery")
    kind = _first(fields, _KINDS)
    type_ = our_word(kind, types, options)
    at = from_any(next((fields[name] for name in _TIMES if text(fields.get(name))), None), options.zone)
    known = person({name: value for name, value in fields.items() if name not in _KINDS})
    names = [fields.get(name) for name in named]
    if not any(text(name) for name in names):
        names = [canonical(_public(fields))]
    return posted(
        options,
        _public(record),
        id_=id_ or given_id(options.source, _first(fields, ids), *names),
        kind=kind,
        type_=type_,
        at=at,
        lead=lead(
            options,
            email=known.get("email"),
            phone=known.get("phone"),
            external=_first(fields, _PEOPLE),
            anonymous=fields.get("anonymous_id"),
        ),
        attributes=attributes(known),
        properties=_properties(fields, type_),
        consent=mail_consent(options, at, granted=_CONSENT[type_]) if type_ in _CONSENT else None,
    )


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    return next((found for name in names if (found := text(fields.get(name)))), None)


def _public(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if folded(name) not in _SECRET}


def _properties(fields: Mapping[str, Any], type_: str) -> dict[str, Any]:
    taken = {*_KINDS, *_TIMES, *IDS, *_PEOPLE, *_SECRET, "anonymous_id", "detail"}
    kept = {name: value for name, value in fields.items() if name not in taken and not our_name(name)}
    detail = text(fields.get("detail"))
    if detail:
        kept["detail"] = detail
        object_ = "link" if type_ == "email_clicked" else _DETAIL.get(type_.partition("_")[0])
        if object_:
            kept.setdefault(object_, detail)
    return present({name: value for name, value in kept.items() if text(value)})
