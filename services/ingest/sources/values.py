"""Reading single values out of vendors' bodies: texts, instants, ids."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from services.ingest.sources.base import Unreadable
from shared.clock import EPOCH, to_rfc3339

MAX_ID = 256
_NUMBER = re.compile(r"[0-9]{1,17}(?:\.[0-9]{1,9})?", re.ASCII)
_LATEST_S = 253_402_300_799


def text(value: Any) -> str | None:
    """A scalar as text without surrounding space; None for null, "" and anything nested. Ids come as number or text."""
    if isinstance(value, str):
        return value.strip() or None
    # Most fields of most items; the rest of this would be gone through in vain.
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if math.isfinite(value) and value.is_integer() and abs(value) < 2**53 else repr(value)
    return None


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is an object, else an empty one, so that a path of keys can be followed without questions."""
    return value if isinstance(value, dict) else {}


def listing(value: Any) -> list[Any]:
    """An array as it is, anything else as an array of one, null as an empty one."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def dig(value: Any, path: str) -> Any:
    """Follow a dotted path (`data.items.0.id`); null where it ends early. A key may itself hold dots."""
    if path == "":
        return value
    if isinstance(value, dict):
        if path in value:
            return value[path]
        head, _, rest = path.partition(".")
        return dig(value[head], rest) if rest and head in value else None
    if isinstance(value, list):
        head, _, rest = path.partition(".")
        return dig(value[int(head)], rest) if head.isdecimal() and int(head) < len(value) else None
    return None


def truth(value: Any) -> bool:
    """Whether a flag is set, which vendors write as true, 1, "true", "True", "1" or "yes"."""
    return value is True or value == 1 or (isinstance(value, str) and value.strip().lower() in {"true", "1", "yes"})


def from_seconds(value: Any) -> str | None:
    """The RFC 3339 form of Unix seconds; None for null. Raises Unreadable."""
    return _from_number(value, 1)


def from_millis(value: Any) -> str | None:
    """The RFC 3339 form of Unix milliseconds; None for null. Raises Unreadable."""
    return _from_number(value, 1_000)


def from_date(value: Any, zone: ZoneInfo) -> str | None:
    """The RFC 3339 form of a written time; `zone` is the place of a time without offset; None for null or "".

    Takes ISO 8601 with any number of fraction digits, a space for T, and HTTP dates. Raises Unreadable.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise Unreadable("the time is not a text")
    written = value.strip()
    try:
        instant = datetime.fromisoformat(written.replace("/", "-"))
    except ValueError:
        instant = _http_date(written)
    return _checked(instant if instant.tzinfo else instant.replace(tzinfo=zone))


def from_any(value: Any, zone: ZoneInfo) -> str | None:
    """The RFC 3339 form of a time whose unit is told by its size: seconds below 10^11, milliseconds below 10^14, else
    microseconds.
    """
    number = text(value)
    if number is None or not _NUMBER.fullmatch(number):
        return from_date(value, zone)
    size = float(number)
    return _from_number(value, 1 if size < 1e11 else 1_000 if size < 1e14 else 1_000_000)


def _from_number(value: Any, per_second: int) -> str | None:
    if type(value) is int and 0 <= value < _LATEST_S * per_second:
        return to_rfc3339(EPOCH + timedelta(microseconds=value * (1_000_000 // per_second)))
    if value is None or value == "":
        return None
    number = text(value)
    if number is None or not _NUMBER.fullmatch(number):
        raise Unreadable("the time is not a number")
    whole, _, fraction = number.partition(".")
    count = int(whole)
    if count // per_second > _LATEST_S:
        raise Unreadable("the time is out of the calendar's range")
    micros = count * (1_000_000 // per_second) + int((fraction + "000000")[:6]) // per_second
    return to_rfc3339(EPOCH + timedelta(microseconds=micros))


def _http_date(written: str) -> datetime:
    try:
        return parsedate_to_datetime(written)
    except (ValueError, TypeError, IndexError, OverflowError):
        raise Unreadable("the time cannot be read") from None


def _checked(instant: datetime) -> str:
    try:
        return to_rfc3339(instant.astimezone(UTC))
    except (OverflowError, ValueError):
        raise Unreadable("the time is out of the calendar's range") from None


def derived_id(source: str, *named: Any) -> str:
    """The id of an event that carries none: SHA-256 over the source and the fields that name the event, as hex."""
    fields = [value if value is None or isinstance(value, str) else text(value) or canonical(value) for value in named]
    # Escaped, because a header may hold bytes that are no UTF-8.
    return hashlib.sha256(json.dumps([source, *fields]).encode()).hexdigest()


def given_id(source: str, value: Any, *named: Any) -> str:
    """The event id as the tool gives it, if it can be kept as such, else one derived from it or from `named`."""
    known = text(value)
    if known is None:
        return derived_id(source, *named)
    return known if len(known) <= MAX_ID and "\x00" not in known else derived_id(source, known)


def unnamed(item: Any, *named: Any) -> str | None:
    """All of an item, to name an event by that has none of `named`: the events of two people stay two."""
    return None if any(text(name) for name in named) else canonical(item)


def canonical(value: Any) -> str:
    """One text for equal JSON values, whatever the order of their keys."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        return repr(value)


def seconds_between(earlier: str | None, later: str | None) -> float | None:
    """The seconds from one RFC 3339 instant to another, None where one is missing or they stand the wrong way round."""
    if earlier is None or later is None:
        return None
    passed = (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
    return passed if passed >= 0 else None
