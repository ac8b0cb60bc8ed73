"""What a cell says, however it is written: 2026/05/27 and 2026/5/27, 090-1234-5678 and 9012345678.

Ids are made of it, as spreadsheets write dates and numbers anew whenever they save a list.
"""

from services.ingest.cards.cells import one_line
from services.ingest.cards.consent import COLUMNS, consent_said
from services.ingest.cards.dates import read_date
from services.ingest.cards.emails import read_addresses
from services.ingest.cards.options import CardOptions
from services.ingest.cards.phones import NUMBERS, read_phones

_POSTAL_SIGNS = str.maketrans("", "", "-〒 ")


def meaning_of(name: str, text: str, options: CardOptions) -> str:
    """What a cell of the field `name` says, its text on one line where that could not be read. Takes NFKC text."""
    if name == "email":
        said = _addresses(text)
    elif name in NUMBERS:
        said = _numbers(text, options.region)
    elif name == "exchanged_at":
        moment = read_date(text, options.zone)
        said = moment.text if moment else ""
    elif name in COLUMNS:
        said = consent_said(name, text, options.zone)
    elif name == "postal_code":
        said = _postal_digits(text)
    else:
        said = ""
    return said or one_line(text)


def _addresses(text: str) -> str:
    found = read_addresses(text)
    return "" if found.unreadable or found.faulty or found.beside else " ".join(found.personal + found.shared)


def _numbers(text: str, region: str) -> str:
    numbers, rest = read_phones(text, region)
    if rest:
        return ""
    return " ".join(f"{number.e164}x{number.extension}" if number.extension else number.e164 for number in numbers)


def _postal_digits(text: str) -> str:
    # 060-0001 may have lost its hyphen, and then its zero.
    digits = text.translate(_POSTAL_SIGNS)
    return digits.lstrip("0") if digits.isascii() and digits.isdecimal() else ""
