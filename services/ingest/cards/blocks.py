"""The common cards of a list, many at a time.

`card.py` has the word on what a record means. Most records need little of it: a person's own address, plain numbers, a
plain date, texts that leave no doubt. Those are read here by the column, to the same outcome in a fraction of the time;
every other is left to `card.py`. `tests/unit/ingest/cards/test_blocks.py` holds the two against each other.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from itertools import compress, repeat
from typing import Any

from services.ingest.cards import cells
from services.ingest.cards.building import Agreement, Builder, Made, Understood, When
from services.ingest.cards.card import ADDRESS, AS_THEY_ARE, KANA
from services.ingest.cards.columns import Cells, Memo, Texts, read_addresses, read_numbers
from services.ingest.cards.consent import COLUMNS, read_consent
from services.ingest.cards.cutting import Block, Plain, RawCells
from services.ingest.cards.dates import read_date
from services.ingest.cards.headers import TAG_MARKS, Column
from services.ingest.cards.meaning import meaning_of
from services.ingest.cards.names import HONOURED, clean_company
from services.ingest.cards.notes import Note
from services.ingest.cards.options import CardOptions
from services.ingest.cards.outcomes import MOST_BYTES_A_CHARACTER
from services.ingest.cards.phones import NUMBERS
from services.ingest.cards.plan import LONGEST_NAME, Plan
from shared.activity import MAX_AHEAD, SILENT, Activity, parse_posted
from shared.clock import EPOCH, to_rfc3339
from shared.posted import ActivityFaults

_OF_PERSONS = ("name", "last_name", "first_name")
_JUDGED = (*_OF_PERSONS, "company", "department", "job_title")
"""In these a sign such as `?` is told."""
_TEXTS = dict.fromkeys((*_JUDGED, *KANA, *AS_THEY_ARE, *ADDRESS, *COLUMNS, "postal_code", "event", "memo"))

_DOUBTED = When(EPOCH, None, ())
"""In place of a time that `card.py` has to judge."""
_DISPUTED = Agreement(None, (Note("consent_unreadable"),))
"""In place of what was not understood of a consent."""

Reader = Callable[[RawCells, set[int]], Cells]


class CommonCards:
    """Reads the common cards of a list, block after block; remembers what comes again and again."""

    def __init__(self, plan: Plan, options: CardOptions, now: datetime, max_activity_bytes: int, codec: str) -> None:
        """`codec` is that of the cells."""
        self._plan, self._options, self._now = plan, options, now
        self._longest = max_activity_bytes // MOST_BYTES_A_CHARACTER
        self._readers: dict[str, Reader] = {
            "email": read_addresses,
            **dict.fromkeys(NUMBERS, read_numbers),
            **{name: _texts(name, codec).read for name in _TEXTS},
        }
        # A list may have any number of these; little is remembered of each.
        self._unknown = [(column, Texts(codec, cells.LOST, most_characters=4_096).read) for column in plan.unknown]
        self._dates, self._companies = Memo(self._date), Memo(_company)
        self._meanings = {
            name: Memo(partial(meaning_of, name, options=options)) for name in (*COLUMNS, "exchanged_at", "postal_code")
        }
        self._flags = (SILENT,) if options.silent else ()
        self._undated = _DOUBTED if "exchanged_at" in plan.names else self._without_date()
        self._agreements = Memo(self._agreement)
        self._builder = Builder(plan, options, now)

    def read(self, block: Block, first: int, aside: set[int]) -> Made | None:
        """The common records, in order, if there are any; the first of the block has the number `first`.

        `aside` gets the places in the block of the others.
        """
        count = len(block.records)
        everywhere = range(count)
        # Elsewhere numbers without a country are read by other rules.
        if "email" not in self._plan.names or self._options.region != "JP":
            aside.update(everywhere)
            return None
        understood = self._understand(self._columns(block, aside), count, aside)
        if aside:
            places = [place for place in everywhere if place not in aside]
            if not places:
                return None
            understood.keep(places)
            return self._builder.build(
                understood, [first + place for place in places], [block.lines[place] for place in places]
            )
        return self._builder.build(understood, range(first, first + count), block.lines)

    def _columns(self, block: Block, aside: set[int]) -> Sequence[RawCells]:
        """The cells by the column, without those of the records that are put aside for their form."""
        width = self._plan.width
        if isinstance(block.records, Plain) and block.longest <= self._longest:
            columns = block.records.columns(width)
            if columns is not None:
                return columns
        rows = block.records.rows()
        self._check(block, rows, aside)
        if aside:
            nothing = [""] * width
            rows = [nothing if place in aside else row for place, row in enumerate(rows)]
        return list(zip(*rows, strict=True))

    def _check(self, block: Block, rows: Sequence[RawCells], aside: set[int]) -> None:
        """Put aside records of another width than the header, with line breaks in a cell, or that may be too large."""
        if set(map(len, rows)) != {self._plan.width}:
            aside.update(place for place, row in enumerate(rows) if len(row) != self._plan.width)
        if block.folded:
            texts = enumerate(map("".join, rows))
            aside.update(place for place, text in texts if "\n" in text or "\r" in text)
        if block.longest > self._longest:
            aside.update(place for place, row in enumerate(rows) if sum(map(len, row)) > self._longest)

    def _understand(self, columns: Sequence[RawCells], count: int, aside: set[int]) -> Understood:
        """Read every column; `aside` grows by the places of records that are not common."""
        found = Understood(count)
        for index, name in self._plan.fields:
            column = columns[index]
            if not any(column):
                continue
            found.said[name] = column
            if name == "exchanged_at":
                continue
            if name not in self._readers:
                _put_aside(column, aside)
                continue
            found.read[name] = self._readers[name](column, aside)
            found.said[name] = found.read[name]
            if name == "company":
                found.read[name] = self._companies_of(found.said[name], aside)
            if index in self._plan.tagged:
                aside.update(place for place, text in enumerate(found.said[name]) if text in TAG_MARKS)
        found.when = self._times(found.said.get("exchanged_at"), count, aside)
        found.agreed = self._agreed(found, aside)
        for name in found.said.keys() & self._meanings.keys():
            # Only now, as what was agreed to and when is read from the texts.
            found.said[name] = self._meanings[name].read(found.said[name])
        _check_persons(found, aside)
        for repeated in self._plan.repeats:
            _put_aside(columns[repeated.index], aside)
        for unknown, read in self._unknown:
            if any(columns[unknown.index]):
                _add_unknown(found, unknown, read(columns[unknown.index], aside))
        return found

    def _companies_of(self, texts: Cells, aside: set[int]) -> Cells:
        companies = self._companies.read(texts)
        if "" in companies:
            pairs = zip(texts, companies, strict=True)
            aside.update(place for place, (text, company) in enumerate(pairs) if text and not company)
        return companies

    def _times(self, column: RawCells | None, count: int, aside: set[int]) -> Sequence[When]:
        times = [self._undated] * count if column is None else self._dates.read(column)
        if _DOUBTED in times:
            aside.update(place for place, when in enumerate(times) if when is _DOUBTED)
        return times

    def _date(self, cell: str) -> When:
        """The time that a cell names, _DOUBTED where it leaves any doubt."""
        if not (cell.isascii() and cell.isprintable() and cell == cell.strip()):
            return _DOUBTED
        moment = read_date(cell, self._options.zone)
        if moment is None or moment.guessed or moment.at < EPOCH or moment.at - self._now > MAX_AHEAD:
            return _DOUBTED
        return When(moment.at, None, self._flags)

    def _without_date(self) -> When:
        """The time of records without one: that of the import's options, or of the import."""
        said = to_rfc3339(self._options.occurred_at) if self._options.occurred_at else None
        try:
            activity = self._parse(occurred_at=said)
        except ActivityFaults:
            return _DOUBTED
        return When(activity.occurred_at, activity.claimed_at, (*activity.flags, *self._flags))

    def _agreed(self, found: Understood, aside: set[int]) -> Sequence[Agreement]:
        names = tuple(name for name in found.said if name in COLUMNS)
        if not names:
            return [self._agreements[(), ()]] * found.count
        agreed = self._agreements.read(zip(repeat(names), zip(*(found.said[name] for name in names), strict=True)))
        if _DISPUTED in agreed:
            aside.update(place for place, one in enumerate(agreed) if one is _DISPUTED)
        found.remarks = any(one.notes for one in agreed)
        return agreed

    def _agreement(self, cells_: tuple[tuple[str, ...], tuple[str, ...]]) -> Agreement:
        """What these fields with these texts say of consent, _DISPUTED where that is not plain."""
        known = {name: text for name, text in zip(*cells_, strict=True) if text}
        said = read_consent(known, self._plan.names, self._options.zone)
        posted = said.posted(self._options.consent, self._options.source)
        try:
            consent = self._parse(consent=posted).consent
        except ActivityFaults:
            return _DISPUTED
        return _DISPUTED if said.unread else Agreement(consent, tuple(said.notes))

    def _parse(self, **more: Any) -> Activity:
        """An activity of anybody with some fields. Raises ActivityFaults."""
        posted = {"type": self._options.activity, "lead": {"anonymous_id": "-"}, **more}
        return parse_posted(
            posted, id_if_absent="-", source_if_absent="-", received_at=self._now, region=self._options.region
        )


