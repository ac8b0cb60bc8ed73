"""Completing activities of tools that send ids alone: read from the topic, asked at the tool, published as a second
activity of the same person.

What is to be asked stands on `lead-activities`, where the delivery made it durable: nothing is forgotten when the
process dies, and no delivery waits for a tool's API. See docs/decisions/0007-fetching.md.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.ingest.calls import Caller, Gone, NoAnswer
from services.ingest.durable import Durable, NotDurable, OutgoingRecord
from services.ingest.intake import record_of
from services.ingest.settings import IngestSettings
from services.ingest.sources.base import Ignored, NotUnderstood, Posted, Unreadable
from services.ingest.sources.config import Source
from services.ingest.sources.fetchers import FETCHERS
from services.ingest.sources.fetching import FetchOptions, Question
from services.ingest.sources.receive import normalised
from shared.background import running
from shared.clock import Clock
from shared.codec import JsonFault, decode
from shared.errors import ConfigError
from shared.events import unpack_headers
from shared.kafka.client import answered, client_options
from shared.kafka.dead_letter import dead_letter
from shared.kafka.records import Record
from shared.outgoing import AddressRefused, Outgoing, Rules
from shared.telemetry import SOURCE_FETCHES
from shared.topics import LEAD_ACTIVITIES, dead_letter_topic

GROUP = "kizashi-ingest-fetching"
MAX_RECORDS = 500
POLL_MS = 500
COMMIT_EVERY_S = 2.0
PAUSE_S = 1.0
AT_ONCE = 4
"""Questions of one source under way at the same time."""

log = structlog.get_logger()


Count = Callable[[str, str], None]
"""Told the source and the outcome of each question."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A record of the topic and the question it raises."""

    record: Record
    activity: Mapping[str, Any]
    question: Question


class _Desk:
    """One source with its access to the tool."""

    def __init__(self, source: Source, access: FetchOptions, caller: Caller) -> None:
        self.source = source
        self.access = access
        self.caller = caller
        self.turns = asyncio.Semaphore(AT_ONCE)


class Fetching:
    """The loop that completes activities. One per process; the processes share the topic's partitions."""

    def __init__(
        self,
        settings: IngestSettings,
        sources: Mapping[str, Source],
        durable: Durable,
        clock: Clock,
        outgoing: Outgoing,
        count: Count,
    ) -> None:
        self._settings = settings
        self._durable = durable
        self._clock = clock
        self._count = count
        give_up_s = settings.ingest.fetch_give_up_s
        self._desks = {
            name.encode(): _Desk(source, source.fetch, Caller(source.fetch, outgoing, clock, give_up_s))
            for name, source in sources.items()
            if source.fetch is not None
        }

    async def run(self) -> None:
        """Read and ask until cancelled. Waits for Kafka where it is away."""
        while True:
            consumer = AIOKafkaConsumer(
                LEAD_ACTIVITIES.name,
                **client_options(self._settings.kafka),
                group_id=GROUP,
                enable_auto_commit=False,
                # What came before the tool could be asked is completed too.
                auto_offset_reset="earliest",
                max_poll_interval_ms=3_600_000,
            )
            try:
                await consumer.start()
                await self._read(consumer)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                log.warning("fetching_waits", problem="the Kafka client gave up one of its own tasks")
            except (KafkaError, OSError) as error:
                log.warning("fetching_waits", problem=type(error).__name__)
            except Exception:
                # Whatever it is, the deliveries of all tools must not end with it.
                log.exception("fetching_failed")
            finally:
                # A member that cannot say goodbye is missed by the group soon enough; deliveries must not suffer.
                with suppress(KafkaError, OSError):
                    await answered(consumer.stop())
            await asyncio.sleep(PAUSE_S)

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        committed_at = time.monotonic()
        while True:
            fetched = await consumer.getmany(timeout_ms=POLL_MS, max_records=MAX_RECORDS)
            # Most records are of other sources: they cost no more than a look at a header.
            own = [raw for records in fetched.values() for raw in records if _source_of(raw.headers) in self._desks]
            worked = await self.handle([Record.of(raw) for raw in own])
            if fetched and (worked or time.monotonic() - committed_at > COMMIT_EVERY_S):
                following = {TopicPartition(*tp): records[-1].offset + 1 for tp, records in fetched.items()}
                await answered(consumer.commit(following))
                committed_at = time.monotonic()

    async def handle(self, records: Sequence[Record]) -> int:
        """Ask everything that `records` raise, and publish what comes of it. Returns how many questions there were.

        May be called again with the same records: the ids of completing activities make them count once.
        """
        asked = self._asked(records)
        async with asyncio.TaskGroup() as group:
            for name, questions in asked.items():
                for question in questions.values():
                    group.create_task(self._complete(self._desks[name], question))
        return sum(len(questions) for questions in asked.values())

    def _asked(self, records: Sequence[Record]) -> dict[bytes, dict[str, Asked]]:
        """Questions by source and URL: of several with one answer, the last is asked."""
        asked: dict[bytes, dict[str, Asked]] = defaultdict(dict)
        for record in records:
            name = _source_of(record.headers)
            desk = self._desks.get(name)
            if desk is None:
                continue
            found = _question(record, desk)
            if found is not None:
                asked[name][found.question.url] = found
        return asked

    async def _complete(self, desk: _Desk, asked: Asked) -> None:
        name = desk.source.name
        async with desk.turns:
            try:
                answer = await desk.caller.ask(asked.question)
                record = self._completing(desk.source, asked, answer)
                outcome = "completed" if record else "ignored"
            except Gone:
                record, outcome = None, "gone"
            except (NoAnswer, Unreadable) as error:
                record, outcome = _dead(asked.record, f"fetch: {error}"), "failed"
                log.warning("fetch_failed", source=name, reason=str(error))
        if record is not None:
            await self._publish(record)
        SOURCE_FETCHES.labels(name, outcome).inc()
        self._count(name, outcome)

    def _completing(self, source: Source, asked: Asked, answer: Any) -> OutgoingRecord | None:
        try:
            item = FETCHERS[source.adapter.name].read(asked.activity, answer, source.options)
        except Unreadable:
            raise
        except Exception as error:
            # An answer nobody thought of must not end the process that takes deliveries, again and again.
            log.exception("fetch_reader_failed", source=source.name)
            raise Unreadable(f"the answer cannot be read ({type(error).__name__})") from error
        if isinstance(item, Ignored):
            return None
        taken = normalised(item, 0, self._clock(), source.options) if isinstance(item, Posted) else item
        if isinstance(taken, NotUnderstood):
            raise Unreadable(taken.reason)
        return record_of(taken.activity, self._settings.identity_key, _trace(asked.record))

    async def _publish(self, record: OutgoingRecord) -> None:
        while True:
            try:
                await self._durable.publish([record])
            except NotDurable:
                await asyncio.sleep(PAUSE_S)
            else:
                return


