"""The real servers come back after kill -9 on the same port, with what they had acknowledged."""

import asyncio
import os
import signal
import uuid
from collections.abc import Callable

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.local.probes import kafka_answers, postgres_answers
from deploy.local.supervisor import Supervised
from tests.conftest import KafkaServer, PostgresServer
from tests.integration.local.waiting import wait_for


def kill_and_wait(process: Supervised, answers: Callable[[], bool]) -> None:
    before = process.pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: process.pid not in {before, None} and answers())


async def test_kafka_keeps_acknowledged_records_over_kill(kafka_server: KafkaServer) -> None:
    topic = f"kept-{uuid.uuid4().hex}"
    host, port = kafka_server.bootstrap_servers.split(":")
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_server.bootstrap_servers)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=kafka_server.bootstrap_servers, acks="all") as producer:
        for number in range(100):
            await producer.send_and_wait(topic, str(number).encode(), partition=0)

    kill_and_wait(kafka_server.process, lambda: kafka_answers(host, int(port)))

    async with AIOKafkaConsumer(bootstrap_servers=kafka_server.bootstrap_servers) as consumer:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        values = [int((await consumer.getone()).value or b"") for _ in range(100)]
    assert values == list(range(100))


async def test_postgres_keeps_committed_rows_over_kill(postgres_server: PostgresServer, database: str) -> None:
    connection = await asyncpg.connect(database)
    await connection.execute("CREATE TABLE kept (id integer)")
    await connection.execute("INSERT INTO kept SELECT generate_series(1, 1000)")
    # A backend that is busy does not notice the death of the main process; left alone, it blocks the next start.
    busy = await asyncpg.connect(database)
    running = asyncio.create_task(busy.execute("SELECT sum(i) FROM generate_series(1, 100000000000) i"))
    while not await connection.fetchval(  # noqa: ASYNC110 - another process is to be seen at work
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()"
    ):
        await asyncio.sleep(0.01)

    port = postgres_server.program.port
    await asyncio.to_thread(kill_and_wait, postgres_server.process, lambda: postgres_answers("127.0.0.1", port))

    with pytest.raises((asyncpg.PostgresError, OSError)):
        await running
    connection.terminate()

    again = await asyncpg.connect(database)
    try:
        assert await again.fetchval("SELECT count(*) FROM kept") == 1000
    finally:
        await again.close()


async def test_each_test_has_an_empty_database(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        tables = await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        durable = [await connection.fetchval(f"SHOW {name}") for name in ("fsync", "synchronous_commit")]
    finally:
        await connection.close()
    assert tables == 0
    assert durable == ["on", "on"]
