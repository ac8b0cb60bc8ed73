"""Phone numbers as cards have them: full-width, with brackets, with 内線, several in one cell."""

import re
from functools import lru_cache
from typing import NamedTuple

from shared.identity import Phone, normalise_phone, plain_phone

# An extension's own number does not stand for a phone, though a comma or space may lie before it.
_EXTENSION = re.compile(
    r"[\s,、(（]*(?:内線(?:番号)?|(?<![a-z])ext(?:ension|n)?\.?|(?<=\d)\s*x(?=\s*\d)|#(?=\s*\d{1,7}(?!\d)))"
    r"\s*[:：.]?\s*(\d{1,7})[)）]?",
    re.IGNORECASE,
)
_APART = re.compile(r"\s*(?:[;；,、/／|\n]|または|又は|\bor\b)\s*|\s{2,}", re.IGNORECASE)
_LABEL = re.compile(
    r"^(?:tel|phone|fax|mobile|cell|t|m|f|直通|代表|携帯|電話)(?:番号)?\s*[.::]?\s*(?=[+(\d])|\s*[(]?(?:代表?|直通|携帯)[)]?$"
    r"|\s*\((?:携帯電話|私用|私物|私|個人用?|自宅|会社|社用|公用|業務用|仕事用?|本社|mobile|cell|private|work|office|home|direct|main)"
    r"\)$",
    re.IGNORECASE,
)

PERSONAL_PHONES = ("mobile", "phone_direct", "phone")
PHONES = (*PERSONAL_PHONES, "phone_department", "phone_company")
NUMBERS = frozenset({*PHONES, "fax"})
"""Fields that hold phone numbers."""


class Number(NamedTuple):
    """A phone number in E.164, the extension behind it, and whether the number without it is a mobile."""

    e164: str
    extension: str | None
    mobile: bool

    @property
    def identifies(self) -> bool:
        """Whether it names one person: a mobile without extension."""
        return self.mobile and self.extension is None


def read_phones(text: str, region: str) -> tuple[tuple[Number, ...], tuple[str, ...]]:
    """The numbers of a cell, and the pieces that are none. Takes text after NFKC."""
    if region == "JP" and (plain := plain_phone(text) or _without_zero(text)):
        return (Number(plain.e164, None, plain.identifies),), ()
    return _read(text, region)


def _without_zero(text: str) -> Phone | None:
    """A number whose first zero a spreadsheet dropped, as the full reading has it, in a fiftieth of the time."""
    # What begins with 81 may have the country's code in front.
    if text.isascii() and text.isdigit() and text[0] != "0" and not text.startswith("81"):
        return plain_phone(f"0{text}")
    return None


@lru_cache(maxsize=4_096)
def _read(text: str, region: str) -> tuple[tuple[Number, ...], tuple[str, ...]]:
    numbers: list[Number] = []
    rest: list[str] = []
    for piece in _pieces(text):
        found = _EXTENSION.search(piece)
        bare = _LABEL.sub("", (_EXTENSION.sub("", piece) if found else piece).strip()).strip()
        try:
            phone = normalise_phone(bare, region)
        except ValueError:
            rest.append(piece)
            continue
        number = Number(phone.e164, found[1] if found else None, phone.identifies)
        if number not in numbers:
            numbers.append(number)
    return tuple(numbers), tuple(rest)


def _pieces(text: str) -> list[str]:
    """A cell at its separators; an extension stays with the number before it."""
    pieces: list[str] = []
    for piece in _APART.split(text):
        if pieces and _EXTENSION.match(piece):
            pieces[-1] += f" {piece}"
        elif piece.strip():
            pieces.append(piece.strip())
    return pieces
