"""All SQL of runs and lists: which are due, what each has taken so far, its rows."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

import asyncpg

from services.handoff.core.due_runs import RECORDS
from services.handoff.core.handoff import Handoff
from services.handoff.core.lifecycle import Extraction
from services.handoff.core.schedule import Timetable
from services.handoff.core.state import LeadState, stored_state
from services.handoff.repository import SELECTED, handoff_of
from shared import codec
from shared.clock import EPOCH
from shared.spreadsheet import Cell

NO_ID = "00000000-0000-0000-0000-000000000000"
GONE_AFTER = timedelta(hours=1)
"""What a file does not name may stand in that of another process, or of one that is just being started anew."""
_COLUMNS = "id::text, rule, key, kind, queue, state, at, count, lapsed, place"


class ExtractionRepository:
    """The statements of one transaction on `conn`."""

    def __init__(self, conn: asyncpg.Connection) -> None:
        self._conn = conn

    async def marks(self, timetables: Mapping[str, Timetable], now: datetime) -> dict[str, datetime]:
        """Until when the runs of each rule's timetable were looked for, locked. One that is new begins now, or goes on
        from the mark of another that names the same times.

        Another process may have another file: the marks of its timetables are its own.
        """
        ordered = sorted(timetables)
        digests = [timetables[name].digest for name in ordered]
        await self._conn.execute(
            "INSERT INTO handoff.schedule_mark AS m (rule, timetable, recurring, checked_until)"
            " SELECT want.rule, want.timetable, want.recurring, coalesce((SELECT max(o.checked_until)"
            " FROM handoff.schedule_mark o WHERE o.rule = want.rule"
            " AND coalesce(o.recurring, want.recurring) = want.recurring), $4::timestamptz)"
            " FROM unnest($1::text[], $2::text[], $3::text[]) AS want (rule, timetable, recurring)"
            " ON CONFLICT (rule, timetable) DO UPDATE SET gone_at = NULL WHERE m.gone_at IS NOT NULL",
            ordered,
            digests,
            [timetables[name].recurring for name in ordered],
            now,
        )
        rows = await self._conn.fetch(
            "SELECT rule, checked_until FROM handoff.schedule_mark"
            " WHERE (rule, timetable) IN (SELECT * FROM unnest($1::text[], $2::text[])) ORDER BY rule FOR UPDATE",
            ordered,
            digests,
        )
        return {row[0]: row[1] for row in rows}

    async def leave_marks(self, timetables: Mapping[str, Timetable], since: datetime, now: datetime) -> None:
        """Note that all other marks are none of ours. What no other process says it has is gone, and forgotten once
        that is so for `GONE_AFTER` of the life of this process, which began at `since`.
        """
        # Who has one locked is about to say so. As nobody is waited for, two files cannot wait for each other.
        await self._conn.execute(
            "WITH other AS (SELECT rule, timetable, gone_at >= $3 AS seen FROM handoff.schedule_mark"
            " WHERE (rule, timetable) NOT IN (SELECT * FROM unnest($1::text[], $2::text[]))"
            " AND NOT coalesce(gone_at >= greatest($3, $5), FALSE) FOR UPDATE SKIP LOCKED),"
            " forgotten AS (DELETE FROM handoff.schedule_mark m USING other"
            " WHERE (m.rule, m.timetable) = (other.rule, other.timetable) AND other.seen)"
            " UPDATE handoff.schedule_mark m SET gone_at = $4 FROM other"
            " WHERE (m.rule, m.timetable) = (other.rule, other.timetable) AND other.seen IS NOT TRUE",
            list(timetables),
            [timetable.digest for timetable in timetables.values()],
            since,
            now,
            now - GONE_AFTER,
        )

    async def mark(self, rule: str, timetable: Timetable, checked_until: datetime) -> None:
        """Runs before that instant are known."""
        await self._conn.execute(
            "UPDATE handoff.schedule_mark SET checked_until = $3 WHERE (rule, timetable) = ($1, $2)",
            rule,
            timetable.digest,
            checked_until,
        )

    async def begin(self, extractions: Sequence[Extraction], now: datetime) -> None:
        """Note extractions that are to be carried out, or were missed; one that is known stays as it is."""
        await self._conn.executemany(
            "INSERT INTO handoff.extraction (id, rule, key, kind, queue, state, at, created_at)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
            [(one.id, one.rule, one.key, one.kind, one.queue, one.state, one.at, now) for one in extractions],
        )

    async def lock_next(self, rules: Collection[str], now: datetime, wanted: str | None = None) -> Extraction | None:
        """The oldest extraction that is not complete, or the one that is wanted; None where another has it in hand.

        One of a rule that is not among `rules` is left, for a while, to a process that may know it.
        """
        row = await self._conn.fetchrow(
            f"SELECT {_COLUMNS} FROM handoff.extraction WHERE state = 'running' AND ($1::uuid IS NULL OR id = $1::uuid)"
            " AND (rule = ANY($2::text[]) OR created_at < $3) ORDER BY at LIMIT 1 FOR UPDATE SKIP LOCKED",
            wanted,
            list(rules),
            now - GONE_AFTER,
        )
        return Extraction(*row) if row is not None else None

    async def put(self, extraction: Extraction, completed_at: datetime | None) -> None:
        """Write how far it is."""
        await self._conn.execute(
            "UPDATE handoff.extraction SET state = $2, count = $3, lapsed = $4, place = $5, completed_at = $6"
            " WHERE id = $1",
            extraction.id,
            extraction.state,
            extraction.count,
            extraction.lapsed,
            extraction.place,
            completed_at,
        )

    async def add_rows(self, extraction: Extraction, rows: Sequence[tuple[str, Sequence[Cell]]]) -> None:
        """Add rows (lead id, cells) after the ones it counts."""
        first = extraction.count + 1
        await self._conn.execute(
            "INSERT INTO handoff.extraction_row SELECT $1, * FROM unnest($2::int[], $3::text[], $4::bytea[])",
            extraction.id,
            list(range(first, first + len(rows))),
            [lead_id for lead_id, _ in rows],
            [codec.encode(list(cells)) for _, cells in rows],
        )

    async def waiting(
        self, rule: str, until: datetime, limit: int, after: tuple[datetime, str] = (EPOCH, NO_ID)
    ) -> list[Handoff]:
        """Collected handoffs of a rule that wait for their run, crossed by `until`, earliest first, those behind the
        place `after`. Not locked.
        """
        rows = await self._conn.fetch(
            f"SELECT {SELECTED} FROM handoff.handoff WHERE rule = $1 AND crossed_at <= $2 AND handed_over_at IS NULL"
            " AND state = 'qualified' AND (crossed_at, id) > ($4, $5::uuid) ORDER BY crossed_at, id LIMIT $3",
            rule,
            until,
            limit,
            *after,
        )
        return [handoff_of(row) for row in rows]

    async def latest_waiting(self) -> dict[str, datetime]:
        """The rules that leads wait for, whatever stands in the file, and when the last one of each crossed."""
        # One look into the index for each rule: there may be a hundred thousand who wait.
        rows = await self._conn.fetch(
            "WITH RECURSIVE one AS (SELECT min(rule) AS rule FROM handoff.handoff WHERE handed_over_at IS NULL"
            " AND state = 'qualified' UNION ALL SELECT (SELECT min(h.rule) FROM handoff.handoff h"
            " WHERE h.handed_over_at IS NULL AND h.state = 'qualified' AND h.rule > one.rule) FROM one"
            " WHERE one.rule IS NOT NULL) SELECT rule, (SELECT max(h.crossed_at) FROM handoff.handoff h"
            " WHERE h.handed_over_at IS NULL AND h.state = 'qualified' AND h.rule = one.rule) FROM one"
            " WHERE rule IS NOT NULL"
        )
        return {row[0]: row[1] for row in rows}

    async def is_running(self, rule: str, latest: datetime) -> bool:
        """Whether a run of the rule that takes all who crossed by `latest` is being made."""
        found: bool = await self._conn.fetchval(
            "SELECT EXISTS (SELECT FROM handoff.extraction WHERE rule = $1 AND kind = $2 AND state = 'running'"
            " AND at >= $3)",
            rule,
            RECORDS,
            latest,
        )
        return found

    async def candidates(
        self, rule: str, follows: str | None, enter: int, after: str, limit: int
    ) -> list[tuple[LeadState, str | None]]:
        """States of the leads after `after` that may meet the rule; one it has not been judged with may too. None of
        them is erased before the transaction ends. With each comes where its latest handoff of the rule `follows`
        stands.
        """
        rows = await self._conn.fetch(
            "SELECT l.state, coalesce(h.state, f.ended)"
            " FROM handoff.lead l LEFT JOIN handoff.crossing c ON c.lead_id = l.id AND c.rule = $1"
            " LEFT JOIN handoff.crossing f ON f.lead_id = l.id AND f.rule = $5"
            " LEFT JOIN handoff.handoff h ON h.id = f.open_handoff"
            " WHERE l.id > $3 AND l.merged_into IS NULL AND l.state IS NOT NULL"
            " AND (c.version IS DISTINCT FROM l.version OR c.previous >= $2) ORDER BY l.id LIMIT $4"
            " FOR KEY SHARE OF l",
            rule,
            enter,
            after,
            limit,
            follows,
        )
        return [(stored_state(row[0]), row[1]) for row in rows]