def topics_of(sources: Mapping[str, Source]) -> list[str]:
    """The topics that completing activities writes to besides `lead-activities`."""
    return [dead_letter_topic(LEAD_ACTIVITIES.name)] if any(source.fetch for source in sources.values()) else []


def check_access(sources: Mapping[str, Source], rules: Rules) -> None:
    """See to it that every API may be called. Raises ConfigError."""
    for name, source in sources.items():
        if source.fetch is not None:
            try:
                rules.target(source.fetch.api)
            except AddressRefused as error:
                raise ConfigError(f"sources.yaml: webhooks/{name}/fetch/api", str(error)) from None


@asynccontextmanager
async def completing(
    settings: IngestSettings, sources: Mapping[str, Source], durable: Durable, clock: Clock, count: Count
) -> AsyncIterator[None]:
    """Complete activities while the body runs, if any source wants it."""
    if not topics_of(sources):
        yield
        return
    outgoing = Outgoing(Rules.of(settings.outgoing.allow))
    try:
        async with running(Fetching(settings, sources, durable, clock, outgoing, count).run):
            yield
    finally:
        await outgoing.aclose()


def _question(record: Record, desk: _Desk) -> Asked | None:
    source = desk.source
    try:
        activity = decode(record.value or b"")
    except JsonFault:
        return None
    if not isinstance(activity, dict):
        return None
    question = FETCHERS[source.adapter.name].ask(activity, source.options, desk.access)
    return Asked(record, activity, question) if question else None


def _source_of(headers: Sequence[tuple[str, bytes]]) -> bytes:
    return next((value for header, value in headers if header == "ce_source"), b"")


def _trace(record: Record) -> list[tuple[str, bytes]]:
    return [(name, value) for name, value in record.headers if name in ("x-request-id", "traceparent")]


def _dead(record: Record, reason: str) -> OutgoingRecord:
    """The record for the dead-letter topic: replayed from there it counts no second time, and is asked about again."""
    row = dead_letter(record, reason)
    key, value = row.key or b"", row.value or b""
    headers = unpack_headers(row.headers)
    size = len(key) + len(value) + sum(len(name) + len(value) for name, value in headers)
    return OutgoingRecord(row.topic, key, value, headers, size)
