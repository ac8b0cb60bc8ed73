"""From columns that are understood to activities: ids, attributes and what would be posted, as `card.py` has them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from hashlib import sha256
from itertools import repeat
from typing import Any, NamedTuple

from services.ingest.cards.card import (
    ADDRESS,
    AS_THEY_ARE,
    KANA,
    NUMBERS,
    PERSONAL_PHONES,
    PHONES,
    full_address,
    full_kana,
    postal_code,
    said_first,
)
from services.ingest.cards.columns import Cells, Memo, are_mobile
from services.ingest.cards.notes import Note
from services.ingest.cards.options import CardOptions
from services.ingest.cards.outcomes import Outcome
from services.ingest.cards.plan import SEPARATOR, Plan
from shared.activity import Activity
from shared.identity import EMAIL, MOBILE_JP, PHONE, Identifier

_NEXT = "\x1e"


class When(NamedTuple):
    """When a card was exchanged, as posted and as an activity has it."""

    said: str | None
    occurred_at: datetime
    claimed_at: datetime | None
    flags: tuple[str, ...]


class Agreement(NamedTuple):
    """What a record says of consent, or the list for it: as posted, as an activity has it, and what is to be told."""

    posted: dict[str, Any] | None
    consent: dict[str, Any] | None
    notes: tuple[Note, ...] = ()


_Parts = tuple[
    str, str, str | None, tuple[Identifier, ...], dict[str, Any], dict[str, Any], When, Agreement, list[Note]
]
"""Of a card: id, address, phone, identifiers, attributes, properties, time, consent, notes."""


@dataclass(slots=True)
class Understood:
    """`count` cards by the column: what stands in the cells of a field, cleaned as ids need it (`said`), and what was
    read out of them (`read`). "" is nothing; a column of nothing may be missing.
    """

    count: int
    said: dict[str, Cells] = field(default_factory=dict)
    read: dict[str, Cells] = field(default_factory=dict)
    when: Sequence[When] = ()
    agreed: Sequence[Agreement] = ()
    tags: dict[int, list[str]] = field(default_factory=dict)
    """By the place of a card, as `other`: what stands in the columns that nobody knows."""
    other: dict[int, dict[str, str]] = field(default_factory=dict)

    def column(self, name: str) -> Cells:
        """What was read out of a column, also of a missing one."""
        return self.read.get(name) or ("",) * self.count

    def keep(self, places: Sequence[int]) -> None:
        """Only the cards at these places, rising, remain."""
        for columns in (self.said, self.read):
            columns |= {name: [column[place] for place in places] for name, column in columns.items()}
        self.when = [self.when[place] for place in places]
        self.agreed = [self.agreed[place] for place in places]
        self.tags = {new: self.tags[old] for new, old in enumerate(places) if old in self.tags}
        self.other = {new: self.other[old] for new, old in enumerate(places) if old in self.other}
        self.count = len(places)


class Builder:
    """Makes the activities of one list."""

    def __init__(self, plan: Plan, options: CardOptions, now: datetime) -> None:
        self._plan, self._options, self._now = plan, options, now
        self._postal_codes = Memo(postal_code)

    def build(self, cards: Understood, records: Iterable[int], lines: Iterable[int]) -> Iterator[Outcome]:
        """The outcome of each card; `records` and `lines` are their numbers."""
        source, type_, now = self._options.source, self._options.activity, self._now
        for (id_, email, phone, person, known, properties, when, agreed, noted), record, line in zip(
            self._parts(cards), records, lines, strict=True
        ):
            said, at, claimed_at, flags = when
            consent = None
            posted: dict[str, Any] = {
                "id": id_,
                "source": source,
                "type": type_,
                "lead": {"email": email, "phone": phone} if phone else {"email": email},
                "attributes": known,
                "properties": properties,
            }
            if said:
                posted["occurred_at"] = said
            if agreed.posted is None:
                properties["consent"] = "none"
            else:
                posted["consent"], consent = dict(agreed.posted), dict(agreed.consent or {})
            if agreed.notes:
                noted.extend(agreed.notes)
            # By place: half of them by name would cost as much again.
            activity = Activity(
                id_, source, type_, at, now, person, email, known, properties, consent, flags, phone, claimed_at
            )
            yield Outcome(record, line, "accepted", noted, posted, activity)

    def _parts(self, cards: Understood) -> Iterator[_Parts]:
        notes: list[list[Note]] = [[] for _ in range(cards.count)]
        # In this order, as notes of a card stand in the order of what they are about.
        attributes = self._attributes(cards, notes)
        mobiles, phones = self._phones(cards, notes)
        emails = cards.column("email")
        return zip(
            self._ids(cards),
            emails,
            [phone or None for phone in phones],
            _persons(emails, mobiles),
            _by_card(attributes, cards.count),
            self._all_properties(cards),
            cards.when,
            cards.agreed,
            notes,
            strict=True,
        )

    def _attributes(self, cards: Understood, notes: list[list[Note]]) -> dict[str, Cells]:
        """Attributes by the column, in their order."""
        read, columns = cards.read, _names(cards)
        if companies := read.get("company"):
            columns["company"] = companies
            _note_companies(cards.said["company"], companies, notes)
        columns |= {name: read[name] for name in AS_THEY_ARE if name in read}
        columns |= {name: read[name] for name in cards.said if name in NUMBERS}
        if codes := read.get("postal_code"):
            columns["postal_code"] = self._postal_codes.read(codes)
        if any(name in read for name in ADDRESS[1:]):
            columns["address"] = list(map(full_address, *map(cards.column, ADDRESS)))
        elif addresses := read.get("address"):
            columns["address"] = addresses
        return columns

    def _phones(self, cards: Understood, notes: list[list[Note]]) -> tuple[Cells, Cells]:
        """A number that names the person alone, and the one the lead is known by, of each card."""
        mobile = cards.read.get("mobile")
        if mobile and are_mobile(mobile):
            return mobile, mobile
        given = [name for name in PHONES if name in cards.read]
        if not given:
            return ("",) * cards.count, ("",) * cards.count
        chosen = [
            self._choose(dict(zip(given, numbers, strict=True)), noted)
            for numbers, noted in zip(zip(*map(cards.column, given), strict=True), notes, strict=True)
        ]
        return [one for one, _ in chosen], [one for _, one in chosen]

    def _choose(self, numbers: dict[str, str], noted: list[Note]) -> tuple[str, str]:
        mobile = {name for name, number in numbers.items() if MOBILE_JP.fullmatch(number)}
        for name in PERSONAL_PHONES:
            if name in mobile:
                return numbers[name], numbers[name]
        for name, number in numbers.items():
            if name in mobile:
                noted.append(Note("phone_of_company", (self._plan.name(name),)))
            elif number:
                return "", number
        return "", ""

    def _all_properties(self, cards: Understood) -> Iterator[dict[str, Any]]:
        """As in `card.py`, but for the consent."""
        of_list, special = self._event(None), cards.tags.keys() | cards.other.keys()
        if "memo" in cards.read or "event" in cards.read:
            special = set(range(cards.count))
        memos, events = cards.column("memo"), cards.column("event")
        for place in range(cards.count):
            if place not in special:
                yield of_list.copy()
                continue
            properties: dict[str, Any] = {}
            if place in cards.tags:
                properties["tags"] = list(dict.fromkeys(cards.tags[place]))
            if memos[place]:
                properties["memo"] = memos[place]
            if place in cards.other:
                properties["columns"] = cards.other[place]
            yield properties | self._event(events[place])

    def _event(self, said: str | None) -> dict[str, Any]:
        event = said or self._options.event
        return {"event": event, "object_key": event} if event else {}

    def _ids(self, cards: Understood) -> Iterator[str]:
        """As `card.id_of`: of the names of the fields that say something, and of what they say."""
        names = list(cards.said)
        joined = _NEXT.join(map(SEPARATOR.join, zip(*cards.said.values(), strict=True)))
        # No common cell holds a control character.
        texts = joined.encode().split(_NEXT.encode())
        sometimes = [name for name in names if "" in cards.said[name]]
        if not sometimes:
            head = self._head(names)
            return (sha256(head + text).hexdigest() for text in texts)
        filled = list(zip(*(map(bool, cards.said[name]) for name in sometimes), strict=True))
        heads = {}
        for pattern in set(filled):
            missing = {name for name, is_filled in zip(sometimes, pattern, strict=True) if not is_filled}
            heads[pattern] = self._head(name for name in names if name not in missing)
        return (
            sha256(heads[pattern] + (text if all(pattern) else _without_gaps(text))).hexdigest()
            for pattern, text in zip(filled, texts, strict=True)
        )

    def _head(self, names: Iterable[str]) -> bytes:
        return f"{said_first(names, self._options)}{SEPARATOR}".encode()


def _without_gaps(text: bytes) -> bytes:
    separator = SEPARATOR.encode()
    return separator.join(filter(None, text.split(separator)))


def _names(cards: Understood) -> dict[str, Cells]:
    """The attributes that name the person."""
    columns: dict[str, Cells] = {}
    whole, last, first = (cards.read.get(name) for name in ("name", "last_name", "first_name"))
    if last and first:
        # Both stand in a record, or neither does.
        joined = [text.strip() for text in map(" ".join, zip(last, first, strict=True))]
        columns["name"] = list(map(_either, whole, joined)) if whole else joined
        columns["last_name"], columns["first_name"] = last, first
    elif whole:
        columns["name"] = whole
    if any(name in cards.read for name in KANA):
        columns["name_kana"] = list(map(full_kana, *map(cards.column, KANA)))
    return columns


def _note_companies(texts: Cells, companies: Cells, notes: list[list[Note]]) -> None:
    if texts == companies:
        return
    for text, company, noted in zip(texts, companies, notes, strict=True):
        if text != company:
            noted.append(Note("company_form", (text, company)))


def _persons(emails: Cells, mobiles: Cells) -> Iterator[tuple[Identifier, ...]]:
    """What each lead is known by."""
    # Past the constructor that a NamedTuple has in Python: there are two for each card.
    make = partial(tuple.__new__, Identifier)
    addresses: Iterator[Identifier] = map(make, zip(repeat(EMAIL), emails))
    if "" not in mobiles:
        return zip(addresses, map(make, zip(repeat(PHONE), mobiles)), strict=True)
    return (
        (address, Identifier(PHONE, mobile)) if mobile else (address,)
        for address, mobile in zip(addresses, mobiles, strict=True)
    )


def _either(one: str, other: str) -> str:
    return one or other


def _by_card(columns: dict[str, Cells], count: int) -> Iterator[dict[str, Any]]:
    """A dict for each card, of those columns that say something of it."""
    if not columns:
        yield from ({} for _ in range(count))
    sometimes = [name for name, column in columns.items() if "" in column]
    names = tuple(columns)
    for texts in zip(*columns.values(), strict=True):
        known: dict[str, Any] = dict(zip(names, texts, strict=True))
        for name in sometimes:
            if not known[name]:
                del known[name]
        yield known
