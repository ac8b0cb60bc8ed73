"""The one consumer loop of this project.

Positions live in PostgreSQL and move in the transaction that does the work (shared/offsets.py). Kafka's own group only
shares out the partitions, and its committed offsets are a hint for lag tools.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Protocol, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from shared.errors import KizashiError, reason
from shared.kafka.client import answered, client_options
from shared.kafka.records import Batch, Fetched, Record
from shared.kafka.rivals import Rivals
from shared.offsets import Fenced
from shared.postgres import is_transient
from shared.settings import KafkaSettings
from shared.waiting import Backoff

MAX_RECORDS = 6_000
POLL_MS = 200
COMMIT_EVERY_S = 1.0
METADATA_AGE_MS = 5_000
"""A broker that has just started can answer before it knows its topics. The leader of a group then shares out nothing,
and would ask again after five minutes by aiokafka's default.
"""
STUCK_AFTER_S, CONFIRMED_AFTER_S = 30.0, 5.0

T = TypeVar("T")
Prepare = Callable[[Sequence[Record]], Awaitable[None]]
"""Gets records that will be handled next, while the batch before them is; whatever it does has to give way often."""

log = structlog.get_logger()


class BatchHandler(Protocol):
    """What a service does with the records of its topics."""

    async def load_positions(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The offset to read next, from the service's database, for those partitions that were read before."""

    async def begin_positions(self, positions: Mapping[TopicPartition, int]) -> None:
        """Note where partitions begin that were never read before."""

    async def handle(self, batch: Batch) -> None:
        """Do the whole work of `batch` in one transaction that also moves its positions.

        May be called again with the same records after any failure. Raises Fenced when the positions were moved by
        another process; what `is_transient` knows is tried again; anything else ends the process.
        """


class StuckError(KizashiError):
    """There are records to read, but none arrive: the process ends so that a fresh one reads on."""


