"""Records out of the bytes of a list, many at a time: cut before they are decoded, as few cells need that one by one.

A delimiter, a quote and a line end are one byte each, which is a part of no other character: so it is in all encodings
that `encodings.Raw` gives, and also beside bytes that are no character at all. Damage ends at the cell it is in.
"""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from operator import sub
from typing import NamedTuple

from services.ingest.cards import tables
from services.ingest.cards.encodings import Raw
from services.ingest.cards.tables import Lines, Row, lines_cut, next_row

RawCells = Sequence[str]
"""Cells of which each character stands for a byte, that of its number. Where they are ASCII they are text as well."""
BLOCK_BYTES = 57_344
"""Read at a time. A block of fewer bytes than LONGEST_LINE holds no line and no record beyond measure."""
_STRIDE = 2_048
_BYTES_A_CHARACTER = 4

ToText = Callable[[bytes], str]


class Plain:
    """The records of bytes without quotes, in `count` lines with `end` between them."""

    def __init__(self, raw: bytes, delimiter: str, end: bytes, count: int, to_text: ToText) -> None:
        self._raw, self._delimiter, self._end, self._to_text = raw, delimiter, end, to_text
        self._count = count

    def __len__(self) -> int:
        return self._count

    def row(self, place: int) -> list[str]:
        """The cells of one record."""
        return self._to_text(self._lines[place]).split(self._delimiter)

    def rows(self) -> Sequence[RawCells]:
        """The cells of all records."""
        return [line.decode("latin-1").split(self._delimiter) for line in self._lines]

    def after(self, place: int) -> "Plain":
        """The records from `place` on."""
        lines = self._lines[place:]
        return Plain(self._end.join(lines), self._delimiter, self._end, len(lines), self._to_text)

    @cached_property
    def _lines(self) -> list[bytes]:
        return self._raw.split(self._end)

    def columns(self, width: int) -> list[RawCells] | None:
        """All cells by the column; None where a record has not as many cells as `width`."""
        # A line feed remains at the beginning of its record; so it shows where records begin.
        flat = self._raw.replace(self._end, self._delimiter.encode() + b"\n").decode("latin-1")
        cells = flat.split(self._delimiter)
        firsts = "".join(cells[::width])
        if len(cells) != width * self._count or firsts.count("\n") != self._count - 1:
            return None
        return [firsts.split("\n"), *(cells[place::width] for place in range(1, width))]

    def longest(self) -> int:
        """No line has more bytes."""
        starts = range(0, len(self._raw) - _STRIDE, _STRIDE)
        # A line of twice this length would cover one of these pieces.
        if all(self._raw.find(b"\n", start, start + _STRIDE) >= 0 for start in starts):
            return 2 * _STRIDE
        return max(map(len, self._lines))


class Quoted:
    """Records of which some have quotes, as csv reads them."""

    def __init__(self, rows: Sequence[RawCells], to_text: ToText) -> None:
        self._rows, self._to_text = rows, to_text

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, place: int) -> list[str]:
        """As `Plain.row`."""
        return [cell if cell.isascii() else self._to_text(cell.encode("latin-1")) for cell in self._rows[place]]

    def rows(self) -> Sequence[RawCells]:
        """As `Plain.rows`."""
        return self._rows

    def after(self, place: int) -> "Quoted":
        """As `Plain.after`."""
        return Quoted(self._rows[place:], self._to_text)


class Block(NamedTuple):
    """Records one after another that leave no doubt: the number of the first line of each (from 1), and their cells."""

    lines: Sequence[int]
    records: Plain | Quoted
    longest: int
    """No line has more bytes."""
    folded: bool
    """Whether any cell holds a line break."""


def read_blocks(source: Raw, delimiter: str, skip: int = 0) -> Iterator[Block | Row]:
    """The records of `tables.read_rows` but the first `skip`, many at a time where nothing is wrong."""
    pieces = _whole_lines(source)
    lines = Lines(lines_cut(source.text(raw)) for raw in pieces)
    for raw in pieces:
        block = _block_of(raw, delimiter, lines.number + 1, source.text)
        if block is not None:
            lines.number = block[1]
            if whole := _without_first(block[0], skip):
                yield whole
            skip = max(0, skip - len(block[0].records))
            continue
        lines.give(lines_cut(source.text(raw)))
        while lines.waiting and (row := next_row(lines, delimiter)) is not None:
            if skip:
                skip -= 1
            else:
                yield row


def _whole_lines(source: Raw) -> Iterator[bytes]:
    """All bytes in pieces that end where a line does, unless it is too long for any record."""
    kept, too_long = b"", 2 * _BYTES_A_CHARACTER * tables.LONGEST_LINE
    while more := source.read(BLOCK_BYTES):
        raw = kept + more
        # A line feed may follow a last carriage return.
        end = max(raw.rfind(b"\n"), raw.rfind(b"\r", 0, -1)) + 1
        if not end and len(raw) > too_long:
            end = len(raw.removesuffix(b"\r"))
        kept = raw[end:]
        if end:
            yield raw[:end]
    if kept:
        yield kept


def _without_first(block: Block, count: int) -> Block | None:
    if not count:
        return block
    for place in range(min(count, len(block.records))):
        # Whether all bytes can be read is asked of the whole file.
        block.records.row(place)
    if count >= len(block.records):
        return None
    return block._replace(lines=block.lines[count:], records=block.records.after(count))


def _block_of(raw: bytes, delimiter: str, first: int, to_text: ToText) -> tuple[Block, int] | None:
    """The records of whole lines, of which the first has the number `first`, and the number of the last line; None
    where one of them is not as it should be.
    """
    if len(raw) >= tables.LONGEST_LINE:
        return None
    if b'"' not in raw:
        lines, end, count = _lines_of(raw)
        plain, last = Plain(lines, delimiter, end, count, to_text), first + count - 1
        # What csv would make of them too; it takes three times as long.
        return Block(range(first, last + 1), plain, plain.longest(), folded=False), last
    written = list(io.StringIO(raw.decode("latin-1"), newline=""))
    reader, rows, ends = csv.reader(written, delimiter=delimiter, strict=True), [], [0]
    try:
        for cells in reader:
            rows.append(cells)
            ends.append(reader.line_num)
    except csv.Error:
        return None
    folded = len(written) > len(rows)
    if folded and max(map(sub, ends[1:], ends)) > tables.MOST_LINES:
        return None
    numbers = [first + end for end in ends[:-1]]
    return Block(numbers, Quoted(rows, to_text), max(map(len, written)), folded), first + len(written) - 1


def _lines_of(raw: bytes) -> tuple[bytes, bytes, int]:
    """Whole lines without their last end, all with the same between them; that, and how many lines they are."""
    # To count a byte takes ten times as long.
    returns, feeds = (len(raw) - len(raw.replace(end, b"")) for end in (b"\r", b"\n"))
    end = b"\r\n" if returns else b"\n"
    if returns and not (returns == feeds == raw.count(end)):
        raw, end = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n"), b"\n"
        feeds = raw.count(end)
    lines = raw.removesuffix(end)
    return lines, end, feeds + (len(lines) == len(raw))
