"""The routes of imports, with what OpenAPI says of them."""

from typing import Any

from services.ingest.cards.options import NAMES
from services.ingest.cards.report import CSV, JSON, NDJSON
from services.ingest.imports import PREFIX, Imports
from shared.telemetry import INGEST_DURATION
from shared.web import LeanRoute

CARDS_PATH = PREFIX + "business-cards"
PROGRESS_PATH = PREFIX + "{id}"
ABOUT = (
    "A list of business cards as CSV: of a card reader, of a tool, or made by hand. Encoding, delimiter and header are"
    " found out; each record becomes one activity, whose id derives from what stands in the record, so that the same"
    " list again changes nothing. Good records are taken, bad ones reported with the reason; 202 means that every"
    " record reported as accepted is durable. The report follows `Accept`: JSON lines (default), JSON or CSV."
)
_RECORD = {
    "type": "object",
    "required": ["record", "line", "status", "notes"],
    "properties": {
        "record": {"type": "integer", "minimum": 1},
        "line": {"type": "integer", "minimum": 1, "description": "Of the file."},
        "status": {"type": "string", "enum": ["accepted", "refused", "empty"]},
        "notes": {"type": "array", "items": {"type": "string"}, "description": "`code: sentence`."},
        "activity": {"type": "object", "description": "As it would be posted."},
    },
}
_SUMMARY = {
    "type": "object",
    "required": ["records", "accepted", "refused", "empty"],
    "properties": {
        name: {"type": "integer"}
        for name in ("records", "accepted", "refused", "empty", "duplicates", "without_consent", "opt_outs")
    }
    | {"durability": {"type": "string", "enum": ["kafka", "spool"]}},
}
_DOCUMENT = {
    "type": "object",
    "required": ["records", "summary"],
    "properties": {"records": {"type": "array", "items": _RECORD}, "summary": _SUMMARY},
}
_REPORT = {
    NDJSON: {"schema": {"type": "string", "description": 'A record per line, then `{"summary": …}`.'}},
    JSON: {"schema": _DOCUMENT},
    CSV: {"schema": {"type": "string"}},
}


def import_routes(imports: Imports) -> list[LeanRoute]:
    """`POST /v1/imports/business-cards` and `GET /v1/imports/{id}`."""
    return [
        LeanRoute(CARDS_PATH, {"POST": imports.post}, {"POST": _post()}, INGEST_DURATION),
        LeanRoute(PROGRESS_PATH, {"GET": imports.progress}, {"GET": _progress()}, INGEST_DURATION),
    ]


def _post() -> dict[str, Any]:
    fields: dict[str, Any] = {name: {"type": "string", "description": text} for name, text in NAMES.items()}
    file = {"type": "string", "contentMediaType": "text/csv", "description": "The list; at most 64 MiB."}
    return {
        "tags": ["imports"],
        "operationId": "import_business_cards",
        "summary": "Import business cards",
        "description": ABOUT,
        "security": [{"api_key": []}],
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {"type": "object", "required": ["file"], "properties": {"file": file, **fields}}
                }
            },
        },
        "responses": {
            "200": {"description": "The report of a dry run", "content": _REPORT},
            "202": {"description": "Stored durably; the report", "content": _REPORT},
        },
    }


def _progress() -> dict[str, Any]:
    body = {
        "type": "object",
        "required": ["state", "size", "bytes", "records"],
        "properties": {
            "state": {"type": "string", "enum": ["receiving", "working"]},
            "size": {"type": "integer", "description": "Bytes of the list."},
            "bytes": {"type": "integer", "description": "Bytes read so far."},
            "records": {"type": "integer", "description": "Records that are safe so far."},
        },
    }
    return {
        "tags": ["imports"],
        "operationId": "import_progress",
        "summary": "How far an import is",
        "description": "While an import is under way, by the X-Request-Id it was sent with.",
        "security": [{"api_key": []}],
        "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
        "responses": {"200": {"description": "Under way", "content": {"application/json": {"schema": body}}}},
    }
