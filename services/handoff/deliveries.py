"""Published events to deliveries, one per destination that asks, in the transaction that moves past them."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import asyncpg
import structlog

from services.handoff.batch import judge_batch
from services.handoff.core.delivery import Event, State, Wish, standing
from services.handoff.core.rules import Rulebook
from services.handoff.core.states import LAPSED
from services.handoff.delivery_repository import DeliveryRepository
from services.handoff.handlers import Handler
from services.handoff.outcomes import Done
from services.handoff.settings import HandoffSettings
from services.handoff.tables import SCHEMA
from services.handoff.traces import Traces
from shared import codec, offsets
from shared.clock import Clock
from shared.events import ERASED
from shared.kafka.admin import ClusterView
from shared.kafka.records import Batch, Record
from shared.topics import HANDOFF_OUTCOMES, LEAD_LIFECYCLE, QUALIFIED_ACCOUNTS, QUALIFIED_LEADS

log = structlog.get_logger()


class DeliveryHandler(Handler):
    """Reads what handoff and scoring publish. What cannot be read stays where it is, on its topic, and is passed over:
    these topics are written by ourselves, and a replayed letter would be one record too many for their subscribers.
    """

    topics = (QUALIFIED_LEADS.name, QUALIFIED_ACCOUNTS.name, HANDOFF_OUTCOMES.name, LEAD_LIFECYCLE.name)

    def __init__(
        self,
        pool: asyncpg.Pool,
        settings: HandoffSettings,
        cluster: ClusterView,
        clock: Clock,
        book: Rulebook,
        *,
        wake: Callable[[], None],
    ) -> None:
        super().__init__(pool, settings, cluster, clock, book)
        self._wake = wake

    async def handle(self, batch: Batch) -> None:
        """See BatchHandler. Once it is committed, the sender of this process need not wait for its next look."""
        await super().handle(batch)
        self._wake()

    async def _work(self, conn: asyncpg.Connection, records: Sequence[Record]) -> Done:
        repository = DeliveryRepository(conn)
        wishes = await repository.wishes()
        events = [event for event in map(_read, records) if event is not None]
        erased = {lead_id for event in events if event.type == ERASED for lead_id in _erased_by(event)}
        # The tombstone on `lead-scores` does the same; whichever is read first, and again should that have been missed.
        published = (await judge_batch(conn, self._book, (), erased, self._clock())).published if erased else ()
        made = [item for event in events for item in _wanted(wishes, event)]
        if made:
            gone = erased | await Traces(conn).erased_among({event.lead_id for _, event, _ in made})
            await repository.add([item for item in made if not _is_about(item[1], gone)], self._clock())
        return Done(published)

    async def _bury(self, batch: Batch, reason: str) -> None:
        async with self._pool.acquire() as conn, conn.transaction():
            await offsets.advance(conn, SCHEMA, batch)
        record = batch.records[0]
        log.error(
            "event_not_delivered", topic=record.topic, partition=record.partition, offset=record.offset, why=reason
        )


def _erased_by(event: Event) -> set[str]:
    """The lead, and those that were merged into it."""
    merged = event.data.get("lead_ids")
    return {event.lead_id, *(one for one in (merged if isinstance(merged, list) else ()) if isinstance(one, str))}


def _is_about(event: Event, erased: set[str]) -> bool:
    """Whether an event tells of a person who was erased; that it was, and that nobody is to answer, do not."""
    return event.lead_id in erased and event.type != ERASED and event.data.get("outcome") != LAPSED


def _wanted(wishes: Sequence[Wish], event: Event) -> list[tuple[Wish, Event, State]]:
    found = [(wish, event, standing(wish, event)) for wish in wishes]
    return [(wish, event, state) for wish, event, state in found if state is not None]


def _read(record: Record) -> Event | None:
    headers = {name: value.decode("utf-8", "replace") for name, value in record.headers}
    try:
        data = codec.decode(record.value or b"", codec.MESSAGE_DEPTH)
        if not isinstance(data, dict) or codec.has_nul(headers["ce_id"]):
            raise codec.JsonFault("not an event")
        return Event(
            id=headers["ce_id"],
            source=headers["ce_source"],
            type=headers["ce_type"],
            time=headers["ce_time"],
            topic=record.topic,
            lead_id=(record.key or b"").decode("utf-8", "replace"),
            published_at=datetime.fromtimestamp(record.timestamp_ms / 1_000, UTC),
            value=record.value or b"",
            data=data,
        )
    except (codec.JsonFault, KeyError) as error:
        log.warning(
            "event_not_read", topic=record.topic, partition=record.partition, offset=record.offset, why=repr(error)
        )
        return None
