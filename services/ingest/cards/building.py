"""From columns that are understood to activities: ids, attributes and the rest, as `card.py` has them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import repeat
from typing import Any, NamedTuple

from services.ingest.cards.card import (
    ADDRESS,
    AS_THEY_ARE,
    KANA,
    full_address,
    full_kana,
    postal_code,
)
from services.ingest.cards.columns import Cells, Memo, are_mobile
from services.ingest.cards.gathering import by_card, ids_of
from services.ingest.cards.notes import Note
from services.ingest.cards.options import CardOptions
from services.ingest.cards.outcomes import Outcome, Status
from services.ingest.cards.phones import NUMBERS, PERSONAL_PHONES, PHONES
from services.ingest.cards.plan import Plan
from shared.activity import Activity
from shared.identity import EMAIL, MOBILE_JP, PHONE, Identifier

_ACCEPTED: Status = "accepted"


class When(NamedTuple):
    """When a card was exchanged, as an activity has it."""

    occurred_at: datetime
    claimed_at: datetime | None
    flags: tuple[str, ...]


class Agreement(NamedTuple):
    """What a record says of consent, or the list for it, and what is to be told."""

    consent: dict[str, Any] | None
    notes: tuple[Note, ...] = ()


Notes = dict[int, list[Note]]
"""By the place of a card: what is to be told of it, if anything is."""


class Made(NamedTuple):
    """Cards by the column of which activities are being made; `outcomes` makes each when it is asked for."""

    ids: list[str]
    emails: Cells
    consents: Sequence[dict[str, Any] | None]
    with_notes: int
    outcomes: Iterator[Outcome]


@dataclass(slots=True)
class Understood:
    """`count` cards by the column: what the cells of a field say, as ids need it (`said`), and what was read out of
    them (`read`). "" is nothing; a column of nothing may be missing.
    """

    count: int
    said: dict[str, Cells] = field(default_factory=dict)
    read: dict[str, Cells] = field(default_factory=dict)
    when: Sequence[When] = ()
    agreed: Sequence[Agreement] = ()
    remarks: bool = False
    """Whether there is anything to be told of what any of them agreed to."""
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

    def build(self, cards: Understood, records: Iterable[int], lines: Iterable[int]) -> Made:
        """The outcomes of the cards; `records` and `lines` are their numbers."""
        notes: Notes = {}
        # In this order, as notes of a card stand in the order of what they are about.
        attributes = self._attributes(cards, notes)
        mobiles, phones = self._phones(cards, notes)
        emails = cards.column("email")
        if cards.remarks:
            for place, agreement in enumerate(cards.agreed):
                if agreement.notes:
                    notes.setdefault(place, []).extend(agreement.notes)
        filled = {name for name, column in cards.said.items() if all(column)}
        ids = ids_of(cards.said, filled, self._options)
        consents = [agreement.consent for agreement in cards.agreed]
        times, claims, flags = zip(*cards.when, strict=True)
        activities = map(
            # By place: half of them by name would cost as much again.
            Activity,
            ids,
            repeat(self._options.source),
            repeat(self._options.activity),
            times,
            repeat(self._now),
            _persons(emails, mobiles),
            emails,
            by_card(attributes, filled, cards.count),
            self._all_properties(cards, consents),
            consents,
            flags,
            phones if all(phones) else [phone or None for phone in phones],
            claims,
        )
        outcomes = map(Outcome, records, lines, repeat(_ACCEPTED), _by_place(notes, cards.count), activities)
        return Made(ids, emails, consents, len(notes), outcomes)

    def _attributes(self, cards: Understood, notes: Notes) -> dict[str, Cells]:
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

    def _phones(self, cards: Understood, notes: Notes) -> tuple[Cells, Cells]:
        """A number that names the person alone, and the one the lead is known by, of each card."""
        mobile = cards.read.get("mobile")
        if mobile and are_mobile(mobile):
            return mobile, mobile
        given = [name for name in PHONES if name in cards.read]
        if not given:
            return ("",) * cards.count, ("",) * cards.count
        chosen = [
            self._choose(dict(zip(given, numbers, strict=True)), place, notes)
            for place, numbers in enumerate(zip(*map(cards.column, given), strict=True))
        ]
        return [one for one, _ in chosen], [one for _, one in chosen]

    def _choose(self, numbers: dict[str, str], place: int, notes: Notes) -> tuple[str, str]:
        mobile = {name for name, number in numbers.items() if MOBILE_JP.fullmatch(number)}
        for name in PERSONAL_PHONES:
            if name in mobile:
                return numbers[name], numbers[name]
        for name, number in numbers.items():
            if name in mobile:
                notes.setdefault(place, []).append(Note("phone_of_company", (self._plan.name(name),)))
            elif number:
                return "", number
        return "", ""

    def _all_properties(self, cards: Understood, consents: Sequence[object]) -> list[dict[str, Any]]:
        """As in `card.py`."""
        of_list, memos, events = self._event(None), cards.column("memo"), cards.column("event")
        without_consent = of_list | {"consent": "none"}
        properties = [without_consent.copy() if consent is None else of_list.copy() for consent in consents]
        told = "memo" in cards.read or "event" in cards.read
        for place in range(cards.count) if told else cards.tags.keys() | cards.other.keys():
            own: dict[str, Any] = {}
            if place in cards.tags:
                own["tags"] = list(dict.fromkeys(cards.tags[place]))
            if memos[place]:
                own["memo"] = memos[place]
            if place in cards.other:
                own["columns"] = cards.other[place]
            own |= self._event(events[place]) if events[place] else of_list
            if consents[place] is None:
                own["consent"] = "none"
            properties[place] = own
        return properties

    def _event(self, said: str | None) -> dict[str, Any]:
        event = said or self._options.event
        return {"event": event, "object_key": event} if event else {}


def _names(cards: Understood) -> dict[str, Cells]:
    """The attributes that name the person."""
    columns: dict[str, Cells] = {}
    whole, last, first = (cards.read.get(name) for name in ("name", "last_name", "first_name"))
    if last and first:
        # Both stand in a record, or neither does.
        joined = list(map(" ".join, zip(last, first, strict=True)))
        if "" in last:
            joined = ["" if text == " " else text for text in joined]
        columns["name"] = list(map(_either, whole, joined)) if whole else joined
        columns["last_name"], columns["first_name"] = last, first
    elif whole:
        columns["name"] = whole
    if any(name in cards.read for name in KANA):
        columns["name_kana"] = list(map(full_kana, *map(cards.column, KANA)))
    return columns


def _note_companies(texts: Cells, companies: Cells, notes: Notes) -> None:
    if texts == companies:
        return
    for place, (text, company) in enumerate(zip(texts, companies, strict=True)):
        if text != company:
            notes.setdefault(place, []).append(Note("company_form", (text, company)))


def _by_place(notes: Notes, count: int) -> list[list[Note]]:
    every: list[list[Note]] = [[] for _ in range(count)]
    for place, noted in notes.items():
        every[place] = noted
    return every


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
