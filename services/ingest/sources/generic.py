"""Any sender: body and signature as configuration describes them, or by convention where it describes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from services.ingest.sources import standard_webhooks
from services.ingest.sources.base import Adapter, Delivery, Ignored, Options, ParsedItem, Unreadable, Verdict
from services.ingest.sources.drafts import each, lead, mail_consent, our_word, posted
from services.ingest.sources.enveloped import Told, cloud_events
from services.ingest.sources.flat import (
    IDS,
    flat_item,
    has_time,
    is_soft_bounce,
    posted_item,
    records,
    told_item,
)
from services.ingest.sources.people import folded
from services.ingest.sources.recipes import Mapped, Recipe
from services.ingest.sources.signatures import by_recipe, shared_secret
from services.ingest.sources.times import in_format
from services.ingest.sources.values import (
    MAX_ID,
    canonical,
    derived_id,
    dig,
    from_date,
    given_id,
    listing,
    mapping,
    text,
    truth,
)

NAME = "generic"
CONVENTIONS = {
    "X-Hub-Signature-256": Recipe(header="X-Hub-Signature-256", form="sha256={signature}"),
    "X-Slack-Signature": Recipe(
        header="X-Slack-Signature",
        signed="v0:{timestamp}:{body}",
        form="v0={signature}",
        timestamp="X-Slack-Request-Timestamp",
    ),
}
"""Schemes that many senders share; each is asked where its header is present."""
_CONVENTIONS = {header: by_recipe(recipe) for header, recipe in CONVENTIONS.items()}
_IDS = (*IDS, "id")
_CONSENT = {"email_unsubscribed": False, "email_bounced": False}


def verify(delivery: Delivery, secrets: Sequence[str], now: datetime, options: Options) -> Verdict:
    """The configured recipe alone; without one Standard Webhooks, a known convention, or a shared secret."""
    if options.signature is not None:
        return by_recipe(options.signature)(delivery, secrets, now, options)
    if delivery.headers.all(standard_webhooks.SIGNATURE):
        return standard_webhooks.verify(delivery, secrets, now, options)
    for header, check in _CONVENTIONS.items():
        if delivery.headers.all(header):
            return check(delivery, secrets, now, options)
    return shared_secret(delivery, secrets, now, options)


def parse(delivery: Delivery, options: Options) -> list[ParsedItem]:
    """Items by the configured mapping, else our own activities, else flat records under well-known names; each of them
    as it is or in a CloudEvent, whose attributes fill what the item leaves open.
    """
    events = cloud_events(delivery)
    found = _plain(delivery, options) if events is None else events
    described = options.mapping
    if described is None:
        return each(found, lambda told: _by_names(told, options))
    items = [item for told in found for item in _items(told, described)]
    if found and not items:
        raise Unreadable(f"nothing stands at {described.items}")
    return each(items, lambda told: _mapped(told, described, options))


def _plain(delivery: Delivery, options: Options) -> list[Told]:
    found, message_id = records(delivery), delivery.headers.first(standard_webhooks.ID)
    alone = options.mapping is None and len(found) == 1 and len(message_id or "") <= MAX_ID
    return [Told(record, id=message_id if alone else None) for record in found]


def _items(told: Told, described: Mapped) -> list[Told]:
    if told.ours or told.fault or not described.items:
        return [told]
    items = listing(dig(told.data, described.items))
    alone = len(items) == 1 or told.id is None
    return [replace(told, data=item, id=told.id if alone else f"{told.id}:{n}") for n, item in enumerate(items)]


def _by_names(told: Told, options: Options) -> ParsedItem:
    if told.fault:
        raise Unreadable(told.fault)
    if told.ours:
        return posted_item(options, told.data)
    if told.kind is None:
        return flat_item(options, told.data, types={}, ids=_IDS, id_=told.id)
    at = None if has_time(told.data) else _ce_time(told, options)
    return told_item(options, told.data, id_=given_id(options.source, told.id), kind=told.kind, at=at)


def _ce_time(told: Told, options: Options) -> str | None:
    return from_date(told.at, options.zone)


def _mapped(told: Told, described: Mapped, options: Options) -> ParsedItem:
    if told.ours or told.fault:
        return _by_names(told, options)
    item = told.data
    if described.test and truth(dig(item, described.test)):
        return Ignored("test delivery")
    kind = (text(dig(item, described.type)) if described.type else None) or told.kind
    type_ = our_word(kind, {}, options) if kind else options.activity or "unknown"
    at = in_format(dig(item, described.time), described.time_format, options.zone) if described.time else None
    at = at or _ce_time(told, options)
    parts = _parts(item, described.fields)
    who = parts["lead"]
    consent = {**({"at": at} if at else {}), **parts["consent"]} if parts["consent"] else None
    fields = {folded(name): value for name, value in mapping(item).items()} | parts["properties"]
    if consent is None and type_ in _CONSENT and not is_soft_bounce(type_, kind, fields):
        consent = mail_consent(options, at, granted=_CONSENT[type_])
    named = [dig(item, path) for path in described.id]
    draft = posted(
        options,
        item,
        id_=_id(options, told, named),
        kind=kind,
        type_=type_,
        at=at,
        lead=lead(options, email=who.get("email"), phone=who.get("phone"), anonymous=who.get("anonymous_id")),
        attributes=parts["attributes"],
        properties=parts["properties"],
        consent=consent,
    )
    if not isinstance(draft, Ignored) and parts["external_ids"]:
        draft.activity["lead"]["external_ids"] = parts["external_ids"]  # type: ignore[union-attr]
    return draft


def _id(options: Options, told: Told, named: list[Any]) -> str:
    """One field is the event's own id; several together name it; without any its envelope or everything in it does."""
    if not any(text(value) for value in named):
        return given_id(options.source, told.id, canonical(told.data))
    return given_id(options.source, named[0]) if len(named) == 1 else derived_id(options.source, *named)


def _parts(item: Any, fields: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    parts: dict[str, dict[str, Any]] = {
        name: {} for name in ("lead", "external_ids", "attributes", "properties", "consent")
    }
    for path, target in fields.items():
        value = dig(item, path)
        group, _, name = target.partition(".")
        if target.startswith("lead.external_ids."):
            group, name = "external_ids", target.removeprefix("lead.external_ids.")
        if group == "consent":
            value = None if value is None else truth(value)
        elif group != "properties":
            value = text(value)
        if value is not None:
            parts[group][name] = value
    return parts


ADAPTER = Adapter(name=NAME, verify=verify, parse=parse, secret_in_path=True)