def _texts(name: str, codec: str) -> Texts:
    return Texts(codec, cells.UNREADABLE if name in _JUDGED else cells.LOST, HONOURED if name in _OF_PERSONS else None)


def _company(text: str) -> str:
    return clean_company(text)[0]


def _put_aside(column: RawCells, aside: set[int]) -> None:
    aside.update(place for place, cell in enumerate(column) if cell)


def _check_persons(found: Understood, aside: set[int]) -> None:
    """Only a whole record names a person by an address, and by both names or none."""
    addresses, last, first = map(found.column, ("email", "last_name", "first_name"))
    if not all(addresses):
        aside.update(place for place, address in enumerate(addresses) if not address)
    if not (all(last) and all(first)):
        pairs = zip(last, first, strict=True)
        aside.update(place for place, (one, other) in enumerate(pairs) if bool(one) is not bool(other))


def _add_unknown(found: Understood, column: Column, texts: Cells) -> None:
    """A column of which nothing is known: a tag, or texts to be kept."""
    name = column.name[:LONGEST_NAME]
    for place in compress(range(found.count), texts):
        text = texts[place]
        if text in TAG_MARKS:
            found.tags.setdefault(place, []).append(name)
        else:
            other = found.other.setdefault(place, {})
            other[f"{name} ({column.index + 1})" if name in other else name] = text
