"""Records out of delimited text, with quoted line breaks, and with a limit to what one bad quote can swallow."""

import csv
import io
import re
from collections import deque
from collections.abc import Iterator, Sequence
from functools import cached_property
from operator import sub
from typing import NamedTuple, TextIO, overload

LONGEST_LINE = 65_536
"""Characters of one line; a record beyond it is broken, its rest is skipped."""
MOST_LINES = 100
"""Lines that one record may reach over."""
MOST_CHARACTERS = 100_000
DELIMITERS = (",", "\t", ";")
_STRIDE = 1_024
BLOCK_CHARACTERS = 49_152
"""Of text read at a time. A block shorter than LONGEST_LINE holds no line and no record beyond measure."""


class Row(NamedTuple):
    """One record: the number of its first line (from 1), its cells, and why they are not to be trusted, if so
    (`open_quote`, `long_line`).

    `stray`: a quote stands where none belongs; the cells were read all the same.
    """

    line: int
    cells: Sequence[str]
    broken: str | None = None
    stray: bool = False


class Plain(Sequence[list[str]]):
    """The rows of a text without quotes, its lines ended by LF; they are cut when they are asked for."""

    def __init__(self, text: str, delimiter: str) -> None:
        self._text, self._delimiter = text, delimiter
        self._count = text.count("\n") + 1

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> list[str]: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[list[str]]: ...

    def __getitem__(self, place: int | slice) -> list[str] | Sequence[list[str]]:
        if isinstance(place, int):
            return self._lines[place].split(self._delimiter)
        lines = self._lines[place]
        return Plain("\n".join(lines), self._delimiter) if lines else []

    @cached_property
    def _lines(self) -> list[str]:
        return self._text.split("\n")

    def columns(self, width: int) -> list[list[str]] | None:
        """All cells by the column; None where a row has not as many cells as `width`."""
        # A line break remains at the beginning of its row; so it shows where rows begin.
        cells = self._text.replace("\n", f"{self._delimiter}\n").split(self._delimiter)
        firsts = "".join(cells[::width])
        if len(cells) != width * self._count or firsts.count("\n") != self._count - 1:
            return None
        return [firsts.split("\n"), *(cells[place::width] for place in range(1, width))]

    def longest(self) -> int:
        """No line has more characters."""
        starts = range(0, len(self._text) - _STRIDE, _STRIDE)
        # A line of twice this length would cover one of these pieces.
        if all(self._text.find("\n", start, start + _STRIDE) >= 0 for start in starts):
            return 2 * _STRIDE
        return max(map(len, self._lines))


class Block(NamedTuple):
    """Records one after another that leave no doubt: the number of the first line of each (from 1), and their cells."""

    lines: Sequence[int]
    rows: Sequence[list[str]]
    longest: int
    """No line has more characters."""
    folded: bool
    """Whether any cell holds a line break."""


class _Runaway(Exception):
    """A quote was opened that nothing closes within reason."""


