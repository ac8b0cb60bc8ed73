"""Times in formats that configuration names."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from services.ingest.sources.base import Unreadable
from services.ingest.sources.values import from_any, from_date, from_millis, from_seconds, text


def in_format(value: Any, form: str, zone: ZoneInfo) -> str | None:
    """A time as RFC 3339: `auto`, `s`, `ms`, `iso`, or a strptime format; None for null. Raises Unreadable."""
    if value is None or value == "":
        return None
    if form == "s":
        return from_seconds(value)
    if form == "ms":
        return from_millis(value)
    if form == "iso":
        return from_date(value, zone)
    if form == "auto":
        return from_any(value, zone)
    try:
        instant = datetime.strptime(text(value) or "", form)  # noqa: DTZ007 - the zone is put on below
    except ValueError:
        raise Unreadable(f"the time is not of the form {form}") from None
    return from_date(instant.isoformat(), zone)
