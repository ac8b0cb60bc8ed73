"""Writes the AsyncAPI 3.1 document of all topics: `python -m shared.asyncapi > docs/asyncapi.yaml`."""

import io
import sys
from typing import Any

from ruamel.yaml import YAML

from shared import schemas
from shared.events import (
    ACCOUNT_CHANGED,
    ACCOUNT_QUALIFIED,
    ACTIVITY,
    COOLED,
    COOLING,
    DESTINATION_DISABLED,
    ERASED,
    EXTRACTION_COMPLETED,
    HANDOFF_ANSWER,
    HANDOFF_OUTCOME,
    HANDOFF_OVERDUE,
    MERGED,
    POINTS_GIVEN,
    QUALIFIED,
    SCORE_CHANGED,
    SHADOW_SCORED,
    STAGE_CHANGED,
    UNMERGED,
)
from shared.topics import (
    ACCOUNT_SCORES,
    ALL,
    DEAD_LETTERS,
    HANDOFF_ANSWERS,
    HANDOFF_OUTCOMES,
    LEAD_ACTIVITIES,
    LEAD_LIFECYCLE,
    LEAD_SCORES,
    MAX_MESSAGE_BYTES,
    QUALIFIED_ACCOUNTS,
    QUALIFIED_LEADS,
    REJECTED_WEBHOOKS,
    SHADOW_SCORES,
    Topic,
)
from shared.version import VERSION

MESSAGES: dict[str, tuple[str, ...]] = {
    LEAD_ACTIVITIES.name: (ACTIVITY,),
    LEAD_SCORES.name: (SCORE_CHANGED,),
    SHADOW_SCORES.name: (SHADOW_SCORED,),
    ACCOUNT_SCORES.name: (ACCOUNT_CHANGED,),
    QUALIFIED_LEADS.name: (QUALIFIED,),
    QUALIFIED_ACCOUNTS.name: (ACCOUNT_QUALIFIED,),
    HANDOFF_OUTCOMES.name: (HANDOFF_OUTCOME,),
    HANDOFF_ANSWERS.name: (HANDOFF_ANSWER,),
    LEAD_LIFECYCLE.name: (
        MERGED,
        UNMERGED,
        ERASED,
        STAGE_CHANGED,
        POINTS_GIVEN,
        COOLED,
        COOLING,
        HANDOFF_OVERDUE,
        EXTRACTION_COMPLETED,
        DESTINATION_DISABLED,
    ),
}
"""The event types on each topic. Topics that are not here carry raw bytes."""

RAW = {"type": "string", "format": "binary"}

READ_BY: dict[str, tuple[str, ...]] = {
    LEAD_ACTIVITIES.name: ("scoring",),
    LEAD_SCORES.name: ("handoff",),
    ACCOUNT_SCORES.name: ("handoff",),
    QUALIFIED_LEADS.name: ("handoff",),
    QUALIFIED_ACCOUNTS.name: ("handoff",),
    HANDOFF_OUTCOMES.name: ("handoff", "scoring"),
    HANDOFF_ANSWERS.name: ("handoff",),
    LEAD_LIFECYCLE.name: ("handoff",),
}

ABOUT: dict[str, str] = {
    LEAD_ACTIVITIES.name: "One record per accepted activity, in the order of acceptance per lead.",
    LEAD_SCORES.name: "A lead's state after every change; the last record of a key is the lead as it is now.",
    SHADOW_SCORES.name: "How versions in the shadow score the same leads; nobody acts on it.",
    ACCOUNT_SCORES.name: "An account's state after a change; the last record of a key is the account as it is now.",
    QUALIFIED_LEADS.name: "One record per handed-over cycle of a lead and a rule. What sales subscribes to.",
    QUALIFIED_ACCOUNTS.name: "One record per cycle of an account and a rule of its own.",
    HANDOFF_OUTCOMES.name: "Every step a handoff takes after it was made.",
    HANDOFF_ANSWERS.name: "Where sales systems answer, instead of calling the API.",
    LEAD_LIFECYCLE.name: "What happens to leads as such (merges, cooling, deadlines that passed), runs that are done,"
    " destinations that are disabled.",
    REJECTED_WEBHOOKS.name: "Genuine webhook requests that could not be understood, as they came, without secrets.",
}

