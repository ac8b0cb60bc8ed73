"""Who a lead is: identifiers, how they are normalised, and the id a lead gets from its strongest one.

Everything here is pure. An identifier is only made from what can name one person: readable addresses that are not a
shared mailbox, ids of other systems, mobile phones, browser ids. Strength falls in that order.
"""

import hashlib
import hmac
import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

import email_validator
import phonenumbers

EMAIL, EXTERNAL, PHONE, ANONYMOUS, MAILBOX = "email", "external", "phone", "anonymous", "mailbox"
REMEMBERED = 8_192
"""Names of which it is kept what they mean: enough for the people who are about at one time, a few megabytes."""
MAX_NAME = 200
"""Characters of the name behind a shared mailbox; an index holds no text of any length."""
STRENGTH = {EMAIL: 0, EXTERNAL: 1, PHONE: 2, ANONYMOUS: 3, MAILBOX: 4}

SHARED_MAILBOXES = frozenset(
    """
    info information sales contact contactus support help helpdesk office admin administrator webmaster postmaster
    hostmaster hello inquiry inquiries enquiry enquiries marketing press recruit recruiting jobs careers hr billing
    accounting service customerservice customer-service team noreply no-reply donotreply abuse privacy security
    soumu somu eigyo toiawase otoiawase jinji koho madoguchi jimukyoku uketsuke
    """.split()
)
"""Local parts that a department reads, not a person."""

# What most addresses look like; anything else takes the full check below, which is fifty times slower.
_PLAIN_EMAIL = re.compile(
    r"[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*@(?:(?!xn--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?!xn--)[a-z][a-z0-9-]{0,61}[a-z0-9]"
)
# Carriers once gave out local parts with double and trailing dots; they work, though RFC 5321 forbids them.
_LEGACY_CARRIER = re.compile(
    r"[a-z0-9][a-z0-9._+-]*@(?:docomo\.ne\.jp|ezweb\.ne\.jp|(?:[a-z0-9-]+\.)+vodafone\.ne\.jp)"
)
_UNREADABLE = re.compile(r"[?*＊？〓�]")
# 0800 is a toll-free prefix, not a mobile one.
MOBILE_JP = re.compile(r"\+81(?:[679]0\d|80[1-9])\d{7}")
"""A Japanese mobile number in E.164."""
_EXTENSION_JP = re.compile(r"\s*[(（]?\s*内線\s*[:：]?\s*(\d+)\s*[)）]?")

# Names that never resolve on the public net still stand in samples and intranets.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()


class Identifier(NamedTuple):
    """What a source knows a lead by: a kind (`email`, `external`, `phone`, `anonymous`, `mailbox`) and a value."""

    kind: str
    value: str


def fold_text(text: str) -> str:
    """NFKC and case folding, the comparison form of every text."""
    return unicodedata.normalize("NFKC", text).casefold()


def fold_name(name: str) -> str:
    """A personal name without width, case and space: 山田　太郎 and 山田太郎 are the same."""
    return "".join(fold_text(name).split())


@lru_cache(REMEMBERED)
def normalise_email(text: str) -> str:
    """The comparison form of an e-mail address: NFKC, folded, syntax checked without DNS.

    Raises ValueError saying what is wrong, without quoting the address.
    """
    folded = fold_text(text.strip())
    sized = len(folded) <= 254 and folded.find("@") <= 64
    if sized and (_PLAIN_EMAIL.fullmatch(folded) or _LEGACY_CARRIER.fullmatch(folded)):
        return folded
    try:
        checked = email_validator.validate_email(folded, check_deliverability=False, allow_smtputf8=True)
    except email_validator.EmailNotValidError as error:
        raise ValueError("is not an e-mail address (expected local@domain)") from error
    return checked.normalized.casefold()


def is_unreadable(text: str) -> bool:
    """Whether an address holds a sign that card readers put where they could not read (`?`, `＊`)."""
    return bool(_UNREADABLE.search(text))


def mailbox_of(email: str, name: str) -> Identifier:
    """Who writes from a shared mailbox: its address and the folded name, of a very long one a hash."""
    folded = fold_name(name)
    if len(folded) > MAX_NAME:
        folded = hashlib.sha256(folded.encode("utf-8", "surrogatepass")).hexdigest()
    return Identifier(MAILBOX, f"{email}\x1f{folded}")


def is_shared_mailbox(email: str) -> bool:
    """Whether a normalised address is read by a department (info@, sales@ …)."""
    return email.partition("@")[0].partition("+")[0] in SHARED_MAILBOXES


class Phone(NamedTuple):
    """A phone number in E.164 and whether it names one person, which only a mobile without extension does."""

    e164: str
    identifies: bool


def plain_phone(text: str) -> Phone | None:
    """A Japanese number as most people write it, digits and hyphens; None for any other, which `normalise_phone` reads.

    The full reading takes fifty times as long.
    """
    digits = text.replace("-", "")
    # 010 leads abroad; eleven digits begin with 050 to 090; 0800 is toll-free and no mobile.
    if not (digits.isascii() and digits.isdigit() and digits[0] == "0" and digits[1:2] != "0"):
        return None
    if len(digits) == 10 and not digits.startswith("010"):
        return Phone(f"+81{digits[1:]}", identifies=False)
    if len(digits) == 11 and digits[1] in "56789" and digits[2] == "0":
        return Phone(f"+81{digits[1:]}", identifies=digits[1] != "5" and not digits.startswith("0800"))
    return None


@lru_cache(REMEMBERED)
def normalise_phone(text: str, region: str = "JP") -> Phone:
    """Parse a phone number as written in `region`; 内線 is understood as an extension.

    Raises ValueError when it cannot be a phone number.
    """
    if MOBILE_JP.fullmatch(text):
        return Phone(text, identifies=True)
    if region == "JP" and (plain := plain_phone(text)):
        return plain
    readable = _EXTENSION_JP.sub(r" ext \1", unicodedata.normalize("NFKC", text))
    number = _parsed(readable, region)
    extension, e164 = number.extension, _e164(number)
    # A reading may take a zero or a carrier's code away, and the next one more. What is kept has to read as itself.
    while _e164(number := _parsed(e164, region)) != e164:
        e164 = _e164(number)
    mobile = phonenumbers.number_type(number) == phonenumbers.PhoneNumberType.MOBILE or bool(MOBILE_JP.fullmatch(e164))
    return Phone(e164, identifies=mobile and not extension)


def _parsed(text: str, region: str) -> phonenumbers.PhoneNumber:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        raise ValueError("is not a phone number") from error
    if not phonenumbers.is_possible_number(number):
        raise ValueError("is not a phone number (wrong count of digits)")
    return number


def _e164(number: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@lru_cache(REMEMBERED)
def lead_id_for(secret: bytes, identifier: Identifier) -> str:
    """The id of the lead that `identifier` names: a UUID (RFC 9562, version 8) made by HMAC-SHA256.

    No one without the secret can tell the address from it.

    The same identifier and secret give the same id on every machine and in every replay.
    """
    digest = hmac.digest(secret, f"{identifier.kind}\x1f{identifier.value}".encode(), "sha256").hex()
    return f"{digest[:8]}-{digest[8:12]}-8{digest[13:16]}-a{digest[17:20]}-{digest[20:32]}"
