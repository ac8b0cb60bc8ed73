"""One record of a list as an activity: who, from which company, when and where the card was exchanged."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.ingest.cards import cells
from services.ingest.cards.consent import COLUMNS, read_consent
from services.ingest.cards.dates import read_date
from services.ingest.cards.emails import read_addresses
from services.ingest.cards.meaning import meaning_of
from services.ingest.cards.names import clean_company, clean_name
from services.ingest.cards.notes import Note
from services.ingest.cards.options import CardOptions
from services.ingest.cards.phones import NUMBERS, PERSONAL_PHONES, PHONES, Number, read_phones
from services.ingest.cards.plan import SEPARATOR, Plan, Values
from shared.activity import MAX_AHEAD
from shared.clock import EPOCH, to_rfc3339
from shared.companies import fold_company
from shared.identity import fold_name

CARD = "card"
"""The system of external ids made from company and name."""
KANA = ("name_kana", "last_name_kana", "first_name_kana")
AS_THEY_ARE = ("department", "job_title", "website", "industry", "country", "state", "city")
ADDRESS = ("address", "state", "city", "street", "building")
_NAMES = ("name", "company", "department", "job_title")


@dataclass(slots=True)
class Card:
    """A record on its way to an activity. `refused` says why there will be none."""

    id: str
    lead: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)
    occurred_at: str | None = None
    consent: dict[str, Any] | None = None
    personal: bool = False
    """Whether its address is that of one person."""
    mobile: str | None = None
    """A number that names one person."""
    exchanged_at: datetime | None = None
    """The instant of `occurred_at`, where that is none to be doubted."""
    opted_out: bool = False
    refused: Note | None = None

    def posted(self, options: CardOptions) -> dict[str, Any]:
        """The activity as it would be posted."""
        activity: dict[str, Any] = {
            "id": self.id,
            "source": options.source,
            "type": options.activity,
            "lead": self.lead,
            "attributes": self.attributes,
            "properties": self.properties,
        }
        if self.occurred_at is not None:
            activity["occurred_at"] = self.occurred_at
        if self.consent is not None:
            activity["consent"] = self.consent
        return activity


def id_of(values: Values, options: CardOptions) -> str:
    """The id of a record's activity: the same whenever the cells say the same, in any encoding and order of columns.

    Tags and columns nobody knows stay out of it: a tool sets them anew at every export.
    """
    said = {name: meaning_of(name, text, options) for name, text in values.known.items() if name != "tags"}
    for name, texts in sorted(values.more.items()):
        if name != "tags":
            said[f"{name}+"] = "\x1e".join(meaning_of(name, text, options) for text in texts)
    return hashlib.sha256(SEPARATOR.join((said_first(said, options), *said.values())).encode()).hexdigest()


def said_first(names: Iterable[str], options: CardOptions) -> str:
    """What ids are made of beside the cells: the kind of activity, the event, the fields that have a value."""
    return SEPARATOR.join((options.activity, options.event or "", *names, ""))


def read_card(values: Values, plan: Plan, options: CardOptions, now: datetime) -> Card:
    """Understand a record; what is not understood stays with it as text, and a note says so."""
    known = values.known
    card = Card(id_of(values, options), notes=values.notes)
    _who(card, known)
    _addresses(card, values, plan)
    _phones(card, values, plan, options.region)
    _where(card, known, values)
    if values.doubtful:
        _check_lost(card, known, plan)
    _when(card, known, plan, options, now)
    _agreed(card, values, plan, options)
    _name_it(card)
    if card.unread:
        card.properties["unread"] = card.unread
    return card


def _who(card: Card, known: Mapping[str, str]) -> None:
    attributes = card.attributes
    last, first = known.get("last_name"), known.get("first_name")
    if whole := known.get("name") or " ".join(part for part in (last, first) if part):
        name, titled = clean_name(whole)
        attributes["name"] = name
        if titled:
            card.notes.append(Note("title", (name,)))
    if last and first:
        attributes["last_name"], attributes["first_name"] = last, clean_name(first)[0]
    if kana := full_kana(*(known.get(name, "") for name in KANA)):
        attributes["name_kana"] = cells.one_line(kana)
    if text := known.get("company"):
        company, changed = clean_company(text)
        attributes["company"] = company
        if changed:
            card.notes.append(Note("company_form", (text, company)))
    for name in AS_THEY_ARE:
        if text := known.get(name):
            attributes[name] = cells.one_line(text) if "\n" in text else text


def _addresses(card: Card, values: Values, plan: Plan) -> None:
    text = values.known.get("email")
    if text is None:
        return
    if more := values.more.get("email"):
        text = "\n".join((text, *more))
    found = read_addresses(text)
    usable = found.personal + found.shared
    if usable:
        card.lead["email"] = usable[0]
        card.personal = bool(found.personal)
        if not found.personal:
            card.notes.append(Note("shared_mailbox"))
        if len(usable) > 1:
            card.properties["other_emails"] = list(usable[1:])
            card.notes.append(Note("email_several", (len(usable) - 1,)))
    if found.unreadable:
        card.notes.append(Note("email_unreadable", (plan.name("email"),)))
    if found.faulty:
        card.notes.append(Note("email_faulty", (plan.name("email"),)))
    if found.beside:
        card.notes.append(Note("email_beside", (plan.name("email"),)))
    if rest := found.unreadable + found.faulty + found.beside:
        card.unread[plan.name("email")] = " ".join(rest)


def _phones(card: Card, values: Values, plan: Plan, region: str) -> None:
    numbers: dict[str, Number] = {}
    for name, text in values.known.items():
        if name not in NUMBERS:
            continue
        if more := values.more.get(name):
            text = "\n".join((text, *more))  # noqa: PLW2901 - the cells of one field together
        found, rest = read_phones(text, region)
        if rest:
            card.notes.append(Note("phone_unreadable", (plan.name(name),)))
            card.unread[plan.name(name)] = " ".join(rest)
        if found:
            first = numbers[name] = found[0]
            card.attributes[name] = first.e164
            if first.extension:
                card.attributes[f"{name}_extension"] = first.extension
                card.notes.append(Note("phone_extension", (plan.name(name), first.extension)))
            if len(found) > 1:
                other = card.properties.setdefault("other_phones", [])
                other += [number.e164 for number in found[1:]]
                card.notes.append(Note("phone_several", (plan.name(name), len(found) - 1)))
    _choose(card, numbers, plan)


def _choose(card: Card, numbers: Mapping[str, Number], plan: Plan) -> None:
    """The number a lead is known by: a mobile of its own, else the first that rings at a desk."""
    for name in PERSONAL_PHONES:
        if name in numbers and numbers[name].identifies:
            card.lead["phone"] = card.mobile = numbers[name].e164
            return
    for name in PHONES:
        number = numbers.get(name)
        if number is not None and number.identifies:
            card.notes.append(Note("phone_of_company", (plan.name(name),)))
        elif number is not None and not number.mobile:
            card.lead["phone"] = number.e164
            return


def _where(card: Card, known: Mapping[str, str], values: Values) -> None:
    if text := known.get("postal_code"):
        card.attributes["postal_code"] = postal_code(text)
    if address := full_address(*(known.get(name, "") for name in ADDRESS)):
        card.attributes["address"] = cells.one_line(address) if "\n" in address else address
    tags = list(values.tags)
    for text in filter(None, (known.get("tags"), *values.more.get("tags", ()))):
        tags += [tag.strip() for tag in text.replace("、", ",").replace(";", ",").replace("\n", ",").split(",")]
    if tags:
        card.properties["tags"] = list(dict.fromkeys(filter(None, tags)))
    if text := known.get("memo"):
        card.properties["memo"] = text
    more = {name: texts for name, texts in values.more.items() if name not in ("email", "tags", *NUMBERS)}
    if values.other or more:
        card.properties["columns"] = {**values.other, **more}


def full_kana(whole: str, last: str, first: str) -> str:
    """How a name is read, from the cell for it or from those for its parts."""
    return whole or f"{last} {first}".strip()


def postal_code(text: str) -> str:
    """A Japanese code as `100-0001`, any other as it is."""
    digits = text.replace("-", "").replace("〒", "").strip()
    return f"{digits[:3]}-{digits[3:]}" if len(digits) == 7 and digits.isdecimal() else text


def full_address(address: str, state: str, city: str, street: str, building: str) -> str:
    """An address from the cell for it or from those for its parts; the building is often only in its own."""
    full = address or f"{state}{city}{street}{building}"
    return f"{full} {building}" if building and building not in full else full


def _check_lost(card: Card, known: Mapping[str, str], plan: Plan) -> None:
    for name in _NAMES:
        text = card.attributes.get(name)
        if text is not None and cells.has_unreadable(text):
            card.notes.append(Note("unreadable", (plan.name(name),)))
    for name, text in known.items():
        if name not in _NAMES and cells.has_lost(text):
            card.notes.append(Note("unreadable", (plan.name(name),)))


def _when(card: Card, known: Mapping[str, str], plan: Plan, options: CardOptions, now: datetime) -> None:
    event = known.get("event") or options.event
    if event:
        card.properties["event"] = event
        # What a rule with `repeat: once_per_object` pays once: the exchange at one event.
        card.properties["object_key"] = event
    text = known.get("exchanged_at")
    if text is not None and _exchanged(card, text, plan, options, now):
        return
    if text is None and "exchanged_at" in plan.names:
        card.notes.append(Note("no_date"))
    if options.occurred_at is not None:
        card.occurred_at = to_rfc3339(options.occurred_at)


def _exchanged(card: Card, text: str, plan: Plan, options: CardOptions, now: datetime) -> bool:
    moment, column = read_date(text, options.zone), plan.name("exchanged_at")
    if moment is None or moment.at < EPOCH:
        card.notes.append(Note("date_unreadable" if moment is None else "date_out_of_range", (column,)))
        card.unread[column] = text
        return False
    if moment.guessed:
        card.notes.append(Note(f"{moment.guessed}_guessed", (column, moment.at.astimezone(options.zone).date())))
    if moment.at - now > MAX_AHEAD:
        card.notes.append(Note("date_ahead", (column,)))
    else:
        card.exchanged_at = moment.at
    card.occurred_at = moment.text
    return True


def _agreed(card: Card, values: Values, plan: Plan, options: CardOptions) -> None:
    if plan.consents and any(name in values.known for name in COLUMNS):
        agreed = read_consent(values.known, plan.names, options.zone, values.more)
        card.consent = agreed.posted(options.consent, options.source)
        card.notes += agreed.notes
        card.unread |= agreed.unread
        card.opted_out = agreed.opted_out or False in agreed.words.values()
    elif options.consent:
        card.consent = dict(options.consent)
    if card.consent is None:
        card.properties["consent"] = "none"


def _name_it(card: Card) -> None:
    """Without mail and mobile phone a lead is known by company and name, and never joined to others."""
    lead, name, company = card.lead, card.attributes.get("name", ""), card.attributes.get("company", "")
    if "email" in lead or card.mobile:
        return
    if not name:
        card.refused = Note("no_person")
        return
    sure = company and not cells.has_unreadable(name + company)
    card.notes.append(Note("without_contact" if sure else "alone"))
    named = f"{fold_company(company)}\x1f{fold_name(name)}" if sure else card.id
    lead["external_ids"] = {CARD: hashlib.sha256(named.encode()).hexdigest()[:32]}