_CE: dict[str, str] = {
    "ce_specversion": "1.0",
    "ce_id": "Unique per source; the same event sent again has the same id.",
    "ce_source": "Who wrote it.",
    "ce_type": "The event type, with its version.",
    "ce_time": "RFC 3339; when it happened.",
    "ce_partitionkey": "The record's key.",
    "content-type": "application/json",
}


def document() -> dict[str, Any]:
    """The document as plain data."""
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "Kizashi topics",
            "version": VERSION,
            "description": "Events are CloudEvents 1.0 in Kafka's binary mode: the value is the data, `ce_*` headers"
            " are the attributes. Subscribers should read committed records and ignore fields they do not know.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic) for topic in ALL},
        "operations": {name: operation for topic in ALL for name, operation in _operations(topic)},
        "components": {
            "schemas": {type_: _embedded(type_) for type_ in schemas.types()},
            "messages": {type_: _message(type_) for types in MESSAGES.values() for type_ in types}
            | {"raw": {"title": "Raw bytes", "contentType": "application/octet-stream", "payload": RAW}},
        },
    }


def render() -> str:
    """The document as committed."""
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 120
    text = io.StringIO()
    yaml.dump(document(), text)
    return text.getvalue()


def _channel(topic: Topic) -> dict[str, Any]:
    types = MESSAGES.get(topic.name, ("raw",))
    kept = f"Kept {topic.retention_days} days."
    if topic.compacted:
        kept = f"Compacted; no record of a key goes before it is {topic.retention_days} days old."
    about = ABOUT.get(topic.name, f"Records of {topic.name.removesuffix('-dlq')} that could not be processed.")
    return {
        "address": topic.name,
        "description": f"{about} {kept}",
        "messages": {type_: {"$ref": f"#/components/messages/{type_}"} for type_ in types},
        "bindings": {"kafka": {"topic": topic.name, "topicConfiguration": _configuration(topic)}},
    }


def _configuration(topic: Topic) -> dict[str, Any]:
    keep_ms = int(topic.config.get("retention.ms", topic.config.get("delete.retention.ms", "0")))
    field = "delete.retention.ms" if topic.compacted else "retention.ms"
    policy = ["compact" if topic.compacted else "delete"]
    return {"cleanup.policy": policy, field: keep_ms, "max.message.bytes": MAX_MESSAGE_BYTES}


def _operations(topic: Topic) -> list[tuple[str, dict[str, Any]]]:
    channel = {"$ref": f"#/channels/{topic.name}"}
    found = [
        (f"{_word(who)}-sends-{topic.name}", {"action": "send", "channel": channel, "summary": f"Written by {who}."})
        for who in (topic.written_by if topic not in DEAD_LETTERS else ("consumers",))
    ]
    readers = READ_BY.get(topic.name, ())
    found += [
        (f"{who}-reads-{topic.name}", {"action": "receive", "channel": channel, "summary": f"Read by {who}."})
        for who in readers
    ]
    return found


def _word(who: str) -> str:
    return who.replace(" ", "-")


def _message(type_: str) -> dict[str, Any]:
    described = schemas.schema(type_)
    return {
        "name": type_,
        "title": type_,
        "summary": described["description"],
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "properties": {name: {"type": "string", "description": about} for name, about in _CE.items()},
        },
        "payload": {"$ref": f"#/components/schemas/{type_}"},
        "examples": [{"name": name, "payload": value} for name, value in schemas.examples(type_).items()],
        "bindings": {
            "kafka": {"key": {"type": "string", "description": "The id of the lead or account, or what leads to it."}}
        },
    }


def _embedded(type_: str) -> dict[str, Any]:
    return {name: value for name, value in schemas.schema(type_).items() if name != "$schema"}


if __name__ == "__main__":
    sys.stdout.write(render())