class ConsumerLoop(ConsumerRebalanceListener):  # type: ignore[misc]
    """Reads `topics` as a member of `group` and gives the records to `handler`, batch after batch.

    While one batch is handled the next is fetched, and given to `prepare`.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        topics: Sequence[str],
        group: str,
        handler: BatchHandler,
        *,
        instance: str | None = None,
        max_records: int = MAX_RECORDS,
        prepare: Prepare | None = None,
    ) -> None:
        self._topics = list(topics)
        self.group = group
        self._handler = handler
        self._max_records = max_records
        self._prepare = prepare
        self._options = {
            **client_options(kafka),
            "group_id": group,
            "group_instance_id": instance,
            "enable_auto_commit": False,
            "auto_offset_reset": "none",
            "heartbeat_interval_ms": 500,
            "session_timeout_ms": 6_000,
            "max_poll_interval_ms": 300_000,
            "fetch_max_wait_ms": 100,
            "max_partition_fetch_bytes": 1_048_576,
            "metadata_max_age_ms": METADATA_AGE_MS,
        }
        self._consumer: AIOKafkaConsumer | None = None
        self._held: set[TopicPartition] = set()
        self._rivals = Rivals(group, instance)
        self._positions: dict[TopicPartition, int] = {}
        self._lost_positions = False
        self._resumed = 0
        self._committed_at = 0.0
        self._progress_at = time.monotonic()
        self._without_since: float | None = None
        self._behind: Mapping[TopicPartition, int] = {}
        self.polled_at = 0.0
        self._waits_for: str | None = "not started"

    @property
    def problem(self) -> str | None:
        """What is wrong now, None where it reads."""
        return self._waits_for or self._rivals.problem()

    @property
    def positions(self) -> Mapping[TopicPartition, int]:
        """The offset each partition in hand is read at next."""
        return self._positions

    def lag(self) -> dict[TopicPartition, int]:
        """Records that wait in each partition in hand, as far as the last fetch told."""
        if self._consumer is None:
            return {}
        assigned = self._consumer.assignment()
        return {
            tp: max(0, (self._consumer.highwater(tp) or at) - at)
            for tp, at in self._positions.items()
            if tp in assigned
        }

    async def run(self) -> None:
        """Read until cancelled. Servers that are away are waited for; `problem` says so meanwhile.

        Raises StuckError, and whatever the handler raised that is not transient.
        """
        backoff = Backoff()
        while True:
            consumer = AIOKafkaConsumer(**self._options)
            try:
                await consumer.start()
                self._consumer = consumer
                consumer.subscribe(self._topics, listener=self)
                self._without_since = time.monotonic()
                await self._read(consumer)
            except OffsetOutOfRangeError as error:
                raise KizashiError(
                    f"Kafka does not hold the position this database stands at ({error}): it was restored, emptied or"
                    " kept too little. Nothing was skipped; follow docs/backup.md."
                ) from error
            except (KafkaError, OSError) as error:  # OSError: connections, and answers that did not come in time
                self._waits_for = f"kafka: {reason(error)}"
                log.warning("kafka_away", problem=self._waits_for, retry_in_s=backoff.next_s)
                await backoff.pause()
            finally:
                self._consumer = None
                self._held.clear()
                self._positions.clear()
                await self._stop(consumer)

    @staticmethod
    async def _stop(consumer: AIOKafkaConsumer) -> None:
        """Leave the group. Raises StuckError where that takes longer than Kafka's answer may: aiokafka's own `stop` can
        wait for a broker without end and ignores being cancelled, so that only a new process gets rid of it.
        """
        try:
            await answered(consumer.stop())
        except TimeoutError as error:
            raise StuckError("the consumer cannot leave its group") from error
        except (KafkaError, OSError) as error:
            log.info("left_without_goodbye", problem=type(error).__name__)

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        ahead: asyncio.Task[Fetched] | None = None
        try:
            while True:
                if self._lost_positions:
                    await _drop(ahead)
                    ahead = None
                    await self._resume(frozenset(self._held))
                fetched, ahead = await (ahead or self._fetch(consumer)), None
                batch = self._batch(await self._filled_up(consumer, fetched))
                if batch is not None:
                    ahead = asyncio.create_task(self._fetch(consumer))
                    await self._handle(batch)
                await self._commit_hint(consumer)
                await self._check_progress(consumer)
        finally:
            await _drop(ahead)

    async def _fetch(self, consumer: AIOKafkaConsumer, *, wait_ms: int = POLL_MS, most: int | None = None) -> Fetched:
        """The next records, of which the handler has seen what is in them. Raises OSError where the group gives nothing
        out: until it has done so once, aiokafka waits without end.
        """
        try:
            async with asyncio.timeout(STUCK_AFTER_S):
                raw = await consumer.getmany(timeout_ms=wait_ms, max_records=most or self._max_records)
        except TimeoutError:
            raise _given_nothing() from None
        except NoOffsetForPartitionError:
            # The fetcher looked for a position before the rebalance listener had set it.
            self._lost_positions = True
            return Fetched({}, self._resumed)
        self.polled_at = time.monotonic()
        fetched = Fetched.of(raw, self._resumed)
        if self._prepare is not None:
            for records in fetched.records.values():
                await self._prepare(records)
        return fetched

    async def _filled_up(self, consumer: AIOKafkaConsumer, fetched: Fetched) -> Fetched:
        """With what came while the batch before was handled, as far as there is room: batches grow under load."""
        room = self._max_records - fetched.count
        if room <= 0 or not fetched.records:
            return fetched
        return fetched.with_more(await self._fetch(consumer, wait_ms=0, most=room))

    def _batch(self, fetched: Fetched) -> Batch | None:
        """The fetched records this process may handle."""
        if fetched.resumed != self._resumed and fetched.records:
            # Positions were set since: what lies between them and these records may be missing.
            self._lost_positions = True
            return None
        return fetched.batch(self._positions)

    async def _handle(self, batch: Batch) -> None:
        backoff = Backoff()
        while True:
            try:
                await self._handler.handle(batch)
            except Fenced as error:
                log.warning("positions_moved", detail=str(error))
                self._lost_positions = True
                return
            except Exception as error:
                if not is_transient(error):
                    raise
                self._waits_for = f"postgres: {reason(error)}"
                log.warning("postgres_away", problem=type(error).__name__, retry_in_s=backoff.next_s)
                await backoff.pause()
                if await self._moved_since(batch):
                    self._lost_positions = True
                    return
            else:
                self._progress_at = time.monotonic()
                self._waits_for = None
                self._positions.update((tp, at) for tp, at in batch.next.items() if tp in self._positions)
                return

    async def _moved_since(self, batch: Batch) -> bool:
        """Whether the commit that seemed to fail had in fact happened, or the partitions have gone elsewhere."""
        if any(tp not in self._positions for tp in batch.expected):
            return True
        try:
            now = await self._handler.load_positions(list(batch.expected))
        except Exception as error:
            if not is_transient(error):
                raise
            return False
        return any(now.get(tp) != at for tp, at in batch.expected.items())

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Forget the positions; work in hand may still commit, since the database decides who moves them.

        The client names the old assignment until there is a new one, so what is held is noted here.
        """
        self._without_since = time.monotonic()
        for tp in revoked:
            self._held.discard(tp)
            self._positions.pop(tp, None)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Go to the positions of the database before the first record is taken."""
        self._rivals.note_assignment()
        self._held = set(assigned)
        unnamed = () if assigned else self._unnamed()
        if not unnamed:
            self._without_since = None
        if not assigned:
            # Where there are fewer partitions than members, this one stands by.
            self._waits_for = f"kafka: it names no partitions of {', '.join(unnamed)}" if unnamed else None
        try:
            await self._resume(assigned)
        except Exception as error:
            # The client would write it to its log and go on without positions; the reading task meets it again.
            log.warning("positions_not_read", problem=type(error).__name__)
            self._lost_positions = True

    def _unnamed(self) -> Sequence[str]:
        """Topics of which Kafka named no partitions when it was last asked."""
        consumer = self._consumer
        return [topic for topic in self._topics if consumer is not None and not consumer.partitions_for_topic(topic)]

    async def _resume(self, partitions: Collection[TopicPartition]) -> None:
        consumer = self._consumer
        if consumer is None or not partitions:
            return
        # Without this, records at Kafka's own position are handed out while the database is asked.
        consumer.pause(*partitions)
        positions = await self._load(consumer, partitions)
        for tp, at in positions.items():
            # Taken away again while the database was asked.
            if tp in self._held and tp in consumer.assignment():
                consumer.seek(tp, at)
                self._positions[tp] = at
        self._resumed += 1
        self._lost_positions = False
        self._progress_at = time.monotonic()
        self._waits_for = None
        consumer.resume(*(tp for tp in partitions if tp in consumer.assignment()))

    async def _load(
        self, consumer: AIOKafkaConsumer, partitions: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        backoff = Backoff()
        while True:
            try:
                known = await self._handler.load_positions(partitions)
                new = [tp for tp in partitions if tp not in known]
                if not new:
                    return known
                await self._handler.begin_positions(await consumer.beginning_offsets(new))
            except Exception as error:
                if not is_transient(error):
                    raise
                self._waits_for = f"postgres: {reason(error)}"
                await backoff.pause()

    async def _commit_hint(self, consumer: AIOKafkaConsumer) -> None:
        if time.monotonic() - self._committed_at < COMMIT_EVERY_S or not self._positions:
            return
        self._committed_at = time.monotonic()
        offsets = {tp: at for tp, at in self._positions.items() if tp in consumer.assignment()}
        try:
            # Without a limit it waits for a coordinator that a restarted broker may never name again.
            await answered(consumer.commit(offsets))
        except CommitFailedError:
            # Another member holds these partitions by now; the rebalance that tells us so is on its way.
            log.info("commit_hint_refused", partitions=len(self._positions))
            self._lost_positions = True

    async def _check_progress(self, consumer: AIOKafkaConsumer) -> None:
        """aiokafka can stay connected without reading on after a broker restart (its issue 1154).

        Raises StuckError where a new process is needed, OSError where a new consumer is enough.
        """
        without = self._without_since
        if without is not None and time.monotonic() - without > STUCK_AFTER_S:
            raise _given_nothing()
        if time.monotonic() - self._progress_at < STUCK_AFTER_S or not self._positions:
            return
        self._progress_at = time.monotonic()
        ends = await answered(consumer.end_offsets(list(self._positions)))
        behind = {tp: at for tp, at in self._positions.items() if ends.get(tp, at) > at}
        if any(self._behind.get(tp) == at for tp, at in behind.items()):
            raise StuckError(f"records wait, but none arrived for {STUCK_AFTER_S:.0f} s")
        # One that was written while this was asked is on its way, and nothing hangs: look once more in a moment.
        self._behind = behind
        if behind:
            self._progress_at -= STUCK_AFTER_S - CONFIRMED_AFTER_S

    async def watch(self) -> None:
        """Run beside `run`: raises StuckError when the loop hangs in a call that never answers."""
        while True:
            await asyncio.sleep(1.0)
            silent_s = time.monotonic() - self.polled_at
            if self.polled_at and self.problem is None and silent_s > 2 * STUCK_AFTER_S:
                raise StuckError(f"Kafka was not asked for {silent_s:.0f} s")


def _given_nothing() -> OSError:
    return OSError(f"no partitions were given out for {STUCK_AFTER_S:.0f} s")


async def _drop(ahead: "asyncio.Task[Fetched] | None") -> None:
    """Fetch no further; what was fetched is forgotten."""
    if ahead is not None:
        ahead.cancel()
        await asyncio.wait({ahead})
        if not ahead.cancelled():
            ahead.exception()  # asked for, so that nobody complains that it was not
