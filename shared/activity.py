"""The activity: one thing a lead did, as posted by a source and as carried by `lead-activities`."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import orjson

from shared.clock import EPOCH, from_rfc3339, to_rfc3339
from shared.errors import FieldFault
from shared.identity import (
    ANONYMOUS,
    EMAIL,
    EXTERNAL,
    MAILBOX,
    PHONE,
    REMEMBERED,
    Identifier,
    is_shared_mailbox,
    is_unreadable,
    mailbox_of,
    normalise_email,
    normalise_phone,
)
from shared.posted import (
    ActivityFaults,
    PostedActivity,
    RecordedActivity,
    is_plain,
    is_plain_record,
    validate,
)

KNOWN_TYPES = frozenset(
    """
    page_viewed form_submitted document_requested document_downloaded newsletter_subscribed email_delivered
    email_opened email_clicked email_replied email_bounced email_unsubscribed webinar_registered webinar_attended
    seminar_registered seminar_attended exhibition_visited card_exchanged inquiry_sent demo_requested quote_requested
    trial_started call_connected call_missed meeting_booked meeting_held order_placed ad_lead_submitted profile_updated
    unknown
    """.split()
)
DEFAULT_SOURCE = "api"
MAX_AHEAD = timedelta(minutes=5)
"""How far a sender's clock may run ahead before its word is replaced by the time of receipt."""

NO_OCCURRED_AT, CLOCK_SKEW = "no_occurred_at", "clock_skew"
SILENT = "silent"
"""The flag of activities that are history: they are scored, and hand no lead over."""
Names = tuple[str | None, str | None, tuple[Identifier, ...]]
"""Of a lead: its e-mail address and phone number as normalised, and its identifiers, strongest first."""
_TYPE = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_parse_iso = datetime.fromisoformat
_EXTERNAL_SOURCE = re.compile(r"[^\s:]{1,64}")


@dataclass(slots=True)
class Activity:
    """One normalised activity. Not frozen, because a million of them are made a minute; no one writes to it.

    `identifiers` stand strongest first and are never empty; `email` is normalised, also when it is a shared mailbox
    and so no identifier; `phone` is E.164; `claimed_at` is what a sender with a fast clock said.
    """

    id: str
    source: str
    type: str
    occurred_at: datetime
    received_at: datetime | None
    identifiers: tuple[Identifier, ...]
    email: str | None
    attributes: dict[str, Any]
    properties: dict[str, Any]
    consent: dict[str, Any] | None
    flags: tuple[str, ...]
    phone: str | None = None
    claimed_at: datetime | None = None
    signals: dict[str, Any] | None = None

    @property
    def order(self) -> tuple[datetime, str, str]:
        """Its place in the fold order."""
        return (self.occurred_at, self.id, self.source)

    def fingerprint(self) -> bytes:
        """Eight bytes over what the sender set, to tell a retry from another body under the same id."""
        said = None if NO_OCCURRED_AT in self.flags else to_rfc3339(self.claimed_at or self.occurred_at)
        body = [self.type, said, [tuple(identifier) for identifier in self.identifiers], self.email, self.phone]
        # A form's double click agrees at two instants; it is the same word.
        agreed = self.consent and {name: word for name, word in self.consent.items() if said or name != "at"}
        rest = [self.attributes, self.properties, agreed]
        return hashlib.blake2b(orjson.dumps([body, rest], option=orjson.OPT_SORT_KEYS), digest_size=8).digest()


def parse_posted(raw: Any, *, id_if_absent: str, source_if_absent: str, received_at: datetime, region: str) -> Activity:
    """Normalise an activity as a sender wrote it. Raises ActivityFaults with every fault found."""
    if not is_plain(raw):
        validate(PostedActivity, raw)
    return _normalise(
        raw, raw.get("id") or id_if_absent, raw.get("source") or source_if_absent, received_at, region, []
    )


def parse_recorded(raw: Any, *, region: str = "JP") -> Activity:
    """Read the value of a `lead-activities` record again. Raises ActivityFaults, also for values not made by ingest."""
    if not is_plain_record(raw):
        validate(RecordedActivity, raw)
    faults: list[FieldFault] = []
    received_at = _instant(raw.get("received_at"), "/received_at", faults)
    claimed_at = _instant(raw.get("claimed_at"), "/claimed_at", faults)
    activity = _normalise(raw, raw["id"], raw["source"], None, region, faults)
    activity.received_at = received_at
    activity.flags = tuple(raw.get("flags", ()))
    activity.claimed_at = claimed_at
    activity.signals = raw.get("signals")
    return activity


