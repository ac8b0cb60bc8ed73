"""Single cells: spaces, control characters, formulas, signs of what could not be read."""

import re

FORMULA_SIGNS = "=@|+-"
FORMULA = re.compile(rf"(?![+\-][\d(])[{FORMULA_SIGNS}]")
"""How a cell begins that a spreadsheet would run. A phone number may begin with `+`, an amount with `-`."""
_AS_TEXT = re.compile(r'="([^"]*)"')
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufeff\u200b-\u200f\u202a-\u202e\u2060-\u2069]+")
_SPACES = re.compile(r"[ \t\u3000\u00a0]{2,}|\t")
UNREADABLE = "?*？＊〓\ufffd"
"""What stands where a card reader could not read, or where bytes were lost."""
_UNREADABLE = re.compile(f"[{re.escape(UNREADABLE)}]")
# An address or a remark asks questions and lists things; only names hold these signs by mistake alone.
LOST = "\ufffd〓"
_LOST = re.compile(f"[{LOST}]")


def strip_controls(text: str) -> str:
    """Without characters nobody sees: control characters, byte-order marks, marks of writing direction."""
    return text if text.isprintable() else _CONTROL.sub("", text)


def has_controls(text: str) -> bool:
    """Whether there are any."""
    return _CONTROL.search(text) is not None


def one_line(text: str) -> str:
    """Line breaks and runs of space as one space."""
    return " ".join(text.split())


def squeeze(text: str) -> str:
    """Runs of space within lines as one space, line ends as LF."""
    return _SPACES.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def unwrap(text: str) -> str | None:
    """What `="0312345678"` holds, the way spreadsheets are told to keep a zero; None for another cell."""
    wrapped = _AS_TEXT.fullmatch(text)
    return wrapped[1].strip() if wrapped else None


def is_formula(text: str) -> bool:
    """Whether a spreadsheet would run the cell."""
    return FORMULA.match(text) is not None


def has_unreadable(text: str) -> bool:
    """Whether a name holds a sign that card readers put where they could not read."""
    return _UNREADABLE.search(text) is not None


def has_lost(text: str) -> bool:
    """Whether a text holds characters that were lost on the way."""
    return _LOST.search(text) is not None
