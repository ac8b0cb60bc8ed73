"""Fetched records become batches: what was handled before is left out, and what came later follows."""

from aiokafka import TopicPartition

from shared.kafka.records import Fetched, Record

ONE, TWO = TopicPartition("t", 1), TopicPartition("t", 2)


def records(tp: TopicPartition, *offsets: int) -> list[Record]:
    return [Record(tp.topic, tp.partition, offset, 0, None, b"", []) for offset in offsets]


def places(batch_records: object) -> list[tuple[int, int]]:
    return [(record.partition, record.offset) for record in batch_records]  # type: ignore[attr-defined]


def test_what_was_fetched_later_follows_in_each_partition() -> None:
    first, more = Fetched({TWO: records(TWO, 5)}, 1), Fetched({ONE: records(ONE, 7), TWO: records(TWO, 6)}, 2)
    both = first.with_more(more)
    assert (both.count, both.resumed) == (3, 1)
    batch = both.batch({ONE: 7, TWO: 5})
    assert batch is not None
    assert places(batch.records) == [(1, 7), (2, 5), (2, 6)]
    assert (batch.expected, batch.next) == ({ONE: 7, TWO: 5}, {ONE: 8, TWO: 7})


def test_what_was_handled_before_and_what_is_not_ours_is_left_out() -> None:
    fetched = Fetched({ONE: records(ONE, 3, 4, 9), TWO: records(TWO, 1)}, 0)
    batch = fetched.batch({ONE: 4})
    assert batch is not None
    assert places(batch.records) == [(1, 4), (1, 9)]
    assert (batch.expected, batch.next) == ({ONE: 4}, {ONE: 10})
    assert fetched.batch({ONE: 10}) is None
    assert Fetched({}, 0).batch({ONE: 0}) is None