def parse_stored(raw: Mapping[str, Any]) -> Activity:
    """As `parse_recorded`, for a value that it accepted once: nothing is checked again, at a third of the time."""
    named = _known_names(raw["lead"], "JP")
    return parse_recorded(raw) if named is None else _stored(raw, named)


def parse_history(bodies: Iterable[Mapping[str, Any]]) -> list[Activity]:
    """As `parse_stored` of each. Those of one lead mostly name it alike: what that means is looked up once."""
    activities: list[Activity] = []
    lead, named = None, None
    for raw in bodies:
        if raw["lead"] != lead:
            lead = raw["lead"]
            named = _known_names(lead, "JP")
        activities.append(parse_recorded(raw) if named is None else _stored(raw, named))
    return activities


def _stored(raw: Mapping[str, Any], named: Names) -> Activity:
    get = raw.get
    received, claimed, consent = get("received_at"), get("claimed_at"), get("consent")
    email, phone, identifiers = named
    # By position, which takes half the time.
    return Activity(
        raw["id"],
        raw["source"],
        raw["type"],
        _stored_instant(raw["occurred_at"]),
        _stored_instant(received) if received else None,
        identifiers,
        email,
        get("attributes") or {},
        get("properties") or {},
        None if consent is None else {name: word for name, word in consent.items() if word is not None},
        tuple(get("flags", ())),
        phone,
        from_rfc3339(claimed) if claimed else None,
        get("signals"),
    )


def _stored_instant(text: str) -> datetime:
    """As `from_rfc3339`, of a text that it has read once; nearly all are written in UTC."""
    return _parse_iso(text) if text[-1] == "Z" else from_rfc3339(text)


def _known_names(lead: Mapping[str, Any], region: str) -> Names | None:
    external = lead.get("external_ids")
    known_as = tuple(external.items()) if external else ()
    return names_of(lead.get("email"), lead.get("phone"), lead.get("anonymous_id"), known_as, region)


@lru_cache(REMEMBERED)
def names_of(
    email: str | None,
    phone: str | None,
    anonymous_id: str | None,
    external_ids: tuple[tuple[str, str], ...],
    region: str,
) -> Names | None:
    """What a lead's names normalise to; None where they have a fault or it takes the attributes to tell."""
    lead = {"email": email, "phone": phone, "anonymous_id": anonymous_id, "external_ids": dict(external_ids)}
    faults: list[FieldFault] = []
    names = _identify({"lead": lead}, region, faults)
    return None if faults or names[2][0].kind == MAILBOX else names


def lead_names(activity: Activity) -> dict[str, Any]:
    """The names of its lead as they are posted: normalised, so that they are read as they stand."""
    lead: dict[str, Any] = {}
    if activity.email:
        lead["email"] = activity.email
    if activity.phone:
        lead["phone"] = activity.phone
    for kind, name in activity.identifiers:
        if kind == EXTERNAL:
            source, _, known_as = name.partition(":")
            lead.setdefault("external_ids", {})[source] = known_as
        elif kind == ANONYMOUS:
            lead["anonymous_id"] = name
    return lead


def to_record(activity: Activity) -> dict[str, Any]:
    """The value of the `lead-activities` record that carries `activity`; `parse_recorded` reads it back."""
    occurred_at, received_at = activity.occurred_at, activity.received_at
    said = to_rfc3339(occurred_at)
    value: dict[str, Any] = {
        "id": activity.id,
        "source": activity.source,
        "type": activity.type,
        "occurred_at": said,
        # One instant where the sender named none.
        "received_at": said if received_at is occurred_at else to_rfc3339(received_at) if received_at else None,
        "lead": lead_names(activity),
        "attributes": activity.attributes,
        "properties": activity.properties,
        "consent": activity.consent,
        "flags": activity.flags,
    }
    if activity.claimed_at:
        value["claimed_at"] = to_rfc3339(activity.claimed_at)
    if activity.signals:
        value["signals"] = activity.signals
    return value


