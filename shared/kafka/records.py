"""Records as the consumers of this project see them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiokafka import ConsumerRecord, TopicPartition


@dataclass(slots=True)
class Record:
    """One Kafka record: raw bytes and where it stood. Not frozen, because it is made 40,000 times a second."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]

    @classmethod
    def of(cls, raw: "ConsumerRecord[bytes, bytes]") -> "Record":
        """The same record as aiokafka hands it out."""
        return cls(raw.topic, raw.partition, raw.offset, raw.timestamp, raw.key, raw.value, raw.headers)


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one or more partitions, each partition's in offset order, with the positions they move.

    `expected` is the offset each partition must stand at in the database before this batch, `next` after it. They
    differ from the records' own offsets where compaction or transactions left holes.
    """

    records: Sequence[Record]
    expected: Mapping[TopicPartition, int]
    next: Mapping[TopicPartition, int]

    def part(self, records: Sequence[Record]) -> "Batch":
        """The batch that holds only `records`, a leading part of this one in every partition.

        A partition moves to the first record left out, to its end when none is left out.
        """
        kept = {(record.topic, record.partition, record.offset) for record in records}
        following = dict(self.next)
        for record in reversed(self.records):
            if (record.topic, record.partition, record.offset) not in kept:
                following[TopicPartition(record.topic, record.partition)] = record.offset
        return Batch(records, self.expected, following)
