"""Events on topics: CloudEvents 1.0 in Kafka's binary mode, and the names of their types."""

from dataclasses import dataclass, field
from datetime import datetime

from shared.clock import to_rfc3339

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


@dataclass(slots=True)
class OutboxRow:
    """One record to publish; `value` None is a tombstone, `key` None goes to partition 0."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = field(default_factory=list)


def cloud_event_headers(*, id_: str, source: str, type_: str, time: datetime, key: str) -> Headers:
    """The record headers of one event; `key` is the record's key, repeated because Kafka's own may be rewritten.

    Source: CloudEvents 1.0.2, Kafka protocol binding §3.2 (binary content mode).
    """
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", id_.encode()),
        ("ce_source", source.encode()),
        ("ce_type", type_.encode()),
        ("ce_time", to_rfc3339(time).encode()),
        ("ce_partitionkey", key.encode()),
        ("content-type", b"application/json"),
    ]
