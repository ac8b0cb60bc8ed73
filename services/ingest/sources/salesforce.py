"""Salesforce outbound messages: SOAP with up to 100 notifications, acknowledged all at once.

Source: "Understanding notifications" and the outbound messaging WSDL. The data is the record's state when sent.
"""

from collections.abc import Sequence
from datetime import datetime

from services.ingest.sources.base import Adapter, Delivery, Options, ParsedItem, Reply, Unreadable, Verdict, equal
from services.ingest.sources.bodies import Element, xml_body
from services.ingest.sources.drafts import each, lead, posted, present
from services.ingest.sources.flat import flat_item, records
from services.ingest.sources.people import attributes, our_name, person
from services.ingest.sources.signatures import guarded, shared_secret
from services.ingest.sources.values import derived_id, from_date, given_id, text, truth

NAME = "salesforce"
TYPES = {
    "Lead": "profile_updated",
    "Contact": "profile_updated",
    "CampaignMember": "campaign_joined",
    "Task": "unknown",
}
_ORGANIZATION_PREFIX = "00D"
_TIMES = ("LastModifiedDate", "SystemModstamp", "CreatedDate")
_ACK = (
    b'<?xml version="1.0" encoding="UTF-8"?>'
    b'<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>'
    b'<notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack></notificationsResponse>'
    b"</soapenv:Body></soapenv:Envelope>"
)


def _verify(delivery: Delivery, secrets: Sequence[str], now: datetime, options: Options) -> Verdict:
    """A shared secret, or the organisation's id given as one; listed organisations are demanded on top of either."""
    verdict = shared_secret(delivery, secrets, now, options)
    known = [secret for secret in secrets if secret.startswith(_ORGANIZATION_PREFIX)]
    if verdict.valid and not options.organization_ids:
        return verdict
    organization = _organization(delivery) or ""
    if not verdict.valid:
        if not any(_same(organization, secret) for secret in known):
            return verdict
        verdict = Verdict(True, "secret matches (OrganizationId)")
    if options.organization_ids and not any(_same(organization, listed) for listed in options.organization_ids):
        return Verdict(False, "secret: matches, but the OrganizationId is not a listed one")
    return verdict


def _same(found: str, known: str) -> bool:
    """Ids are written with 15 or 18 characters; the last three only repeat the case of the others."""
    return len(found) >= 15 and len(known) >= 15 and equal(found[:15], known[:15])


def _organization(delivery: Delivery) -> str | None:
    try:
        message = _message(delivery)
    except Unreadable:
        return None
    return message.value("OrganizationId")


def _message(delivery: Delivery) -> Element:
    envelope = xml_body(delivery)
    body = envelope.child("Body") if envelope.name == "Envelope" else envelope
    message = body.child("notifications") if body and body.name == "Body" else body
    if message is None or message.name != "notifications":
        raise Unreadable("no outbound message in the envelope")
    return message


def parse(delivery: Delivery, options: Options) -> list[ParsedItem]:
    """Notifications of an outbound message; JSON of a flow as flat records."""
    if delivery.body.lstrip()[:1] != b"<":
        return each(records(delivery), lambda record: flat_item(options, record, types=TYPES))
    found = [child for child in _message(delivery).children if child.name == "Notification"]
    return each(found, lambda notification: _item(notification, options))


def _item(notification: Element, options: Options) -> ParsedItem:
    record = notification.child("sObject")
    if record is None:
        raise Unreadable("a notification without sObject")
    kind = record.attributes.get("type", "").rpartition(":")[2] or "sObject"
    fields = {child.name: child.text.strip() for child in record.children if not child.children}
    at = from_date(next((fields[name] for name in _TIMES if fields.get(name)), None), options.zone)
    known = person(fields, options.region)
    opted_out = truth(fields.get("HasOptedOutOfEmail"))
    return posted(
        options,
        {"sObject": kind, **fields},
        id_=given_id(options.source, notification.value("Id"), derived_id(options.source, kind, fields)),
        kind=kind,
        type_=options.types.get(kind) or options.activity or TYPES.get(kind, "unknown"),
        at=at,
        lead=lead(options, email=known.get("email"), phone=known.get("phone"), external=_person_id(kind, fields)),
        attributes=attributes(known),
        properties=present({name: text(value) for name, value in fields.items() if not our_name(name)}),
        consent={"email": False, "source": options.source} if opted_out else None,
    )


def _person_id(kind: str, fields: dict[str, str]) -> str | None:
    names = ("Id",) if kind in {"Lead", "Contact"} else ("LeadId", "ContactId", "WhoId")
    return next((fields[name] for name in names if fields.get(name)), None)


ADAPTER = Adapter(
    name=NAME,
    verify=guarded(_verify),
    parse=parse,
    answer=Reply(200, _ACK, "text/xml; charset=utf-8"),
    best_effort=True,
    secret_in_path=True,
)
