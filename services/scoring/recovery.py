"""Scoring after a restored server: nothing that was published is published under the same version again."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import asyncpg
import orjson
from aiokafka import ConsumerRecord

from services.scoring.account_repository import AccountRepository
from services.scoring.core.events import told
from services.scoring.core.lead import LeadState, is_current, refold
from services.scoring.entry_repository import EntryRepository
from services.scoring.models import ModelsInForce
from services.scoring.renewal import renew
from services.scoring.repository import ScoringRepository
from services.scoring.restoring import do_again
from services.scoring.settings import ScoringSettings
from services.scoring.tables import SCHEMA
from services.scoring.told import Told, read_told, unknown
from shared import outbox
from shared.clock import Clock
from shared.errors import KizashiError
from shared.events import ERASED, MERGED, POINTS_GIVEN, UNMERGED
from shared.recovery import (
    BEGIN_ANEW,
    alone,
    due_sql,
    end_due,
    event_id,
    forget_positions,
    forget_producer,
    forget_published,
    records_of,
)
from shared.topics import ACCOUNT_SCORES, LEAD_LIFECYCLE, LEAD_SCORES

CHUNK = 500
CAUSE = "repair"
_FIRST = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class ScoringRecovered:
    """How many leads have a version on the topic that the database did not know, how many events were waiting although
    they had been published, and how much of what people did the database had not been told: erasures, points given by
    hand, leads joined or taken apart.
    """

    behind: int
    already_published: int
    erasures: int
    points: int
    words: int


@dataclass(slots=True)
class _Topics:
    """What stands in Kafka: versions of leads and of accounts, the ids of events, and what people did to leads."""

    leads: dict[str, int] = field(default_factory=dict)
    accounts: dict[str, int] = field(default_factory=dict)
    published: set[tuple[str, str]] = field(default_factory=set)
    told: list[Told] = field(default_factory=list)

    def take(self, topic: str, record: "ConsumerRecord[bytes, bytes]") -> None:
        if (id_ := event_id(record)) is not None:
            self.published.add((topic, id_))
        if topic == LEAD_LIFECYCLE.name:
            if (told := read_told(record)) is not None:
                self.told.append(told)
        elif record.value is not None:
            known = self.leads if topic == LEAD_SCORES.name else self.accounts
            try:
                state = orjson.loads(record.value)
                key, version = state["lead_id" if topic == LEAD_SCORES.name else "account_id"], int(state["version"])
            except (ValueError, KeyError, TypeError) as error:
                raise KizashiError(
                    f"{topic}, partition {record.partition}, offset {record.offset}: no state that scoring has written"
                    f" ({type(error).__name__}); nothing was changed"
                ) from error
            known[key] = max(known.get(key, 0), version)


async def recover(settings: ScoringSettings, clock: Clock) -> ScoringRecovered:
    """Bring a database that was put back, or is empty, up to what stands in its Kafka; all of it or nothing, and as
    often as one likes. The service must not run. Raises KizashiError.
    """
    topics = _Topics()
    for topic in (LEAD_SCORES.name, LEAD_LIFECYCLE.name, ACCOUNT_SCORES.name):
        async for record in records_of(settings.kafka, topic):
            topics.take(topic, record)
    async with alone(settings.database, SCHEMA) as conn, conn.transaction():
        new = await unknown(conn, topics.told)
        erased = {id_ for one in topics.told if one.type == ERASED for id_ in one.body["lead_ids"]}
        floors = {lead_id: version for lead_id, version in topics.leads.items() if lead_id not in erased}
        behind = await _raise_versions(conn, floors)
        await AccountRepository(conn).raise_versions(topics.accounts)
        waiting = await forget_published(conn, SCHEMA, topics.published)
        if new:
            await do_again(conn, settings, clock, new)
        await forget_producer(conn, SCHEMA)
        await end_due(conn, SCHEMA)
    done = Counter(one.type for one in new)
    return ScoringRecovered(behind, waiting, done[ERASED], done[POINTS_GIVEN], done[MERGED] + done[UNMERGED])


async def _raise_versions(conn: asyncpg.Connection, floors: dict[str, int]) -> int:
    """A lead that the database does not know yet gets a row with a version and nothing else; its activities follow."""
    changed = await conn.fetch(
        "INSERT INTO scoring.lead AS l (id, version, state) SELECT id, version, ''::bytea"
        " FROM unnest($1::uuid[], $2::bigint[]) AS f(id, version)"
        " ON CONFLICT (id) DO UPDATE SET version = excluded.version WHERE l.version < excluded.version RETURNING 1",
        list(floors),
        list(floors.values()),
    )
    return len(changed)


async def begin_with_new_kafka(
    settings: ScoringSettings, models: ModelsInForce, clock: Clock, progress: Callable[[int], None]
) -> int:
    """Let a database go on with an empty Kafka: every lead is published once more. Returns how many leads there are."""
    async with alone(settings.database, SCHEMA) as conn:
        async with conn.transaction():
            await conn.execute(due_sql(SCHEMA, BEGIN_ANEW))
            await forget_producer(conn, SCHEMA)
            await forget_positions(conn, SCHEMA)
            await AccountRepository(conn).publish_again()
        done, after = 0, _FIRST
        while ids := await _next(conn, after):
            async with conn.transaction():
                await _publish_again(conn, settings, models, clock, ids)
            done, after = done + len(ids), ids[-1]
            progress(done)
        async with conn.transaction():
            await end_due(conn, SCHEMA)
    return done


async def _next(conn: asyncpg.Connection, after: str) -> list[str]:
    rows = await conn.fetch(
        "SELECT id::text FROM scoring.lead WHERE id > $1 AND merged_into IS NULL AND state <> ''"
        " ORDER BY lead.id LIMIT $2",
        after,
        CHUNK,
    )
    return [row[0] for row in rows]


async def _publish_again(
    conn: asyncpg.Connection, settings: ScoringSettings, models: ModelsInForce, clock: Clock, ids: Collection[str]
) -> None:
    repository = ScoringRepository(conn)
    rows = await repository.lock_leads(ids)
    states = {lead_id: LeadState.unpack(row.state) for lead_id, row in rows.items()}
    in_force = models.current
    outdated = [lead_id for lead_id, state in states.items() if not is_current(in_force, state)]
    history = await repository.activities_of(outdated) if outdated else {}
    entries = await EntryRepository(conn).of(outdated) if outdated else {}
    now = clock()
    for lead_id in outdated:
        identifiers = states[lead_id].profile.identifiers
        states[lead_id] = refold(in_force, history[lead_id], identifiers, now, entries[lead_id])
    changes = [
        record
        for lead_id, state in states.items()
        for record in told(renew(rows[lead_id], state, in_force, CAUSE, now), in_force)
    ]
    await repository.put_leads(rows.values())
    await outbox.append(conn, SCHEMA, changes, settings.kafka.partitions)
