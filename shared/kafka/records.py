"""Records as the consumers of this project see them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
    content: Any = None
    """What a handler has read in it ahead of time."""

    @classmethod
    def of(cls, raw: "ConsumerRecord[bytes, bytes]") -> "Record":
        """The same record as aiokafka hands it out."""
        return cls(raw.topic, raw.partition, raw.offset, raw.timestamp, raw.key, raw.value, raw.headers)


@dataclass(frozen=True, slots=True)
class Fetched:
    """Records by partition as Kafka gave them; `resumed` is how often positions had been set when they were taken."""

    records: Mapping[TopicPartition, Sequence[Record]]
    resumed: int

    @classmethod
    def of(cls, raw: "Mapping[TopicPartition, Sequence[ConsumerRecord[bytes, bytes]]]", resumed: int) -> "Fetched":
        """The same records as aiokafka hands them out."""
        return cls({tp: list(map(Record.of, raw[tp])) for tp in sorted(raw)}, resumed)

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(map(len, self.records.values()))

    def with_more(self, more: "Fetched") -> "Fetched":
        """These, and then those that were fetched after them."""
        partitions = sorted({*self.records, *more.records})
        together = {tp: [*self.records.get(tp, ()), *more.records.get(tp, ())] for tp in partitions}
        return Fetched(together, self.resumed)

    def batch(self, positions: Mapping[TopicPartition, int]) -> "Batch | None":
        """Those in partitions that have a position, from there on: what lies below was handled before."""
        records: list[Record] = []
        expected, following = {}, {}
        for tp, found in self.records.items():
            at = positions.get(tp)
            fresh = [record for record in found if at is not None and record.offset >= at]
            if at is not None and fresh:
                records += fresh
                expected[tp] = at
                following[tp] = fresh[-1].offset + 1
        return Batch(records, expected, following) if records else None


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one or more partitions, each partition's in offset order, with the positions they move.

    `expected` is the offset each partition must stand at in the database before this batch, `next` after it. They
    differ from the records' own offsets where compaction or transactions left holes.
    """

    records: Sequence[Record]
    expected: Mapping[TopicPartition, int]
    next: Mapping[TopicPartition, int]

    def halves(self) -> tuple["Batch", "Batch"]:
        """The same work in two batches, to be handled one after the other; needs at least two records.

        A partition moves with the first half to the first of its records that the second half holds.
        """
        middle = len(self.records) // 2
        first, second = self.records[:middle], self.records[middle:]
        between = dict(self.next)
        for record in reversed(second):
            between[TopicPartition(record.topic, record.partition)] = record.offset
        return Batch(first, self.expected, between), Batch(second, between, self.next)
