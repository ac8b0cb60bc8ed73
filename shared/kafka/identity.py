"""An idempotent producer that goes on under the identity of its predecessor.

A broker remembers, per producer id and partition, the sequences of the last five batches: a batch sent again under the
same sequence is answered with its old offset and not written again. A relay that keeps its identity in the database can
therefore repeat, after any crash, the very round it may or may not have sent, and no reader sees it twice.

aiokafka has no public way to set an identity; the two private names used here are pinned by a test.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition

from shared.kafka.client import client_options
from shared.kafka.compression import compression_type
from shared.settings import KafkaSettings
from shared.topics import MAX_MESSAGE_BYTES

MAX_BATCH_BYTES = 900_000
"""Below the broker's default limit of 1 MiB a batch, with room for the batch's own header."""


@dataclass(frozen=True, slots=True)
class ProducerIdentity:
    """What the broker knows a producer by, and the next sequence of each partition it wrote to."""

    producer_id: int
    epoch: int
    sequences: Mapping[TopicPartition, int]


async def start_producer(kafka: KafkaSettings, identity: ProducerIdentity | None) -> AIOKafkaProducer:
    """A started producer, under `identity` or, without one, under a fresh one from the broker.

    Raises KafkaError when Kafka cannot be reached.
    """
    producer = AIOKafkaProducer(
        **client_options(kafka),
        acks="all",
        enable_idempotence=True,
        # zstd would leave half of it in the same time, but subscribers on Node.js before 22.15 cannot read that.
        compression_type=compression_type("lz4"),
        max_batch_size=MAX_BATCH_BYTES,
        max_request_size=MAX_MESSAGE_BYTES,
        request_timeout_ms=10_000,
    )
    if identity is not None:
        manager: Any = producer._txn_manager
        manager.set_pid_and_epoch(identity.producer_id, identity.epoch)
        manager._sequence_numbers.update(identity.sequences)
    try:
        await producer.start()
    except BaseException:
        await abandon(producer)
        raise
    return producer


def identity_of(producer: AIOKafkaProducer) -> ProducerIdentity:
    """The identity and the sequences `producer` stands at now."""
    manager: Any = producer._txn_manager
    return ProducerIdentity(manager.producer_id, manager.producer_epoch, dict(manager._sequence_numbers))


async def abandon(producer: AIOKafkaProducer) -> None:
    """End a producer without waiting for what it has not sent: its own `stop` waits for Kafka without end."""
    sender: Any = producer._sender
    if sender.sender_task is not None:
        sender.sender_task.cancel()
    await producer.client.close()
    producer._closed = True
