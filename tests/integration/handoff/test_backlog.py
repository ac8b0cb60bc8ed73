"""What runs wait for, on a real Kafka and PostgreSQL: all partitions judged, whoever has them or was stopped."""

import asyncio
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
import orjson
import pytest
from aiokafka import TopicPartition

from services.handoff.backlog import Backlog
from services.handoff.handlers import end_offsets
from services.handoff.tables import SCHEMA
from shared import offsets
from shared.clock import to_rfc3339
from shared.kafka.admin import ClusterView
from shared.settings import KafkaSettings
from tests.conftest import PARTITIONS
from tests.integration.handoff.service import Stack
from tests.unit.handoff.builders import body, day

RULES = """
rules:
  - id: timed
    enter: 50
    to: desk
    when: {{every: "MON-SUN {every}", timezone: UTC}}
    require: {{all: [{{field: attributes.test, equals: "{test}"}}]}}
"""
TOPIC = "lead-scores"
CLUSTER = ClusterView("cluster")


@dataclass
class Table:
    """The table of positions, and a wait for what stands in Kafka."""

    pool: asyncpg.Pool
    kafka: KafkaSettings

    def backlog(self, **changes: str) -> Backlog:
        return Backlog(self.pool, self.kafka.model_copy(update=changes), CLUSTER)

    async def judge(self, but: int | None = None) -> None:
        """Move all positions to the ends as they are, but that of one partition."""
        ends = await end_offsets(self.kafka, [TopicPartition(TOPIC, number) for number in range(PARTITIONS)])
        async with self.pool.acquire() as conn:
            await offsets.begin_at(conn, SCHEMA, dict.fromkeys(ends, 0), CLUSTER)
        await self.pool.executemany(
            "UPDATE handoff.consumer_offset SET next_offset = $2 WHERE partition = $1",
            [(tp.partition, end) for tp, end in ends.items() if tp.partition != but],
        )


@pytest.fixture
async def table(stack: Stack, migrated: str) -> AsyncIterator[Table]:
    await stack.write([(str(uuid.uuid4()), b"{}") for _ in range(40)])
    pool = await asyncpg.create_pool(migrated, min_size=0)
    yield Table(pool, stack.kafka)
    await pool.close()


async def test_the_positions_of_all_partitions_decide(table: Table, stack: Stack) -> None:
    backlog = table.backlog()
    assert await backlog.judged(day(1)) is None
    await table.judge(but=2)
    assert await backlog.judged(day(2)) is None
    await table.judge()
    # What comes later is nothing to wait for.
    await stack.write([(str(uuid.uuid4()), b"{}") for _ in range(40)])
    assert await backlog.judged(day(3)) == day(1)
    assert await backlog.judged(day(4)) is None
    await table.judge()
    assert await backlog.judged(day(5)) == day(4)


async def test_partitions_with_nothing_in_them_are_not_waited_for(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def empty(_: KafkaSettings, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    monkeypatch.setattr("services.handoff.backlog.end_offsets", empty)
    assert await table.backlog().judged(day(1)) == day(1)


async def test_what_nobody_judges_is_left_behind_once_nothing_moves(
    table: Table, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr("services.handoff.backlog.monotonic", lambda: now[0])
    backlog = table.backlog()
    assert await backlog.judged(day(1)) is None
    now[0] = 59
    assert await backlog.judged(day(1)) is None
    await table.judge(but=2)
    now[0] = 118
    assert await backlog.judged(day(1)) is None
    now[0] = 179
    assert await backlog.judged(day(1)) == day(1)
    assert "runs_without_backlog" in capsys.readouterr().out


async def test_while_kafka_is_away_the_wait_goes_on(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("services.handoff.backlog.monotonic", lambda: now[0])
    backlog, there = table.backlog(bootstrap_servers="127.0.0.1:9"), table.kafka
    assert await backlog.judged(day(1)) is None
    now[0] = 1_000
    assert await backlog.judged(day(2)) is None
    backlog._kafka = there
    assert await backlog.judged(day(2)) is None
    backlog._kafka = there.model_copy(update={"bootstrap_servers": "127.0.0.1:9"})
    now[0] = 2_000
    assert await backlog.judged(day(2)) is None
    await table.judge()
    assert await backlog.judged(day(3)) == day(1)


@pytest.fixture
async def conn(stack: Stack) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the database of the stack."""
    connection = await asyncpg.connect(stack.database)
    yield connection
    await connection.close()


async def until_found(conn: asyncpg.Connection, query: str) -> None:
    deadline = time.monotonic() + 60
    while not await conn.fetch(query):
        assert time.monotonic() < deadline, query
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
async def test_a_run_takes_what_stands_in_partitions_of_a_process_that_is_gone(
    stack: Stack, conn: asyncpg.Connection, how: signal.Signals
) -> None:
    """Its mark is put back once there is something to take, so that the test need not wait for a full minute."""
    at = datetime.now(UTC).replace(second=0, microsecond=0)
    test = uuid.uuid4().hex  # the topic holds the leads of other tests too
    stack.write_rules(RULES.format(every=f"{at:%H:%M}", test=test))
    gone = stack.start()
    await stack.ready()
    stack.start()
    await stack.ready()
    await until_found(conn, "SELECT FROM handoff.schedule_mark")
    await stack.drained()
    await asyncio.sleep(3)  # until the partitions are shared
    os.kill(gone.pid, how)
    leads = [str(uuid.uuid4()) for _ in range(60)]
    crossed_at = to_rfc3339(at - timedelta(seconds=1))
    states = [body(52, lead_id=lead, evaluated_at=crossed_at, attributes={"test": test}) for lead in leads]
    await stack.write([(one["lead_id"], orjson.dumps(one)) for one in states])
    await conn.execute("UPDATE handoff.schedule_mark SET checked_until = $1", at - timedelta(hours=1))
    await until_found(conn, "SELECT FROM handoff.extraction WHERE state = 'completed'")
    assert await conn.fetchval("SELECT sum(count) FROM handoff.extraction") == 60
