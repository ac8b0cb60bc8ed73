"""Handoff after a restored server: no cycle that subscribers have seen is raised again."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import orjson
from aiokafka import ConsumerRecord

from services.handoff.accounts import take_in
from services.handoff.batch import judge_batch
from services.handoff.core.crossing import RuleMemory
from services.handoff.core.handoff import Handoff, Step
from services.handoff.core.judging import LeadMemory
from services.handoff.core.ledger import Entry, Ledger
from services.handoff.core.origin import origin_of
from services.handoff.core.rules import Rulebook
from services.handoff.core.states import QUALIFIED as HANDED_OVER
from services.handoff.core.states import is_closed
from services.handoff.repository import HandoffRepository
from services.handoff.settings import HandoffSettings
from services.handoff.tables import SCHEMA
from shared import outbox
from shared.clock import Clock, from_rfc3339
from shared.events import ERASED, OutboxRow
from shared.recovery import alone, end_due, event_id, forget_positions, forget_producer, forget_published, records_of
from shared.topics import HANDOFF_OUTCOMES, LEAD_LIFECYCLE, QUALIFIED_ACCOUNTS, QUALIFIED_LEADS

BY = "kizashi"
AT_ONCE = 500
_PUBLISHED = (QUALIFIED_LEADS.name, HANDOFF_OUTCOMES.name, QUALIFIED_ACCOUNTS.name)
CLOSE_AFTER = timedelta(days=90)
"""For a rule that is no longer there."""


@dataclass(frozen=True, slots=True)
class HandoffRecovered:
    """How many handoffs and cycles of accounts subscribers knew and the database did not, how many outcomes, and how
    many events were waiting although they had been published.
    """

    handoffs: int
    outcomes: int
    already_published: int


@dataclass(slots=True)
class Seen:
    """What subscribers have seen: cycles, outcomes with their revisions, cycles of accounts, and who was erased."""

    published: set[tuple[str, str]] = field(default_factory=set)
    qualified: list[dict[str, Any]] = field(default_factory=list)
    outcomes: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    account_cycles: list[dict[str, Any]] = field(default_factory=list)
    erased: set[str] = field(default_factory=set)

    def take(self, topic: str, record: "ConsumerRecord[bytes, bytes]") -> None:
        """Note what a record tells."""
        id_ = event_id(record) or ""
        if topic in _PUBLISHED:
            self.published.add((topic, id_))
        if record.value is None:
            return
        if topic == LEAD_LIFECYCLE.name and dict(record.headers).get("ce_type") != ERASED.encode():
            return
        body = orjson.loads(record.value)
        if topic == QUALIFIED_LEADS.name:
            self.qualified.append(body)
        elif topic == HANDOFF_OUTCOMES.name:
            self.outcomes.append((int(id_.rpartition(":")[2]), body))
        elif topic == QUALIFIED_ACCOUNTS.name:
            self.account_cycles.append(body)
        else:
            self.erased |= {body["lead_id"], *body["lead_ids"]}


async def recover(settings: HandoffSettings, book: Rulebook, clock: Clock) -> HandoffRecovered:
    """Bring a database that was put back, or is empty, up to what stands in its Kafka; all of it or nothing, and as
    often as one likes. The service must not run. Raises KizashiError.
    """
    seen = Seen()
    for topic in (*_PUBLISHED, LEAD_LIFECYCLE.name):
        async for record in records_of(settings.kafka, topic):
            seen.take(topic, record)
    async with alone(settings.database, SCHEMA) as conn, conn.transaction():
        return await take_over(conn, settings, book, seen, clock())


async def take_over(
    conn: asyncpg.Connection, settings: HandoffSettings, book: Rulebook, seen: Seen, now: datetime
) -> HandoffRecovered:
    """Let the database know what was `seen`, in the transaction on `conn`."""
    unknown = await _unknown(conn, seen.qualified)
    accounts = await take_in(conn, seen.account_cycles)
    close_after = {rule.id: rule.close_after for rule in book.rules}
    await _take_in(conn, [_handoff(event, close_after) for event in unknown], unknown)
    await _note_collected(conn, [_handoff(event, close_after) for event in seen.qualified])
    applied = await _apply(conn, seen.outcomes)
    waiting = await forget_published(conn, SCHEMA, seen.published)
    lapsed = await _forget(conn, book, seen.erased, now)
    await outbox.append(conn, SCHEMA, lapsed, settings.kafka.partitions)
    await forget_producer(conn, SCHEMA)
    await end_due(conn, SCHEMA)
    return HandoffRecovered(len(unknown) + accounts, applied, waiting)


async def begin_with_new_kafka(settings: HandoffSettings) -> None:
    """Let a database go on with an empty Kafka."""
    async with alone(settings.database, SCHEMA) as conn, conn.transaction():
        await forget_producer(conn, SCHEMA)
        await forget_positions(conn, SCHEMA)
        await conn.execute("DELETE FROM handoff.first_start")
        await end_due(conn, SCHEMA)


async def _unknown(conn: asyncpg.Connection, qualified: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Each cycle once: a topic on which one stands twice must not keep a database from being put back."""
    rows = await conn.fetch("SELECT lead_id, rule, cycle FROM handoff.handoff")
    known = {tuple(row) for row in rows}
    cycles: dict[tuple[str, str, int], Mapping[str, Any]] = {}
    for event in qualified:
        cycles.setdefault((event["lead"]["id"], event["rule"], event["cycle"]), event)
    return [event for cycle, event in cycles.items() if cycle not in known]


