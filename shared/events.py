"""Events on topics: CloudEvents 1.0 in Kafka's binary mode, and the names of their types."""

from dataclasses import dataclass

import orjson

ACTIVITY = "lead.activity.v1"
SCORE_CHANGED = "lead.score-changed.v1"
ACCOUNT_CHANGED = "account.score-changed.v1"
QUALIFIED = "lead.qualified.v1"
ACCOUNT_QUALIFIED = "account.qualified.v1"
HANDOFF_OUTCOME = "lead.handoff-outcome.v1"
HANDOFF_ANSWER = "lead.handoff-answer.v1"
MERGED = "lead.merged.v1"
UNMERGED = "lead.unmerged.v1"
ERASED = "lead.erased.v1"
STAGE_CHANGED = "lead.stage-changed.v1"
POINTS_GIVEN = "lead.points-given.v1"
SHADOW_SCORED = "lead.shadow-scored.v1"
COOLED = "lead.cooled.v1"
COOLING = "lead.cooling.v1"
HANDOFF_OVERDUE = "lead.handoff-overdue.v1"
EXTRACTION_COMPLETED = "handoff.extraction-completed.v1"
DESTINATION_DISABLED = "handoff.destination-disabled.v1"
DELIVERY_TEST = "handoff.delivery-test.v1"
"""Never on a topic: sent to one destination, when somebody asks whether it works."""

Headers = list[tuple[str, bytes]]
NO_HEADERS = b"[]"


@dataclass(slots=True)
class OutboxRow:
    """One record to publish; `value` None is a tombstone, `key` None goes to partition 0.

    `headers` are packed, as the table holds them: they are on their way more often than anybody looks at them.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: bytes = NO_HEADERS


def cloud_event_headers(*, id_: str, source: str, type_: str, time: str, key: str) -> bytes:
    """The record headers of one event, packed; `time` as `to_rfc3339` writes it, `key` the record's key, repeated
    because Kafka's own may be rewritten.

    Source: CloudEvents 1.0.2, Kafka protocol binding §3.2 (binary content mode).
    """
    return orjson.dumps(
        (
            ("ce_specversion", "1.0"),
            ("ce_id", _latin(id_)),
            ("ce_source", source),
            ("ce_type", type_),
            ("ce_time", time),
            ("ce_partitionkey", _latin(key)),
            ("content-type", "application/json"),
        )
    )


def pack_headers(headers: Headers) -> bytes:
    """Headers as bytes for the table. Latin-1 gives each byte one character, so that any value survives."""
    return orjson.dumps([(name, value.decode("latin-1")) for name, value in headers])


def unpack_headers(packed: bytes) -> Headers:
    """The inverse of `pack_headers`."""
    return [(name, value.encode("latin-1")) for name, value in orjson.loads(packed)]


def _latin(text: str) -> str:
    """The bytes of a text in UTF-8, one character each."""
    return text if text.isascii() else text.encode().decode("latin-1")