class _Lines:
    """The lines of a text, some of them twice: those a bad quote swallowed are read again one by one."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._again: deque[str] = deque()
        self.number = 0
        """How many lines were handed out."""
        self.taken: list[str] = []
        """Those of the record under way."""
        self._size = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._read()
        if not line or len(self.taken) >= MOST_LINES or self._size > MOST_CHARACTERS:
            if line:
                self._again.appendleft(line)
            if self.taken:
                raise _Runaway
            raise StopIteration
        self.number += 1
        self.taken.append(line)
        self._size += len(line)
        return line

    def _read(self) -> str:
        return self._again.popleft() if self._again else self._text.readline(LONGEST_LINE)

    @property
    def waiting(self) -> bool:
        """Whether there are lines that were given back."""
        return bool(self._again)

    def block(self) -> str:
        """Whole lines that were not handed out yet, the last cut as all lines are; "" at the end. Nothing may wait."""
        block = self._text.read(BLOCK_CHARACTERS)
        begun = len(block) - 1 - max(block.rfind("\n"), block.rfind("\r"))
        return block + self._text.readline(LONGEST_LINE - begun) if block else block

    def give_block(self, block: str) -> None:
        """Take back a block, to hand out its lines one by one."""
        text = io.StringIO(block, newline="")
        self._again.extend(iter(lambda: text.readline(LONGEST_LINE), ""))

    def start(self) -> int:
        """A record begins; gives the number of its first line."""
        self.taken.clear()
        self._size = 0
        return self.number + 1

    def give_back(self) -> str:
        """Take back all lines of the record but its first, which is returned."""
        first, *rest = self.taken
        self._again.extendleft(reversed(rest))
        self.number -= len(rest)
        return first

    def skip_rest(self, line: str) -> None:
        """Pass over what is left of a line that was cut."""
        while not line.endswith(("\n", "\r")) and (line := self._read()):
            pass


def read_rows(text: TextIO, delimiter: str) -> Iterator[Row]:
    """Every record in order, also empty lines. `text` must leave line ends as they are.

    A record whose quote is not closed where it should be, or with a line beyond all measure, comes as `broken` with its
    first line alone; reading goes on with the line after it.
    """
    lines = _Lines(text)
    while (row := _next_row(lines, delimiter)) is not None:
        yield row


def read_blocks(text: TextIO, delimiter: str, skip: int = 0) -> Iterator[Block | Row]:
    """The records of `read_rows` but the first `skip`, many at a time where nothing is wrong: in half the time."""
    lines = _Lines(text)
    while block := lines.block():
        whole = _whole(block, delimiter, lines)
        if whole is not None:
            yield whole._replace(lines=whole.lines[skip:], rows=whole.rows[skip:]) if skip else whole
            skip = max(0, skip - len(whole.rows))
            continue
        lines.give_block(block)
        while lines.waiting and (row := _next_row(lines, delimiter)) is not None:
            if skip:
                skip -= 1
            else:
                yield row


def _next_row(lines: _Lines, delimiter: str) -> Row | None:
    number = lines.start()
    try:
        cells = next(csv.reader(lines, delimiter=delimiter, strict=True))
        if len(lines.taken[-1]) >= LONGEST_LINE:
            raise _Runaway
    except StopIteration:
        return None
    except (_Runaway, csv.Error):
        return _broken(lines, delimiter)
    return Row(number, cells)


def _whole(block: str, delimiter: str, lines: _Lines) -> Block | None:
    """The records of a block; None where one of them is not as it should be."""
    if len(block) >= LONGEST_LINE:
        return None
    first = lines.number + 1
    if '"' not in block:
        text = block.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")
        plain = Plain(text, delimiter)
        lines.number += len(plain)
        # What csv would make of them too; it takes three times as long.
        return Block(range(first, first + len(plain)), plain, plain.longest(), folded=False)
    written = list(io.StringIO(block, newline=""))
    reader, rows, ends = csv.reader(written, delimiter=delimiter, strict=True), [], [0]
    try:
        for cells in reader:
            rows.append(cells)
            ends.append(reader.line_num)
    except csv.Error:
        return None
    folded = len(written) > len(rows)
    if folded and max(map(sub, ends[1:], ends)) > MOST_LINES:
        return None
    lines.number += len(written)
    return Block([first + end for end in ends[:-1]], rows, max(map(len, written)), folded)


def _broken(lines: _Lines, delimiter: str) -> Row:
    if any(len(line) >= LONGEST_LINE for line in lines.taken):
        number = lines.number
        lines.skip_rest(lines.taken[-1])
        return Row(number, (), "long_line")
    if len(lines.taken) == 1 and lines.taken[0].count('"') % 2 == 0:
        return Row(lines.number, next(csv.reader(lines.taken, delimiter=delimiter)), stray=True)
    first = lines.give_back()
    cells = [cell.strip(' "\r\n') for cell in first.split(delimiter)]
    return Row(lines.number, cells, "open_quote")


_SPLIT = re.compile(r"\r\n|\n|\r")


def lines_of(text: str) -> list[str]:
    """The lines of a short text, cut at any of the three line ends."""
    return _SPLIT.split(text)
