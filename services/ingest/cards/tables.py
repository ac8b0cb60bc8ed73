"""Records out of delimited text, with quoted line breaks, and with a limit to what one bad quote can swallow."""

import csv
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TextIO

LONGEST_LINE = 65_536
"""Characters of one line; a record beyond it is broken, its rest is skipped."""
MOST_LINES = 100
"""Lines that one record may reach over."""
MOST_CHARACTERS = 100_000
DELIMITERS = (",", "\t", ";")


class Row(NamedTuple):
    """One record: the number of its first line (from 1), its cells, and why they are not to be trusted, if so
    (`open_quote`, `long_line`).

    `stray`: a quote stands where none belongs; the cells were read all the same.
    """

    line: int
    cells: Sequence[str]
    broken: str | None = None
    stray: bool = False


class _Runaway(Exception):
    """A quote was opened that nothing closes within reason."""


class Lines:
    """The lines of a text, some of them twice: those a bad quote swallowed are read again one by one."""

    def __init__(self, more: Iterable[Iterable[str]]) -> None:
        """`more` gives some lines at a time, each cut at LONGEST_LINE."""
        self._more = iter(more)
        self._again: deque[str] = deque()
        self.number = 0
        """How many lines were handed out."""
        self.taken: list[str] = []
        """Those of the record under way."""
        self._size = 0

    def __iter__(self) -> "Lines":
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
        while not self._again:
            lines = next(self._more, None)
            if lines is None:
                return ""
            self._again.extend(lines)
        return self._again.popleft()

    @property
    def waiting(self) -> bool:
        """Whether there are lines that were given back."""
        return bool(self._again)

    def give(self, lines: Iterable[str]) -> None:
        """Take these lines, to hand them out one by one."""
        self._again.extend(lines)

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
    lines = Lines([line] for line in iter(lambda: text.readline(LONGEST_LINE), ""))
    while (row := next_row(lines, delimiter)) is not None:
        yield row


def lines_cut(text: str) -> Iterable[str]:
    """The lines of a text with their ends, each cut at LONGEST_LINE."""
    file = io.StringIO(text, newline="")
    return iter(lambda: file.readline(LONGEST_LINE), "")


def next_row(lines: Lines, delimiter: str) -> Row | None:
    """The next record, as `read_rows` has it."""
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


def _broken(lines: Lines, delimiter: str) -> Row:
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