async def _forget(conn: asyncpg.Connection, book: Rulebook, erased: Collection[str], now: datetime) -> list[OutboxRow]:
    """Forget people who were erased, before anything of theirs is read again."""
    published: list[OutboxRow] = []
    ordered = sorted(erased)
    for start in range(0, len(ordered), AT_ONCE):
        published += (await judge_batch(conn, book, (), ordered[start : start + AT_ONCE], now)).published
    return published


def _handoff(event: Mapping[str, Any], close_after: Mapping[str, timedelta]) -> Handoff:
    given, span = event["handoff"], close_after.get(event["rule"], CLOSE_AFTER)
    crossed_at, handed_over_at = from_rfc3339(event["crossed_at"]), from_rfc3339(event["handed_over_at"])
    origin = origin_of(event.get("recent_activities") or ())
    return Handoff(
        id=given["id"],
        lead_id=event["lead"]["id"],
        rule=event["rule"],
        cycle=event["cycle"],
        state=HANDED_OVER,
        queue=given["queue"],
        owner=given["owner"],
        mode=given["mode"],
        model=event["model"]["name"],
        model_version=event["model"]["version"],
        crossed_at=crossed_at,
        handed_over_at=handed_over_at,
        respond_by=_instant(given["respond_by"]),
        expires_at=max(crossed_at, handed_over_at) + span,
        close_at=max(crossed_at, handed_over_at) + span,
        revision=1,
        extraction=given["extraction"],
        score=round(event["score"] * 100),
        source=origin.source,
        campaign=origin.campaign,
    )


async def _take_in(conn: asyncpg.Connection, handoffs: Sequence[Handoff], events: Sequence[Mapping[str, Any]]) -> None:
    """Store the handoffs, and let each lead remember its last cycle: disarmed, and as high as it was then."""
    ledger = Ledger()
    ledger.born.update({handoff.id: handoff for handoff in handoffs})
    ledger.history.extend(
        Entry(one.id, 1, Step(HANDED_OVER, one.handed_over_at or one.crossed_at, BY)) for one in handoffs
    )
    repository = HandoffRepository(conn)
    await repository.put_handoffs(ledger)
    leads = await repository.lock_leads({handoff.lead_id for handoff in handoffs})
    for handoff, event in sorted(zip(handoffs, events, strict=True), key=lambda pair: pair[0].cycle):
        lead = leads[handoff.lead_id]
        before = lead.of(handoff.rule)
        if handoff.cycle > before.cycle:
            memory = RuleMemory(
                armed=False,
                cycle=handoff.cycle,
                crossed_at=handoff.crossed_at,
                score=round(event["score"] * 100),
                handoff=handoff.id,
                version=before.version,
            )
            leads[handoff.lead_id] = LeadMemory(
                lead.version, lead.merged_into, lead.last, {**lead.rules, handoff.rule: memory}
            )
    await repository.put_leads(leads)


async def _note_collected(conn: asyncpg.Connection, handoffs: Sequence[Handoff]) -> None:
    """What waits for a run here, but was handed over by one before the restore, waits no more."""
    await conn.executemany(
        "UPDATE handoff.handoff SET handed_over_at = $2, owner = $3, respond_by = $4, due_at = $4, close_at = $5,"
        " expires_at = greatest(expires_at, $5), extraction = $6, revision = revision + 1"
        " WHERE id = $1 AND handed_over_at IS NULL",
        [
            (one.id, one.handed_over_at, one.owner, one.respond_by, one.close_at, one.extraction)
            for one in handoffs
            if one.extraction is not None
        ],
    )


async def _apply(conn: asyncpg.Connection, outcomes: Sequence[tuple[int, Mapping[str, Any]]]) -> int:
    """Let handoffs stand where the topic says they stand; a step that is on record stays as it is."""
    applied = 0
    for revision, event in sorted(outcomes, key=lambda pair: pair[0]):
        changed = await conn.fetchval(
            "UPDATE handoff.handoff SET state = $2, revision = $3 WHERE id = $1 AND revision < $3 RETURNING id",
            event["handoff_id"],
            event["outcome"],
            revision,
        )
        if changed is None:
            continue
        applied += 1
        step = Step(event["outcome"], from_rfc3339(event["at"]), event["by"], event["reason"], _instant(event["until"]))
        ledger = Ledger()
        ledger.history.append(Entry(event["handoff_id"], revision, step))
        await HandoffRepository(conn).put_handoffs(ledger)
        if is_closed(event["outcome"]):
            await conn.execute(
                "UPDATE handoff.crossing SET open_handoff = NULL WHERE open_handoff = $1", event["handoff_id"]
            )
    return applied


def _instant(text: str | None) -> datetime | None:
    return None if text is None else from_rfc3339(text)
