"""Records that can never be processed: kept whole, with where they stood and why."""

from shared.clock import from_micros, to_rfc3339
from shared.kafka.records import Record
from shared.outbox import OutboxRow
from shared.topics import dead_letter_topic

REASON, TOPIC, PARTITION, OFFSET, TIME = "dlq_reason", "dlq_topic", "dlq_partition", "dlq_offset", "dlq_time"
MAX_REASON_BYTES = 1_000


def dead_letter(record: Record, reason: str) -> OutboxRow:
    """The record for `<topic>-dlq`: untouched key, value and headers, and the origin in headers of its own.

    Written through the outbox, in the transaction that moves the offset past it: so it is neither lost nor doubled.
    """
    origin = [
        (REASON, reason.encode()[:MAX_REASON_BYTES]),
        (TOPIC, record.topic.encode()),
        (PARTITION, str(record.partition).encode()),
        (OFFSET, str(record.offset).encode()),
        (TIME, to_rfc3339(from_micros(record.timestamp_ms * 1_000)).encode()),
    ]
    kept = [(name, value) for name, value in record.headers if not name.startswith("dlq_")]
    return OutboxRow(dead_letter_topic(record.topic), record.key, record.value, [*kept, *origin])
