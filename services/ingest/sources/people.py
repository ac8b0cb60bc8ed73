"""The names tools and forms give to what they know about a person, and ours for them."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from services.ingest.sources.values import text
from shared.identity import Phone, normalise_phone

_ALIASES = {
    "email": "email email_address e_mail mail mail_address work_email user_email recipient lead_email contact_email "
    "recipient_email_address "
    "メールアドレス メール eメール",
    "phone": "phone phone_number mobile mobile_phone mobile_phone_number mobilephone cell_phone work_phone telephone "
    "tel sms 電話番号 電話 携帯電話 tel直通",
    "name": "name full_name fullname user_name お名前 氏名 名前",
    "first_name": "first_name firstname fname given_name 名",
    "last_name": "last_name lastname lname family_name surname 姓",
    "company": "company company_name organization organisation organization_name org account_name "
    "会社名 会社 貴社名 企業名",
    "job_title": "job_title jobtitle title position role 役職 役職名",
    "department": "department 部署 部署名",
    "industry": "industry 業種",
    "employees": "employees number_of_employees no_of_employees numberofemployees company_size 従業員数",
    "annual_revenue": "annual_revenue annualrevenue",
    "country": "country country_code 国",
    "state": "state region prefecture 都道府県",
    "city": "city 市区町村",
    "postal_code": "postal_code zip zip_code postcode 郵便番号",
    "website": "website url_of_company homepage",
    "language": "language preferred_locale locale",
    "lifecycle_stage": "lifecycle_stage lifecyclestage",
}
_OURS = {alias: ours for ours, aliases in _ALIASES.items() for alias in aliases.split()}
MAX_PHONE = 512
IDENTIFYING = frozenset({"email", "phone"})

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_WORD = re.compile(r"\W+")


def folded(name: str) -> str:
    """A field's name in one form: `Email Address`, `emailAddress` and `EMAIL_ADDRESS` are the same."""
    return _NOT_WORD.sub("_", _CAMEL.sub("_", name.strip())).strip("_").lower()


def our_name(name: str) -> str | None:
    """Our name of a person's field (`email`, `phone`, or an attribute), None if it is none we know."""
    return _OURS.get(folded(name)) or _OURS.get(name.strip().lower())


def person(record: Mapping[str, Any], region: str) -> dict[str, str]:
    """What a flat record says about the person, under our names; the first non-empty value of a name stays.

    Of several telephone numbers the first mobile one as read in `region`, since only those tell who somebody is.
    """
    return chosen(((our_name(name), text(value)) for name, value in record.items()), region)


def chosen(told: Iterable[tuple[str | None, str | None]], region: str) -> dict[str, str]:
    """As `person`, of pairs of our name and what was said; either may be missing."""
    known: dict[str, str] = {}
    numbers: list[str] = []
    for ours, said in told:
        if ours and said is not None:
            known.setdefault(ours, said)
            if ours == "phone":
                numbers.append(said)
    if len(numbers) > 1:
        known["phone"] = next((number for number in numbers if _is_mobile(number, region)), numbers[0])
    return known


def as_phone(number: str, region: str) -> Phone | None:
    """The telephone number that a text is, None if it cannot be one."""
    try:
        return normalise_phone(number, region) if len(number) <= MAX_PHONE else None
    except ValueError:
        return None


def _is_mobile(number: str, region: str) -> bool:
    phone = as_phone(number, region)
    return phone is not None and phone.identifies


def attributes(known: Mapping[str, str]) -> dict[str, str]:
    """The part of `person` that describes the lead instead of naming it."""
    return {name: value for name, value in known.items() if name not in IDENTIFYING}
