"""HubSpot: app webhooks (ids and changed properties) and the webhook action of workflows (whole contact records).

Source: HubSpot's "Validating requests" and webhook guides, and the signature tests of its SDKs.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.ingest.sources.base import Adapter, Delivery, Options, ParsedItem, Unreadable, Verdict, equal, to_bytes
from services.ingest.sources.drafts import an_object, each, lead, mail_consent, our_type, posted, present
from services.ingest.sources.flat import IDS, flat_item, records
from services.ingest.sources.people import attributes, our_name, person
from services.ingest.sources.recipes import Recipe
from services.ingest.sources.signatures import NO_MATCH, by_recipe, guarded, missing, signed_or_shared
from services.ingest.sources.values import canonical, derived_id, from_any, from_millis, mapping, text, truth

NAME = "hubspot"
V3, V1_V2, VERSION = "X-HubSpot-Signature-v3", "X-HubSpot-Signature", "X-HubSpot-Signature-Version"

TYPES = {
    "creation": "profile_updated",
    "propertyChange": "profile_updated",
    "associationChange": "profile_updated",
    "restore": "profile_updated",
    "merge": "profile_merged",
    "deletion": "profile_deleted",
    "privacyDeletion": "profile_deleted",
}
_CONTACT_TYPE_ID = "0-1"
# Other fields of a delivery change when it is tried again.
_NAMED = ("portalId", "subscriptionId", "eventId", "objectId", "occurredAt", "subscriptionType", "propertyName")
_VOLATILE = ("attemptNumber",)
_OPTED_OUT = "hs_email_optout"

_v3 = by_recipe(
    Recipe(
        header=V3,
        signed="{method}{decoded_url}{body}{timestamp}",
        encoding="base64",
        timestamp="X-HubSpot-Request-Timestamp",
        time_format="ms",
    )
)


def _v1_v2(delivery: Delivery, secrets: Sequence[str], now: datetime, options: Options) -> Verdict:  # noqa: ARG001 - untimed
    """Plain SHA-256 with the secret in front; v1 leaves out method and address, so it can be replayed elsewhere."""
    signature, version = delivery.headers.one(V1_V2), delivery.headers.one(VERSION)
    if not signature:
        return missing(V3, V1_V2)
    texts = {"v2": to_bytes(delivery.method.upper() + delivery.url) + delivery.body, "v1": delivery.body}
    for name, signed in texts.items():
        found = [hashlib.sha256(to_bytes(secret) + signed).hexdigest() for secret in secrets]
        if (version or name).lower() == name and any(equal(signature.lower(), digest) for digest in found):
            if name == "v1" and not options.accept_v1:
                return Verdict(False, "signature: matches as v1, which this source does not accept (accept_v1: true)")
            return Verdict(True, f"signature matches ({name})")
    return NO_MATCH


def _verify(delivery: Delivery, secrets: Sequence[str], now: datetime, options: Options) -> Verdict:
    """The newest scheme that is present decides; an older one beside it is not asked."""
    return (_v3 if delivery.headers.all(V3) else guarded(_v1_v2))(delivery, secrets, now, options)


verify = signed_or_shared(_verify, V3, V1_V2)


def parse(delivery: Delivery, options: Options) -> list[ParsedItem]:
    """Subscription events, contact records of a workflow, or a workflow's own JSON."""
    return each(records(delivery), lambda item: _item(an_object(item), options))


def _item(item: dict[str, Any], options: Options) -> ParsedItem:
    if "subscriptionType" in item:
        return _event(item, options)
    if isinstance(item.get("properties"), dict) and "lead" not in item:
        return contact_record(
            item, options, kind="workflow", type_=options.activity or options.types.get("workflow") or "profile_updated"
        )
    return flat_item(options, item, types=TYPES, ids=IDS)


def _event(item: dict[str, Any], options: Options) -> ParsedItem:
    subscription = text(item["subscriptionType"]) or ""
    object_, _, kind = subscription.partition(".")
    if object_ != "contact" and not (object_ == "object" and item.get("objectTypeId") == _CONTACT_TYPE_ID):
        raise Unreadable(f"{subscription} is not about a contact")
    at = from_millis(item.get("occurredAt"))
    name, value = text(item.get("propertyName")), item.get("propertyValue")
    known = person({name: value}, options.region) if name else {}
    type_, consent = options.types.get(subscription) or our_type(kind, TYPES, options), None
    if kind == "privacyDeletion":
        consent = {**mail_consent(options, at, granted=False), "profiling": False}
    elif name == _OPTED_OUT and truth(value):
        type_, consent = "email_unsubscribed", mail_consent(options, at, granted=False)
    return posted(
        options,
        {key: item[key] for key in item if key not in _VOLATILE},
        id_=derived_id(options.source, *(item.get(key) for key in _NAMED), canonical(value)),
        kind=subscription,
        type_=type_,
        at=at,
        lead=lead(options, email=known.get("email"), phone=known.get("phone"), external=item.get("objectId")),
        attributes=attributes(known),
        properties={"property": name, "value": text(value), "change_source": text(item.get("changeSource"))},
        consent=consent,
    )


def contact_record(item: dict[str, Any], options: Options, *, kind: str, type_: str) -> ParsedItem:
    """A contact as the object API gives it: `properties` holds plain values, or objects with `value`."""
    values = {name: _plain(value) for name, value in item["properties"].items()}
    contact = text(item.get("vid")) or text(item.get("objectId")) or text(item.get("id")) or text(values.get("vid"))
    changed = text(values.get("lastmodifieddate")) or text(values.get("hs_lastmodifieddate"))
    at = from_any(changed, options.zone)
    known = person(values, options.region)
    opted_out = truth(values.get(_OPTED_OUT))
    named = (contact, changed or canonical(item["properties"]))
    return posted(
        options,
        item,
        # A workflow's record and one that was fetched may tell of the same change.
        id_=derived_id(options.source, *named, *(() if kind == "workflow" else (kind,))),
        kind=kind,
        type_=type_,
        at=at,
        lead=lead(options, email=known.get("email"), phone=known.get("phone"), external=contact),
        attributes=attributes(known),
        properties=present({name: text(value) for name, value in values.items() if not our_name(name)}),
        consent=mail_consent(options, at, granted=False) if opted_out else None,
    )


def _plain(value: Any) -> Any:
    return mapping(value).get("value") if isinstance(value, Mapping) else value


ADAPTER = Adapter(name=NAME, verify=verify, parse=parse, secret_in_path=True)