def _normalise(
    raw: Mapping[str, Any], id_: str, source: str, received_at: datetime | None, region: str, faults: list[FieldFault]
) -> Activity:
    """`raw` has the shape of PostedActivity. That model is strict, so its values are those of `raw`."""
    type_, consent = raw["type"], raw.get("consent")
    if type_ not in KNOWN_TYPES and not _TYPE.fullmatch(type_):
        faults.append(FieldFault("/type", "expected snake_case, such as document_downloaded"))
    email, phone, identifiers = _known_names(raw["lead"], region) or _identify(raw, region, faults)
    occurred_at, claimed_at, flags = _place_in_time(raw.get("occurred_at"), received_at, faults)
    if consent:
        _instant(consent.get("at"), "/consent/at", faults)
    if faults:
        raise ActivityFaults(faults)
    agreed = None if consent is None else {name: word for name, word in consent.items() if word is not None}
    attributes, properties = raw.get("attributes") or {}, raw.get("properties") or {}
    # By position, which takes half the time.
    return Activity(
        id_,
        source,
        type_,
        occurred_at,
        received_at,
        identifiers,
        email,
        attributes,
        properties,
        agreed,
        flags,
        phone,
        claimed_at,
    )


def is_activity_type(text: str) -> bool:
    """Whether it has the form of a type: snake_case, at most 64 characters."""
    return len(text) <= 64 and _TYPE.fullmatch(text) is not None


def _place_in_time(
    said: str | None, received_at: datetime | None, faults: list[FieldFault]
) -> tuple[datetime, datetime | None, tuple[str, ...]]:
    if said is None:
        return received_at or EPOCH, None, (NO_OCCURRED_AT,)
    occurred_at = _instant(said, "/occurred_at", faults) or EPOCH
    if received_at is not None and occurred_at > received_at and occurred_at - received_at > MAX_AHEAD:
        return received_at, occurred_at, (CLOCK_SKEW,)
    return occurred_at, None, ()


def _instant(text: str | None, pointer: str, faults: list[FieldFault]) -> datetime | None:
    if text is None:
        return None
    try:
        instant = from_rfc3339(text)
    except ValueError as error:
        faults.append(FieldFault(pointer, f"{error}; expected RFC 3339, such as 2026-11-20T10:15:00+09:00"))
        return None
    if instant < EPOCH:
        faults.append(FieldFault(pointer, "is before 1970"))
        return None
    return instant


def _identify(raw: Mapping[str, Any], region: str, faults: list[FieldFault]) -> Names:
    """Normalise the lead's names; adds a fault where none of them can name a person."""
    lead, before = raw["lead"], len(faults)
    identifiers: list[Identifier] = []
    email = _email(lead.get("email"), faults)
    mailbox = email is not None and is_shared_mailbox(email)
    if email and not mailbox and not is_unreadable(email):
        identifiers.append(Identifier(EMAIL, email))
    if external_ids := lead.get("external_ids"):
        identifiers.extend(_externals(external_ids, faults))
    phone = _phone(lead.get("phone"), region, faults, identifiers)
    if anonymous_id := (lead.get("anonymous_id") or "").strip():
        identifiers.append(Identifier(ANONYMOUS, anonymous_id))
    if not identifiers and mailbox and email:
        identifiers.append(mailbox_of(email, _name(raw.get("attributes") or {})))
    if not identifiers and len(faults) == before:
        expected = "expected at least one of email, external_ids, a mobile phone, anonymous_id"
        faults.append(FieldFault("/lead", f"names no person: {expected}"))
    return email, phone, tuple(identifiers)


def _email(text: str | None, faults: list[FieldFault]) -> str | None:
    if text is None or not text.strip():
        return None
    try:
        return normalise_email(text)
    except ValueError as error:
        faults.append(FieldFault("/lead/email", str(error)))
        return None


def _externals(ids: dict[str, str], faults: list[FieldFault]) -> list[Identifier]:
    for source in ids:
        if not _EXTERNAL_SOURCE.fullmatch(source):
            faults.append(FieldFault("/lead/external_ids", "a source is 1 to 64 characters without space and colon"))
    return sorted(Identifier(EXTERNAL, f"{source}:{value}") for source, value in ids.items())


def _phone(text: str | None, region: str, faults: list[FieldFault], identifiers: list[Identifier]) -> str | None:
    if text is None or not text.strip():
        return None
    try:
        phone = normalise_phone(text, region)
    except ValueError as error:
        faults.append(FieldFault("/lead/phone", str(error)))
        return None
    if phone.identifies:
        identifiers.append(Identifier(PHONE, phone.e164))
    return phone.e164


def _name(attributes: Mapping[str, Any]) -> str:
    """The person's name as forms send it: whole, or in two fields, family name first."""
    for fields in (("name",), ("family_name", "given_name"), ("last_name", "first_name")):
        parts = [attributes.get(field) for field in fields]
        if any(isinstance(part, str) and part for part in parts):
            return " ".join(part for part in parts if isinstance(part, str))
    return ""
