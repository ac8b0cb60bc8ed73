"""Bodies whose shape an administrator chose: our own activity, or a flat record of named fields."""

from collections.abc import Mapping
from typing import Any

from services.ingest.sources.base import Delivery, Ignored, Options, ParsedItem, Posted, Unreadable
from services.ingest.sources.bodies import form_body, json_items, nested
from services.ingest.sources.drafts import IGNORE, lead, mail_consent, origin, our_word, posted, present, says_soft
from services.ingest.sources.people import attributes, folded, our_name, person
from services.ingest.sources.values import canonical, derived_id, from_any, given_id, text, truth

_KINDS = ("activity", "activity_type", "type", "event", "event_type", "kind")
_TIMES = ("at", "occurred_at", "timestamp", "event_timestamp", "date_time", "time", "created_at", "date")
IDS = ("event_id", "activity_id", "message_id")
_PEOPLE = ("lead_id", "prospect_id", "contact_id", "customer_id", "person_id", "user_id", "profile_id")
_SECRET = ("secret", "token", "api_key", "apikey", "key", "password")

# Which property a type's object stands in, so that "once per object" means the same for every tool.
_DETAIL = {"page": "url", "form": "form", "document": "document", "webinar": "event", "seminar": "event"}
_TAKEN = frozenset({*IDS, *_PEOPLE, *_SECRET, "anonymous_id"})
"""Fields that stand elsewhere in the activity, or nowhere."""
_FLAGS = {"bot_activity": "bot_activity", "filtered_event": "filtered"}
"""A tool's own judgement that a machine was at work: Marketo's and Pardot's attribute, HubSpot's `filteredEvent`."""
_CONSENT = {"email_unsubscribed": False, "email_bounced": False, "newsletter_subscribed": True}


def records(delivery: Delivery) -> list[Any]:
    """The records of a body as JSON, else as a form, else of the query. Raises Unreadable."""
    return records_and_form(delivery)[0]


def records_and_form(delivery: Delivery) -> tuple[list[Any], bool]:
    """As `records`, and whether they were written as a form, which the media type alone does not tell.

    Some tools send JSON under the media type of forms, and a template with an empty token may be broken JSON.
    """
    called_form = "form-urlencoded" in delivery.media_type
    if not delivery.body.strip():
        if not delivery.query:
            raise Unreadable("the body is empty")
        return [nested(delivery.query)], called_form
    looks_json = _begins_as_json(delivery.body)
    if called_form and not looks_json:
        return [form_body(delivery)], True
    try:
        return json_items(delivery), False
    except Unreadable:
        if b"=" not in delivery.body or (looks_json and not called_form):
            raise
        return [form_body(delivery)], True


def _begins_as_json(body: bytes) -> bool:
    return body.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[")


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
    kind: str | None = None,
    at: str | None = None,
) -> ParsedItem:
    """An activity from a flat record. The event is named by `id_`, else the first of the (folded) fields `ids`, else
    all of `named` together; a record without any of these is named by everything in it. Raises Unreadable.

    `kind` and `at` are what an envelope says of the record; fields of such names are then properties like any other.
    """
    if not isinstance(record, dict):
        raise Unreadable("the item is not an object")
    if is_posted(record):
        return posted_item(options, record, id_)
    fields = {folded(name): value for name, value in record.items()}
    if truth(fields.get("is_test")):
        return Ignored("test delivery (is_test)")
    named_by = [fields.get(name) for name in named]
    if not any(text(name) for name in named_by):
        named_by = [canonical(_public(fields)), *filter(None, (kind, at))]
    spoken_for = {*_TAKEN, *(() if kind else _KINDS), *(() if at else _TIMES)}
    kind, at = kind or _first(fields, _KINDS), at or _instant(fields, options)
    type_ = our_word(kind, types, options)
    known = person({name: value for name, value in fields.items() if name not in _KINDS}, options.region)
    return posted(
        options,
        _public(record),
        id_=id_ or given_id(options.source, _first(fields, ids), *named_by),
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
        properties={
            **_properties({name: value for name, value in fields.items() if name not in spoken_for}, type_),
            **origin(signals=[word for flag, word in _FLAGS.items() if truth(fields.get(flag))]),
        },
        consent=_consent(type_, kind, at, fields, options),
    )


def told_item(
    options: Options, data: Mapping[str, Any], *, id_: str | None, kind: str | None, at: str | None
) -> ParsedItem:
    """What stands in an envelope that names, dates and identifies it: an activity of our own shape, which may know
    better, or a flat record. Raises Unreadable.
    """
    if isinstance(data.get("lead"), dict):
        said = {"occurred_at": at} if at else {}
        return posted_item(options, {**said, "type": our_word(kind, {}, options), **data}, id_)
    return flat_item(options, data, types={}, id_=id_, kind=kind, at=at)


def has_time(record: Mapping[str, Any]) -> bool:
    """Whether a flat record says when it happened."""
    return any(folded(name) in _TIMES and text(value) for name, value in record.items())


def is_soft_bounce(type_: str, kind: str | None, fields: Mapping[str, Any]) -> bool:
    """Whether a bounce is told as one that may go away by itself; `fields` have folded names."""
    return type_ == "email_bounced" and says_soft(kind, fields.get("bounce"), fields.get("bounce_type"))


def _consent(
    type_: str, kind: str | None, at: str | None, fields: Mapping[str, Any], options: Options
) -> dict[str, Any] | None:
    if type_ not in _CONSENT or is_soft_bounce(type_, kind, fields):
        return None
    return mail_consent(options, at, granted=_CONSENT[type_])


def _instant(fields: Mapping[str, Any], options: Options) -> str | None:
    return from_any(next((fields[name] for name in _TIMES if text(fields.get(name))), None), options.zone)


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    return next((found for name in names if (found := text(fields.get(name)))), None)


def _public(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if folded(name) not in _SECRET}


def _properties(fields: Mapping[str, Any], type_: str) -> dict[str, Any]:
    kept = {name: value for name, value in fields.items() if not our_name(name)}
    detail = text(fields.get("detail"))
    if detail:
        kept["detail"] = detail
        object_ = "link" if type_ == "email_clicked" else _DETAIL.get(type_.partition("_")[0])
        if object_:
            kept.setdefault(object_, detail)
    return present({name: value for name, value in kept.items() if text(value)})
