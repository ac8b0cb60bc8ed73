"""A whole list: where its header stands, what its columns are, and its records one after another."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain, islice
from typing import BinaryIO

from services.ingest.cards import encodings
from services.ingest.cards.blocks import CommonCards
from services.ingest.cards.card import Card, read_card
from services.ingest.cards.cutting import Block, read_blocks
from services.ingest.cards.encodings import Found
from services.ingest.cards.headers import NAMELESS, SEARCHED_ROWS, Column, find_header, most_known, read_header
from services.ingest.cards.notes import Note
from services.ingest.cards.options import CardOptions
from services.ingest.cards.outcomes import MOST_BYTES_A_CHARACTER, Outcome, Summary
from services.ingest.cards.plan import Plan
from services.ingest.cards.seen import Seen
from services.ingest.cards.tables import DELIMITERS, Row, read_rows
from shared.activity import SILENT, Activity, parse_posted
from shared.codec import encode
from shared.identity import EMAIL, PHONE, Identifier
from shared.posted import ActivityFaults

MOST_COLUMNS_TOLD = 40
_SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
"""How .xlsx, .ods and other archives begin, and .xls."""


class NoList(ValueError):
    """The file as a whole cannot be read as a card list; the text says what was expected. `code` is stable."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is to be read."""

    found: Found
    delimiter: str
    header_line: int
    preamble: int
    columns: tuple[Column, ...]
    plan: Plan


def read_layout(file: BinaryIO, options: CardOptions) -> Layout:
    """Find out encoding, delimiter and header. Raises NoList, whose text names options as `options.NAMES` does."""
    file.seek(0)
    if file.read(max(map(len, _SPREADSHEETS))).startswith(_SPREADSHEETS):
        raise NoList(
            "spreadsheet_file",
            "This is a file of a spreadsheet program (such as .xlsx or .xls), not text: save it there as CSV (UTF-8),"
            " and import that file.",
        )
    found = encodings.detect(file)
    if options.encoding is not None:
        chosen = encodings.with_byte_order(file, options.encoding)
        other = found.encoding if found.encoding != chosen else found.other
        found = Found(chosen, sure=True, broken=encodings.is_broken(file, chosen), other=other)
    wanted = [options.delimiter] if options.delimiter else DELIMITERS
    heads = [(delimiter, _head(file, found.encoding, delimiter)) for delimiter in wanted]
    if not any(cell.strip(" ,;\t\r\n") for _, rows in heads for row in rows for cell in row.cells):
        raise NoList("empty_file", "Nothing stands in the file.")
    delimiter, rows = max(heads, key=lambda head: most_known((row.cells for row in head[1]), options.columns))
    place = find_header([row.cells for row in rows], options.columns)
    if place is None:
        raise NoList(
            "no_header",
            f"No header was found in the first {SEARCHED_ROWS} rows (read as {found.encoding}): expected a row with"
            " names such as 会社名, 氏名, メールアドレス; `columns` tells what names of your own are, `encoding` how"
            " the file is written.",
        )
    header = rows[place]
    columns = read_header(header.cells, options.columns)
    return Layout(found, delimiter, header.line, place, columns, Plan.of(columns, len(header.cells)))


def _head(file: BinaryIO, encoding: str, delimiter: str) -> list[Row]:
    with encodings.reading(file, encoding) as text:
        return list(islice(read_rows(text, delimiter), SEARCHED_ROWS))


def count_records(file: BinaryIO, layout: Layout, limit: int) -> int:
    """The number of records, or one more than `limit` if there are more."""
    if encodings.count_lines(file) <= limit:
        return limit
    count = 0
    for part in read_blocks(encodings.Raw(file, layout.found.encoding), layout.delimiter, layout.preamble + 1):
        count += 1 if isinstance(part, Row) else len(part.records)
        if count > limit:
            return limit + 1
    return count


