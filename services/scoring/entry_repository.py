"""SQL of the stored entries of leads: only ever added to, and moved along with their lead."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from services.scoring.core.entries import Entry
from services.scoring.core.links import PARTED, Link
from services.scoring.core.openings import OPENING
from services.scoring.core.verdicts import DETECTOR, Verdict
from shared.identity import ANONYMOUS, EXTERNAL, PHONE
from shared.postgres import finite


class EntryRepository:
    """The statements of one transaction on `conn`. Whoever writes holds the row lock of the lead."""

    def __init__(self, conn: asyncpg.Connection) -> None:
        self._conn = conn

    async def find(self, kind: str, id_: str) -> tuple[str | None, Entry] | None:
        """The entry under this id with the lead it belongs to; None where there is none."""
        row = await self._conn.fetchrow(
            "SELECT lead_id::text, kind, id, anchor::text, at, body FROM scoring.entry WHERE kind = $1 AND id = $2",
            kind,
            id_,
        )
        return None if row is None else (row[0], _entry(row[1:]))

    async def add(self, entries: Iterable[tuple[str | None, Entry]]) -> set[tuple[str, str]]:
        """Store entries, each of a lead, or of one whose activities have yet to come (None).

        Returns kind and id of those that are new.
        """
        placed = list(entries)
        rows = await self._conn.fetch(
            "INSERT INTO scoring.entry (lead_id, kind, id, anchor, at, body) SELECT * FROM unnest($1::uuid[],"
            " $2::text[], $3::text[], $4::uuid[], $5::timestamptz[], $6::jsonb[]) ON CONFLICT DO NOTHING"
            " RETURNING kind, id",
            [lead_id for lead_id, _ in placed],
            [entry.kind for _, entry in placed],
            [entry.id for _, entry in placed],
            [entry.anchor for _, entry in placed],
            [entry.at for _, entry in placed],
            [orjson.dumps(entry.body).decode() for _, entry in placed],
        )
        return {(row[0], row[1]) for row in rows}

    async def of(self, lead_ids: Collection[str]) -> dict[str, list[Entry]]:
        """Every entry of the leads; a lead without any is there with an empty list."""
        found: dict[str, list[Entry]] = defaultdict(list)
        rows = await self._conn.fetch(
            "SELECT lead_id::text, kind, id, anchor::text, at, body FROM scoring.entry WHERE lead_id = ANY($1::uuid[])",
            list(lead_ids),
        )
        for row in rows:
            found[row[0]].append(_entry(row[1:]))
        return found

    async def any_waiting(self) -> bool:
        """Whether there are entries of leads whose activities have yet to come."""
        found: bool = await self._conn.fetchval("SELECT EXISTS (SELECT FROM scoring.entry WHERE lead_id IS NULL)")
        return found

    async def claim(self, lead_of: Mapping[str, str]) -> dict[str, list[Entry]]:
        """Give entries that wait for an anchor to the lead that has it now; returns them by lead."""
        rows = await self._conn.fetch(
            "UPDATE scoring.entry e SET lead_id = now.lead_id FROM unnest($1::uuid[], $2::uuid[]) AS now(anchor,"
            " lead_id) WHERE e.lead_id IS NULL AND e.anchor = now.anchor"
            " RETURNING e.lead_id::text, e.kind, e.id, e.anchor::text, e.at, e.body",
            list(lead_of),
            list(lead_of.values()),
        )
        found: dict[str, list[Entry]] = defaultdict(list)
        for row in rows:
            found[row[0]].append(_entry(row[1:]))
        return found

    async def move(self, moves: Mapping[tuple[str, str], str]) -> None:
        """Give entries, by kind and id, another lead."""
        await self._conn.execute(
            "UPDATE scoring.entry e SET lead_id = m.target FROM unnest($1::text[], $2::text[], $3::uuid[])"
            " AS m(kind, id, target) WHERE e.kind = m.kind AND e.id = m.id",
            [kind for kind, _ in moves],
            [id_ for _, id_ in moves],
            list(moves.values()),
        )

    async def add_link(self, link: Link, author: str, at: datetime | None = None) -> None:
        """Store what somebody said about two leads: now, or `at` an instant before."""
        await self._conn.execute(
            "INSERT INTO scoring.link (kind, survivor, other, author, recorded_at)"
            " VALUES ($1, $2::uuid, $3::uuid, $4, coalesce($5, now()))",
            link.kind,
            link.survivor,
            link.other,
            author,
            at,
        )

    async def any_links(self) -> bool:
        """Whether anybody ever said anything about who is one person."""
        found: bool = await self._conn.fetchval("SELECT EXISTS (SELECT FROM scoring.link)")
        return found

    async def links_of(self, anchors: Collection[str]) -> list[Link]:
        """What was said about these anchors, in order."""
        rows = await self._conn.fetch(
            "SELECT kind, survivor::text, other::text FROM scoring.link"
            " WHERE survivor = ANY($1::uuid[]) OR other = ANY($1::uuid[]) ORDER BY seq",
            list(anchors),
        )
        return [Link(*row) for row in rows]

    async def take_turns(self) -> None:
        """Two that each bring one half of what somebody joined must not both miss the other's."""
        await self._conn.execute("SELECT pg_advisory_xact_lock(hashtext('scoring.link'))")

    async def standing(self, anchors: Collection[str]) -> dict[str, tuple[str, int]]:
        """The lead that each anchor leads to, with its epoch; not locked. Those that lead to none are missing."""
        rows = await self._conn.fetch(
            "WITH RECURSIVE way AS (SELECT id AS asked, id, merged_into, epoch, state FROM scoring.lead"
            " WHERE id = ANY($1::uuid[]) UNION SELECT way.asked, l.id, l.merged_into, l.epoch, l.state"
            " FROM scoring.lead l JOIN way ON l.id = way.merged_into)"
            " SELECT asked::text, id::text, epoch FROM way WHERE merged_into IS NULL AND state <> ''",
            list(anchors),
        )
        return {row[0]: (row[1], row[2]) for row in rows}

    async def lead_to(self, targets: Mapping[str, str]) -> None:
        """Let anchors that are no leads of their own lead to the lead that owns what they stand for."""
        await self._conn.execute(
            "INSERT INTO scoring.lead AS l (id, merged_into, state)"
            " SELECT id, target, ''::bytea FROM unnest($1::uuid[], $2::uuid[]) AS t(id, target) WHERE id <> target"
            " ORDER BY id ON CONFLICT (id) DO UPDATE SET merged_into = excluded.merged_into WHERE l.state = ''",
            list(targets),
            list(targets.values()),
        )

    async def any_parted(self, anchors: Collection[str]) -> bool:
        """Whether somebody ever took a lead apart that one of these anchors names."""
        found: bool = await self._conn.fetchval(
            "SELECT EXISTS (SELECT FROM scoring.link WHERE kind = $1"
            " AND (survivor = ANY($2::uuid[]) OR other = ANY($2::uuid[])))",
            PARTED,
            list(anchors),
        )
        return found

    async def leads_naming(self, lead_id: str) -> list[str]:
        """Other leads with activities that name a telephone, a browser or an id of this one, which was refused them.

        Reads every stored activity: only for what people do by hand.
        """
        own = await self._conn.fetchval(
            "SELECT array_agg(value) FROM scoring.identifier WHERE lead_id = $1::uuid AND kind = ANY($2::text[])",
            lead_id,
            [EXTERNAL, PHONE, ANONYMOUS],
        )
        if not own:
            return []
        rows = await self._conn.fetch(
            "SELECT DISTINCT lead_id::text FROM scoring.activity WHERE lead_id <> $1::uuid AND"
            " (body->'lead'->>'anonymous_id' = ANY($2::text[]) OR body->'lead'->>'phone' = ANY($2::text[])"
            " OR EXISTS (SELECT FROM json_each_text(body->'lead'->'external_ids') AS e"
            " WHERE e.key || ':' || e.value = ANY($2::text[])))"
            " UNION SELECT lead_id::text FROM scoring.entry, jsonb_array_elements(body->'facts') AS fact,"
            " jsonb_array_elements(fact->3) AS name"
            " WHERE kind = $3 AND lead_id <> $1::uuid AND name->>1 = ANY($2::text[])",
            lead_id,
            own,
            OPENING,
        )
        return [row[0] for row in rows]

    async def add_verdicts(self, found: Mapping[tuple[str, str], Verdict], recorded_at: datetime) -> None:
        """Store verdicts under which activities earn nothing; those that are known stay as they are."""
        ordered = sorted(found)
        await self._conn.execute(
            "INSERT INTO scoring.verdict (source, id, verdict, reasons, detector, recorded_at)"
            " SELECT source, id, verdict, string_to_array(reasons, ','), $5, $6 FROM"
            " unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS v(source, id, verdict, reasons)"
            " ON CONFLICT DO NOTHING",
            [source for source, _ in ordered],
            [id_ for _, id_ in ordered],
            [found[key].word for key in ordered],
            [",".join(found[key].reasons) for key in ordered],
            DETECTOR,
            recorded_at,
        )


def _entry(row: Any) -> Entry:
    kind, id_, anchor, at, body = row
    return Entry(kind, id_, anchor, finite(at), orjson.loads(body))
