"""Records that can never be processed: kept whole, with where they stood and why."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aiokafka import ConsumerRecord

from shared.clock import from_micros, to_rfc3339
from shared.events import OutboxRow, pack_headers
from shared.kafka.records import Record
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
    return OutboxRow(dead_letter_topic(record.topic), record.key, record.value, pack_headers([*kept, *origin]))


@dataclass(frozen=True, slots=True)
class Letter:
    """A record of a dead-letter topic, or a request on `rejected-webhooks`, and what its headers tell of it."""

    raw: "ConsumerRecord[bytes, bytes]"

    @property
    def place(self) -> str:
        """`topic/partition/offset`, the name the commands know it by."""
        return f"{self.raw.topic}/{self.raw.partition}/{self.raw.offset}"

    @property
    def origin_topic(self) -> str:
        """The topic it came from; "" for a webhook request."""
        return self._header(TOPIC)

    @property
    def origin_partition(self) -> int:
        """The partition it came from."""
        return int(self._header(PARTITION))

    @property
    def origin_offset(self) -> int:
        """Where it stood in its partition."""
        return int(self._header(OFFSET))

    @property
    def origin(self) -> str:
        """Where it stood: `topic/partition/offset`, or the source of a webhook request."""
        if not self.origin_topic:
            return self._header("source")
        return f"{self.origin_topic}/{self._header(PARTITION)}/{self._header(OFFSET)}"

    @property
    def time(self) -> str:
        """When the original came, RFC 3339."""
        return self._header(TIME) or self._header("received_at")

    @property
    def reason(self) -> str:
        """Why it could not be processed."""
        return self._header(REASON) or self._header("reason")

    @property
    def original_headers(self) -> list[tuple[str, bytes]]:
        """The headers it came with, without those that were added here."""
        return [(name, value) for name, value in self.raw.headers if not name.startswith("dlq_")]

    def to_json(self) -> dict[str, Any]:
        """What a list shows of it."""
        return {
            "topic": self.raw.topic,
            "partition": self.raw.partition,
            "offset": self.raw.offset,
            "place": self.place,
            "origin": self.origin,
            "time": self.time,
            "reason": self.reason,
        }

    def _header(self, name: str) -> str:
        return next((value.decode("utf-8", "replace") for key, value in self.raw.headers if key == name), "")


def letters_of(records: "Iterable[ConsumerRecord[bytes, bytes]]") -> list[Letter]:
    """Records of a dead-letter topic as letters, in their order."""
    return [Letter(raw) for raw in records]
