"""The report of an import: a line of JSON per record, one JSON document, or CSV for a spreadsheet."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from services.ingest.cards import encodings
from services.ingest.cards.headers import NAMELESS
from services.ingest.cards.listing import Layout, Listing
from services.ingest.cards.notes import Language
from services.ingest.cards.options import CardOptions, ReportEncoding
from services.ingest.cards.outcomes import Outcome
from shared.activity import NO_OCCURRED_AT, Activity, lead_names
from shared.clock import to_rfc3339
from shared.codec import encode
from shared.spreadsheet import Cell, Encoding, charset, header, lines

NDJSON, JSON, CSV = "application/x-ndjson", "application/json", "text/csv"
MEDIA_TYPES = (NDJSON, JSON, CSV)
PREVIEW_LINES = 5
CSV_HEADER = (
    "record",
    "line",
    "status",
    "notes",
    "id",
    "occurred_at",
    "email",
    "phone",
    "name",
    "company",
    "job_title",
)
CSV_HEADER_JA = (
    "レコード", "行", "結果", "メモ", "ID", "日時", "メールアドレス", "電話番号", "氏名", "会社名", "役職",
)  # fmt: skip

# Most cards of a list were exchanged on one of a few days.
_written = lru_cache(maxsize=4_096)(to_rfc3339)


def record_of(outcome: Outcome, language: Language) -> dict[str, Any]:
    """A record's line: `{"record", "line", "status", "notes", "activity"}`."""
    told: dict[str, Any] = {
        "record": outcome.record,
        "line": outcome.line,
        "status": outcome.status,
        "notes": [note.text(language) for note in outcome.notes],
    }
    if outcome.activity is not None:
        told["activity"] = posted_of(outcome.activity)
    return told


def posted_of(activity: Activity) -> dict[str, Any]:
    """A card's activity as it would be posted: `parse_posted` makes the same of it again, but for the flag `silent`."""
    posted: dict[str, Any] = {
        "id": activity.id,
        "source": activity.source,
        "type": activity.type,
        "lead": lead_names(activity),
        "attributes": activity.attributes,
        "properties": activity.properties,
    }
    if NO_OCCURRED_AT not in activity.flags:
        posted["occurred_at"] = _written(activity.claimed_at or activity.occurred_at)
    if activity.consent is not None:
        posted["consent"] = activity.consent
    return posted


def summary_of(listing: Listing, options: CardOptions, **more: Any) -> dict[str, Any]:
    """The last line, without its name: counts, how the file was read, remarks on the whole list."""
    layout, summary = listing.layout, listing.summary
    return {
        "records": summary.records,
        "accepted": summary.accepted,
        "refused": summary.refused,
        "empty": summary.empty,
        "duplicates": summary.duplicates,
        "with_notes": summary.with_notes,
        "without_consent": summary.without_consent,
        "opt_outs": summary.opt_outs,
        "source": options.source,
        "dry_run": options.dry_run,
        "silent": options.silent,
        "encoding": layout.found.encoding,
        "delimiter": {",": "comma", "\t": "tab", ";": "semicolon"}[layout.delimiter],
        "header_line": layout.header_line,
        "columns": {column.name: column.field for column in layout.columns if not column.name.startswith(NAMELESS)},
        "notes": [note.text(options.language) for note in summary.notes],
        **more,
    }


def preview_of(file: Any, layout: Layout) -> list[dict[str, Any]]:
    """The first lines of the file as they look in the encoding found and in the next likely one."""
    looked_at = (layout.found.encoding, layout.found.other)
    first, count = layout.header_line - 1, PREVIEW_LINES
    return [
        {"encoding": name, "lines": encodings.head_lines(file, name, first + count)[first:]}
        for name in dict.fromkeys(looked_at)
    ]


def as_json_lines(records: Sequence[Mapping[str, Any]]) -> bytes:
    """Records as JSON lines."""
    return b"".join(encode(record) + b"\n" for record in records)


class Rendering:
    """Turns records into the bytes of one of MEDIA_TYPES, piece by piece."""

    def __init__(self, media_type: str, encoding: ReportEncoding = "utf-8", language: Language = "en") -> None:
        self.media_type, self._language = media_type, language
        self._encoding: Encoding = "cp932" if encoding == "cp932" else "utf-8-sig"
        self._first = True

    @property
    def content_type(self) -> str:
        """For the header of that name."""
        if self.media_type != CSV:
            return self.media_type
        return f"{CSV}; charset={charset(self._encoding)}; header=present"

    def begin(self) -> bytes:
        """What stands before the first record."""
        if self.media_type == JSON:
            return b'{"records":['
        if self.media_type == NDJSON:
            return b""
        return header(CSV_HEADER_JA if self._language == "ja" else CSV_HEADER, self._encoding)

    def records(self, records: Sequence[Mapping[str, Any]]) -> bytes:
        """Some records, as `record_of` gives them."""
        if self.media_type == NDJSON:
            return as_json_lines(records)
        if self.media_type == CSV:
            return lines(map(csv_row, records), self._encoding)
        if not records:
            return b""
        before, self._first = b"" if self._first else b",\n", False
        return before + b",\n".join(map(encode, records))

    def end(self, summary: Mapping[str, Any]) -> bytes:
        """What stands after the last record. CSV has no place for a summary."""
        if self.media_type == NDJSON:
            return encode({"summary": summary}) + b"\n"
        return b'],"summary":' + encode(summary) + b"}\n" if self.media_type == JSON else b""


def csv_row(record: Mapping[str, Any]) -> list[Cell]:
    """A record as the cells of CSV_HEADER."""
    activity: Mapping[str, Any] = record.get("activity") or {}
    lead, attributes = activity.get("lead") or {}, activity.get("attributes") or {}
    return [
        record["record"],
        record.get("line", ""),
        record["status"],
        " / ".join(record["notes"]),
        activity.get("id", ""),
        activity.get("occurred_at", ""),
        lead.get("email", ""),
        lead.get("phone", ""),
        *(attributes.get(name, "") for name in ("name", "company", "job_title")),
    ]


def accepted_type(accept: str) -> str | None:
    """The report's form by an `Accept` header, JSON lines where any will do; None where none of them would."""
    wanted: list[tuple[float, int, str]] = []
    for place, entry in enumerate(accept.split(",") if accept.strip() else ["*/*"]):
        name, *parameters = (part.strip().lower() for part in entry.split(";"))
        quality = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        for known in MEDIA_TYPES:
            if name in (known, "*/*", f"{known.partition('/')[0]}/*") or (name, known) == ("application/jsonl", NDJSON):
                wanted.append((-_quality(quality), place, known))
                break
    wanted = [one for one in wanted if one[0]]
    return min(wanted)[2] if wanted else None


def _quality(text: str) -> float:
    try:
        return max(0.0, min(1.0, float(text)))
    except ValueError:
        return 0.0
