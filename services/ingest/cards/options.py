"""What an import is asked for, beside its file; the same words as form fields of HTTP and as options of the command."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Literal
from zoneinfo import ZoneInfo

import orjson

from services.ingest.cards.consent import PURPOSES
from services.ingest.cards.dates import read_date
from services.ingest.cards.encodings import ENCODINGS, encoding_named
from services.ingest.cards.headers import FIELDS, fold_header
from services.ingest.cards.notes import Language
from shared.activity import is_activity_type
from shared.clock import EPOCH, to_rfc3339
from shared.errors import FieldFault

SOURCE, ACTIVITY = "business-cards", "card_exchanged"
ReportEncoding = Literal["utf-8", "cp932"]
_TRUE, _FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off", ""})
_DELIMITERS = {"comma": ",", ",": ",", "tab": "\t", "\t": "\t", "semicolon": ";", ";": ";"}
LONGEST_SOURCE, LONGEST_TEXT, LONGEST_TOLD = 128, 4_096, 256


@dataclass(frozen=True)
class CardOptions:
    """How a list is read, and what its records lack. `columns` maps names of columns to fields."""

    source: str = SOURCE
    activity: str = ACTIVITY
    event: str | None = None
    occurred_at: datetime | None = None
    consent: Mapping[str, Any] | None = None
    timezone: str = "Asia/Tokyo"
    region: str = "JP"
    encoding: str | None = None
    delimiter: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    dry_run: bool = False
    silent: bool = False
    report_encoding: ReportEncoding = "utf-8"
    language: Language = "en"

    @cached_property
    def zone(self) -> ZoneInfo:
        """Where dates without an offset were written."""
        return ZoneInfo(self.timezone)


class OptionFaults(ValueError):
    """Every option that is not as expected; pointers are `/name`."""

    def __init__(self, faults: list[FieldFault]) -> None:
        super().__init__("; ".join(f"{fault.pointer[1:]}: {fault.detail}" for fault in faults))
        self.faults = faults


NAMES: dict[str, str] = {
    "source": f"Where the list is from; ids are unique within it. Default `{SOURCE}`.",
    "activity": f"Type of the activities, in snake_case. Default `{ACTIVITY}`.",
    "event": "Exhibition or seminar at which the cards were exchanged; a column of the list goes before it.",
    "occurred_at": "Date or instant for records without one; without it the time of the import counts.",
    "consent": "Purposes agreed to by records that say nothing: `email`, `phone`, `profiling`, separated by commas;"
    " or `none`.",
    "consent_at": "When they agreed.",
    "consent_text": "What they agreed to, as it was put to them.",
    "timezone": "IANA zone of dates without an offset. Default `Asia/Tokyo`.",
    "encoding": f"Encoding of the file, found out if not said: {', '.join(ENCODINGS)}.",
    "delimiter": "`comma`, `tab` or `semicolon`; found out if not said.",
    "columns": 'What columns with names of your own are, as JSON: `{"得意先": "company"}`.',
    "dry_run": "`true`: only report, with a preview; nothing is stored.",
    "silent": "`true`: the cards are history; they are scored, and no lead is handed over for them.",
    "report_encoding": "Of a CSV report: `utf-8` (with a byte-order mark, default) or `cp932`.",
    "language": "Of the notes: `en` or `ja`. Default: by Accept-Language.",
}
"""Every option with its description."""


def read_options(given: Mapping[str, str], *, region: str, language: Language = "en") -> CardOptions:
    """Options out of form fields. Raises OptionFaults with all that is wrong."""
    reading = _Reading(given)
    found: dict[str, Any] = {"region": region, "language": language}
    found["source"] = reading.text("source", LONGEST_SOURCE) or SOURCE
    found["activity"] = reading.activity() or ACTIVITY
    found["event"] = reading.text("event", 512)
    found["timezone"] = reading.zone() or "Asia/Tokyo"
    zone = ZoneInfo(found["timezone"])
    found["occurred_at"] = reading.instant("occurred_at", zone)
    found["consent"] = reading.consent(zone, found["source"])
    found["encoding"] = reading.encoding("encoding")
    found["delimiter"] = reading.choice("delimiter", _DELIMITERS)
    found["columns"] = reading.columns()
    found["dry_run"], found["silent"] = reading.truth("dry_run"), reading.truth("silent")
    found["report_encoding"] = reading.choice("report_encoding", _REPORTS) or "utf-8"
    found["language"] = reading.choice("language", {"en": "en", "ja": "ja"}) or language
    if reading.faults:
        raise OptionFaults(reading.faults)
    return CardOptions(**found)


_REPORTS = dict.fromkeys(("utf-8", "utf8", "utf-8-sig"), "utf-8") | dict.fromkeys(
    ("cp932", "shift_jis", "sjis", "shift-jis"), "cp932"
)


class _Reading:
    """Reads one option after another and collects what is wrong with them."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given
        self.faults = [FieldFault(f"/{name}", "unknown field") for name in given if name not in NAMES]

    def fault(self, name: str, detail: str) -> None:
        self.faults.append(FieldFault(f"/{name}", detail))

    def text(self, name: str, longest: int) -> str | None:
        text = self._given.get(name, "").strip()
        if len(text) > longest or "\x00" in text:
            self.fault(name, f"expected at most {longest} characters")
            return None
        return text or None

    def activity(self) -> str | None:
        text = self.text("activity", 64)
        if text and not is_activity_type(text):
            self.fault("activity", "expected snake_case, such as card_exchanged")
        return text

    def choice(self, name: str, choices: Mapping[str, str]) -> str | None:
        text = self._given.get(name, "")
        if not text:
            return None
        if text.lower() not in choices:
            self.fault(name, f"expected one of {', '.join(sorted(key for key in choices if key.isprintable()))}")
        return choices.get(text.lower())

    def truth(self, name: str) -> bool:
        text = self._given.get(name, "").strip().lower()
        if text not in _TRUE | _FALSE:
            self.fault(name, "expected true or false")
        return text in _TRUE

    def encoding(self, name: str) -> str | None:
        text = self._given.get(name, "").strip()
        if not text:
            return None
        if (known := encoding_named(text)) is None:
            self.fault(name, f"expected one of {', '.join(ENCODINGS)}")
        return known

    def zone(self) -> str | None:
        name = self._given.get("timezone", "").strip()
        if not name:
            return None
        try:
            ZoneInfo(name)
        except (OSError, ValueError, KeyError):
            self.fault("timezone", "expected an IANA zone such as Asia/Tokyo")
            return None
        return name

    def instant(self, name: str, zone: ZoneInfo) -> datetime | None:
        text = self._given.get(name, "").strip()
        if not text:
            return None
        moment = read_date(text, zone)
        if moment is None or moment.at < EPOCH:
            self.fault(name, "expected a date such as 2026-11-20, or an instant, from 1970 on")
            return None
        return moment.at

    def consent(self, zone: ZoneInfo, source: str) -> dict[str, Any] | None:
        purposes = [word for word in self._given.get("consent", "").replace(" ", "").split(",") if word]
        at, text = self.instant("consent_at", zone), self.text("consent_text", LONGEST_TEXT)
        if purposes in ([], ["none"]):
            if at or text:
                self.fault("consent", f"expected purposes ({', '.join(PURPOSES)}) with `consent_at` and `consent_text`")
            return None
        if not set(purposes) <= set(PURPOSES):
            self.fault("consent", f"expected none, or some of {', '.join(PURPOSES)}")
            return None
        consent: dict[str, Any] = dict.fromkeys(purposes, True)
        if at:
            consent["at"] = to_rfc3339(at)
        return {**consent, "source": source, **({"text": text} if text else {})}

    def columns(self) -> dict[str, str]:
        text = self._given.get("columns", "").strip()
        if not text:
            return {}
        try:
            told = orjson.loads(text)
        except orjson.JSONDecodeError:
            told = None
        known = ", ".join(sorted(FIELDS))
        if not isinstance(told, dict) or not all(isinstance(value, str) for value in told.values()):
            self.fault("columns", f"expected a JSON object of names to fields, which are {known}")
            return {}
        if unknown := [f"{value} (of {name})" for name, value in told.items() if value not in FIELDS]:
            self.fault("columns", f"no such field: {', '.join(unknown)[:LONGEST_TOLD]}; fields are {known}")
            return {}
        return {fold_header(name): value for name, value in told.items()}