class Listing:
    """Reads a list once, in order. `summary` is complete when nothing is left, and so is `layout.found`."""

    def __init__(
        self, file: BinaryIO, layout: Layout, options: CardOptions, *, now: datetime, max_activity_bytes: int
    ) -> None:
        self._file, self._options, self._now = file, options, now
        self._max_bytes = max_activity_bytes
        codec = encodings.raw_codec(layout.found.encoding)
        self._common = CommonCards(layout.plan, options, now, max_activity_bytes, codec)
        self._seen = Seen()
        self.layout = layout
        self.summary = Summary(notes=_list_notes(layout))

    def outcomes(self) -> Iterator[Outcome]:
        """One outcome per record."""
        # Not by generators in one another: each would be gone through for every record.
        return chain.from_iterable(self._by_part())

    def _by_part(self) -> Iterator[Iterable[Outcome]]:
        number = 1
        raw = encodings.Raw(self._file, self.layout.found.encoding)
        for part in read_blocks(raw, self.layout.delimiter, self.layout.preamble + 1):
            if isinstance(part, Row):
                yield (self.outcome_of(number, part),)
                number += 1
            else:
                yield self._of_block(part, number)
                number += len(part.records)
        self.know_encoding(replaced=raw.replaced)

    def know_encoding(self, *, replaced: bool) -> None:
        """The whole text was read: what that tells of its encoding is told first."""
        self.layout = replace(self.layout, found=self.layout.found.once_read(self._file, replaced=replaced))
        self.summary.notes[:] = _list_notes(self.layout)

    def _of_block(self, block: Block, first: int) -> Iterator[Outcome]:
        aside: set[int] = set()
        made = self._common.read(block, first, aside)
        if made is not None and not aside and self._seen.add_all(made.ids, made.emails, first):
            self.summary.count_all(made.consents, made.with_notes)
            return made.outcomes
        return self._one_by_one(block, first, made.outcomes if made is not None else iter(()), aside)

    def _one_by_one(self, block: Block, first: int, common: Iterator[Outcome], aside: set[int]) -> Iterator[Outcome]:
        for place, line in enumerate(block.lines):
            if place in aside:
                yield self.outcome_of(first + place, Row(line, block.records.row(place)))
                continue
            outcome = next(common)
            self._compare(outcome)
            self.summary.count_common(outcome)
            yield outcome

    def outcome_of(self, number: int, row: Row) -> Outcome:
        """The outcome of one record, read by itself."""
        outcome, card = self._judge(number, row)
        self.summary.count(
            outcome, agreed=card is not None and card.consent is not None, opted_out=card is not None and card.opted_out
        )
        return outcome

    def _judge(self, number: int, row: Row) -> tuple[Outcome, Card | None]:
        if row.broken:
            return Outcome(number, row.line, "refused", [Note(row.broken, (row.line,))]), None
        plan, options = self.layout.plan, self._options
        values = plan.read(row.cells)
        if values is None:
            return Outcome(number, row.line, "empty", [Note("empty")]), None
        if row.stray:
            values.notes.append(Note("stray_quote", (row.line,)))
        card = read_card(values, plan, options, self._now)
        if card.refused is not None:
            return Outcome(number, row.line, "refused", [card.refused, *card.notes]), None
        posted = card.posted(options)
        size = sum(map(len, row.cells))
        if size * MOST_BYTES_A_CHARACTER > self._max_bytes and len(encode(posted)) > self._max_bytes:
            return Outcome(number, row.line, "refused", [Note("too_large", (f"{self._max_bytes:,}",))]), None
        try:
            activity = self._plain(card) or parse_posted(
                posted, id_if_absent="", source_if_absent=options.source, received_at=self._now, region=options.region
            )
        except ActivityFaults as error:
            faults = [Note("not_taken", (fault.pointer, fault.detail)) for fault in error.faults]
            return Outcome(number, row.line, "refused", faults), None
        if options.silent:
            activity.flags = (*activity.flags, SILENT)
        outcome = Outcome(number, row.line, "accepted", card.notes, activity)
        self._compare(outcome)
        return outcome, card

    def _plain(self, card: Card) -> Activity | None:
        """What `parse_posted` would make of most cards, in a fifth of its time; None for the others."""
        if not card.personal or card.consent is not None or card.exchanged_at is None:
            return None
        email = card.lead["email"]
        identifiers = [Identifier(EMAIL, email)]
        if card.mobile:
            identifiers.append(Identifier(PHONE, card.mobile))
        return Activity(
            id=card.id,
            source=self._options.source,
            type=self._options.activity,
            occurred_at=card.exchanged_at,
            received_at=self._now,
            identifiers=tuple(identifiers),
            email=email,
            attributes=card.attributes,
            properties=card.properties,
            consent=None,
            flags=(),
            phone=card.lead.get("phone"),
        )

    def _compare(self, outcome: Outcome) -> None:
        """Note whether the same record, or the same person, stood in the list before."""
        assert outcome.activity is not None
        found = self._seen.add(outcome.activity.id, outcome.activity.identifiers[0], outcome.record)
        if found is not None:
            outcome.duplicate = found.same_record
            outcome.notes.append(Note("duplicate" if found.same_record else "same_person", (found.record,)))


def _list_notes(layout: Layout) -> list[Note]:
    found, columns, notes = layout.found, layout.columns, []
    if not found.sure:
        notes.append(Note("encoding_guessed", (found.encoding, found.other)))
    if found.broken:
        notes.append(Note("encoding_broken", (found.encoding,)))
    if layout.preamble:
        notes.append(Note("preamble", (layout.preamble,)))
    if unknown := [column.name for column in columns if column.field is None and not column.name.startswith(NAMELESS)]:
        shown = ", ".join(unknown[:MOST_COLUMNS_TOLD]) + (" …" if len(unknown) > MOST_COLUMNS_TOLD else "")
        notes.append(Note("unknown_columns", (shown,)))
    fields = {column.field for column in columns}
    if "exchanged_at" not in fields:
        notes.append(Note("no_date_column"))
    if not layout.plan.consents:
        notes.append(Note("no_consent_column"))
    return notes
