"""Cells by the column: what most of them look like is proved of all of them together, at a tenth of the time.

Every reader gives a value for each cell, as `cutting.RawCells` and without line breaks. A cell that is not of the
common form gets "" and its place is put `aside`: its record is for `card.py` to read.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TypeVar
from unicodedata import normalize

from services.ingest.cards.cells import FORMULA_SIGNS
from services.ingest.cards.cutting import RawCells
from shared.identity import MOBILE_JP, SHARED_MAILBOXES

Cells = Sequence[str]
MOST_REMEMBERED, MOST_CHARACTERS = 8_192, 262_144
"""Different cells of a column that are kept in mind, and how long they may be together."""
_LONGEST_ADDRESS = 64

# What begins like a formula may be none, and runs of space are squeezed in some records only.
_DOUBTFUL = ("  ", *(f"\n{space}{sign}" for space in ("", " ") for sign in FORMULA_SIGNS))
_LABEL = "[a-z0-9]+(?:-[a-z0-9]+)*"
# A part of what `shared.identity.normalise_email` takes as it is.
# By the first letter, as every alternative is tried.
_BY_LETTER = (
    (letter, (name[1:] for name in names)) for letter, names in groupby(sorted(SHARED_MAILBOXES), itemgetter(0))
)
_SHARED = "|".join(f"{letter}(?:{'|'.join(names)})" for letter, names in _BY_LETTER)
_OF_PERSON = rf"(?!.{{{_LONGEST_ADDRESS + 1}}})(?!(?:{_SHARED})[+@])"
_ADDRESS = rf"{_OF_PERSON}[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*@(?:{_LABEL}\.)+[a-z]{{2,}}"
# Where none of these signs stands anywhere, a simpler form, tried in two thirds of the time, tells as much.
_NOT_IN_ADDRESSES = ("..", "--", ".@", "\n.", "@.", "@-", "-.", ".-")
_SIMPLE_ADDRESS = rf"{_OF_PERSON}[a-z0-9_+.-]+@[a-z0-9.-]+\.[a-z]{{2,}}"
# As `shared.identity.plain_phone`.
_NUMBER = r"0(?:[5-9]0[0-9]{8}|(?!10)[1-9][0-9]{8})"
_IS_ADDRESS, _IS_NUMBER = re.compile(_ADDRESS), re.compile(_NUMBER)
_NO_ADDRESS, _NO_NUMBER = (re.compile(rf"\n(?!{form}$|$)", re.MULTILINE) for form in (_SIMPLE_ADDRESS, _NUMBER))
_NO_MOBILE = re.compile(rf"\n(?!{MOBILE_JP.pattern}$)", re.MULTILINE)

Key = TypeVar("Key")
Value = TypeVar("Value")


class Memo(dict[Key, Value]):
    """What `of` makes of texts that come again and again."""

    def __init__(self, of: Callable[[Key], Value]) -> None:
        super().__init__()
        self._of = of
        self._size = 0

    def __missing__(self, key: Key) -> Value:
        size = len(str(key))
        if len(self) >= MOST_REMEMBERED or self._size + size > MOST_CHARACTERS:
            self.clear()
            self._size = 0
        self._size += size
        value = self[key] = self._of(key)
        return value

    def read(self, column: Iterable[Key]) -> list[Value]:
        """The value of each cell."""
        return list(map(self.__getitem__, column))


class Texts:
    """A column of free text: gives it after NFKC, without surrounding space, as `Plan.read` does."""

    def __init__(
        self, codec: str, signs: str, unlike: re.Pattern[str] | None = None, most_characters: int = MOST_CHARACTERS
    ) -> None:
        """`codec` is that of the cells. Those with one of `signs`, or in which `unlike` is found, go aside."""
        self._codec = codec
        self._doubtful = (*signs, *_DOUBTFUL)
        self._unlike = unlike
        self._most_characters = most_characters
        self._known: dict[str, str] | None = {}
        self._odd: set[str] = set()
        self._read = self._new = self._size = 0

    def read(self, column: RawCells, aside: set[int]) -> list[str]:
        """The texts."""
        if self._known is None:
            return self._clean(column, aside)
        try:
            texts = list(map(self._known.__getitem__, column))
        except KeyError:
            texts = self._learn(self._known, column)
        if self._odd and not self._odd.isdisjoint(column):
            aside.update(place for place, cell in enumerate(column) if cell in self._odd)
        self._read += len(column)
        if self._new > MOST_REMEMBERED and 2 * self._new > self._read:
            # Its cells hardly ever come again, as with names and remarks.
            self._known, self._odd = None, set()
        return texts

    def _learn(self, known: dict[str, str], column: RawCells) -> list[str]:
        new = list(set(column).difference(known))
        self._new += len(new)
        size = sum(map(len, new))
        if len(known) + len(new) > MOST_REMEMBERED or self._size + size > self._most_characters:
            known.clear()
            self._odd.clear()
            new = list(set(column))
            self._size, size = 0, sum(map(len, new))
        self._size += size
        aside: set[int] = set()
        texts = self._clean(new, aside)
        # Where nothing is to be cleaned, one object for both is one less for the caches of the processor.
        known.update(zip(new, new if texts == new else texts, strict=True))
        self._odd.update(new[place] for place in aside)
        return list(map(known.__getitem__, column))

    def _clean(self, column: RawCells, aside: set[int]) -> list[str]:
        joined = self._common("\n".join(column))
        if joined is None:
            cells = [self._common(cell) for cell in column]
            aside.update(place for place, cell in enumerate(cells) if cell is None)
            joined = "".join(cell or "\n" for cell in cells)
        texts = joined[1:].split("\n")
        return [text.strip() for text in texts] if " \n" in f"{joined}\n" or "\n " in joined else texts

    def _common(self, raw: str) -> str | None:
        """Cells after NFKC, with a line break before each; None where one of them is not common."""
        try:
            joined = raw if raw.isascii() else raw.encode("latin-1").decode(self._codec)
        except UnicodeDecodeError:
            return None
        text = "\n" + normalize("NFKC", joined)
        if (
            not joined.replace("\n", "").replace("\u3000", "").isprintable()
            or any(sign in text for sign in self._doubtful)
            or (self._unlike is not None and self._unlike.search(text) is not None)
        ):
            return None
        return text


def read_addresses(column: RawCells, aside: set[int]) -> Cells:
    """The normalised e-mail addresses of persons, of cells in which one stands alone, in ASCII."""
    joined = "\n" + "\n".join(column)
    lower = joined.lower()
    if not joined.isascii() or any(sign in lower for sign in _NOT_IN_ADDRESSES) or _NO_ADDRESS.search(lower):
        lower = "\n" + "\n".join(_common_alone(column, _is_address, aside)).lower()
    return column if lower == joined else lower[1:].split("\n")


def read_numbers(column: RawCells, aside: set[int]) -> list[str]:
    """Japanese phone numbers in E.164, of cells that hold one in digits and hyphens."""
    joined = "\n" + "\n".join(column)
    digits = joined.replace("-", "")
    if "\n-" in joined or _NO_NUMBER.search(digits):
        digits = "\n" + "\n".join(_common_alone(column, _is_number, aside)).replace("-", "")
    return digits.replace("\n0", "\n+81")[1:].split("\n")


def are_mobile(numbers: Cells) -> bool:
    """Whether all these numbers in E.164 name one person each."""
    return _NO_MOBILE.search("\n".join(["", *numbers])) is None


def _common_alone(column: RawCells, is_common: Callable[[str], bool], aside: set[int]) -> list[str]:
    odd = {place for place, cell in enumerate(column) if cell and not is_common(cell)}
    aside |= odd
    return ["" if place in odd else cell for place, cell in enumerate(column)]


def _is_address(cell: str) -> bool:
    return cell.isascii() and _IS_ADDRESS.fullmatch(cell.lower()) is not None


def _is_number(cell: str) -> bool:
    return cell[0] != "-" and _IS_NUMBER.fullmatch(cell.replace("-", "")) is not None
