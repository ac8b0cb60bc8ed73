"""The routes of the ingest service. Those of the hot path are lean and bring their own OpenAPI."""

from typing import Any

from pydantic.json_schema import models_json_schema

from services.ingest.handlers import Activities
from shared.events import ACTIVITY
from shared.posted import PostedActivity
from shared.telemetry import INGEST_DURATION
from shared.web import LeanRoute

PATH = "/v1/activities"
EXAMPLE: dict[str, Any] = {
    "id": "6f1c2a1e-download-1",
    "source": "website",
    "type": "document_downloaded",
    "occurred_at": "2026-11-20T10:15:00+09:00",
    "lead": {"email": "taro.yamada@example.co.jp"},
    "attributes": {"name": "山田 太郎", "company": "株式会社サンプル", "job_title": "製造部 課長"},
    "properties": {"document": "price-list-2026", "campaign": "autumn-expo"},
    "consent": {"profiling": True, "email": True},
}
ACCEPTED = {
    "type": "object",
    "required": ["accepted", "ids", "durability"],
    "properties": {
        "accepted": {"type": "integer"},
        "ids": {"type": "array", "items": {"type": "string"}, "description": "In the order of the activities."},
        "durability": {"type": "string", "enum": ["kafka", "spool"]},
    },
}
ABOUT = (
    "One activity, or an array of at most 1,000; taken whole or refused whole. 202 means that every activity is stored"
    " by Kafka on all in-sync replicas, or, while Kafka is away, synced to disk (`spool`). The same `source` and `id`"
    " again changes nothing. Without `id`, one is made and returned; with an `Idempotency-Key` it is derived from the"
    " key, the source and the place in the array, so that a retry means the same activities. CloudEvents 1.0 of type"
    " `lead.activity.v1` are taken in binary, structured and batched mode; their `id`, `source` and `time` fill what"
    " the activity leaves open."
)


def activities_route(activities: Activities) -> LeanRoute:
    """`POST /v1/activities`."""
    return LeanRoute(PATH, {"POST": activities.post}, {"POST": _operation()}, INGEST_DURATION)


def _operation() -> dict[str, Any]:
    activity = _activity_schema()
    event = {
        "type": "object",
        "required": ["specversion", "id", "source", "type", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "minLength": 1},
            "source": {"type": "string", "minLength": 1},
            "type": {"const": ACTIVITY},
            "time": {"type": "string", "format": "date-time"},
            "data": activity,
        },
    }
    wrapped = {"specversion": "1.0", "id": "a-1", "source": "website", "type": ACTIVITY, "data": EXAMPLE}
    one_or_many = {"oneOf": [activity, {"type": "array", "maxItems": 1_000, "items": activity}]}
    return {
        "tags": ["activities"],
        "operationId": "post_activities",
        "summary": "Post activities",
        "description": ABOUT,
        "security": [{"api_key": []}],
        "parameters": [
            _header(
                "Idempotency-Key", "1 to 255 printable ASCII characters; derives the ids of activities without one."
            ),
            _header("X-Request-Id", "Returned, logged, and kept with the records."),
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": one_or_many, "example": EXAMPLE},
                "application/cloudevents+json": {"schema": event, "example": wrapped},
                "application/cloudevents-batch+json": {
                    "schema": {"type": "array", "maxItems": 1_000, "items": event},
                    "example": [wrapped],
                },
            },
        },
        "responses": {
            "202": {
                "description": "Stored durably",
                "content": {
                    "application/json": {
                        "schema": ACCEPTED,
                        "example": {"accepted": 1, "ids": [EXAMPLE["id"]], "durability": "kafka"},
                    }
                },
            }
        },
    }


def _header(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": {"type": "string"}}


def _activity_schema() -> dict[str, Any]:
    """PostedActivity with its parts in place, since an operation cannot carry definitions of its own."""
    _, schema = models_json_schema([(PostedActivity, "validation")], ref_template="#/$defs/{model}")
    definitions = schema["$defs"]

    def resolve(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                return resolve(definitions[node["$ref"].rpartition("/")[2]])
            return {key: resolve(value) for key, value in node.items()}
        return [resolve(item) for item in node] if isinstance(node, list) else node

    resolved: dict[str, Any] = resolve(definitions["PostedActivity"])
    return resolved
