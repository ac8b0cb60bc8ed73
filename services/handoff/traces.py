"""All SQL that forgets erased leads: everything handoff keeps of a person beside its memory of the lead itself."""

from collections.abc import Collection

import asyncpg

from services.handoff.core.handoff import SELF
from services.handoff.core.states import ACCEPTED, WAITING
from shared.events import EXTRACTION_COMPLETED

_OPEN = sorted({*WAITING, ACCEPTED})


class Traces:
    """The statements of one transaction on `conn`; each may be repeated."""

    def __init__(self, conn: asyncpg.Connection) -> None:
        self._conn = conn

    async def open_handoffs(self, lead_ids: Collection[str]) -> list[str]:
        """Handoffs of these leads that may still be answered. Not locked."""
        rows = await self._conn.fetch(
            "SELECT id::text FROM handoff.handoff WHERE lead_id = ANY($1::text[]) AND state = ANY($2::text[])",
            list(lead_ids),
            _OPEN,
        )
        return [row[0] for row in rows]

    async def forget(self, lead_ids: Collection[str]) -> None:
        """Remove rows of runs and lists, deliveries with their attempts, and what people wrote into histories."""
        ids = list(lead_ids)
        await self._conn.execute("DELETE FROM handoff.extraction_row WHERE lead_id = ANY($1::text[])", ids)
        await self._conn.execute(
            "UPDATE handoff.history h SET reason = NULL, by = NULL FROM handoff.handoff o"
            " WHERE o.id = h.handoff_id AND o.lead_id = ANY($1::text[]) AND h.by IS DISTINCT FROM $2"
            " AND (h.reason IS NOT NULL OR h.by IS NOT NULL)",
            ids,
            SELF,
        )
        # The message about a run names everybody in it, and is a delivery about the run and not about them.
        await self._conn.execute(
            "UPDATE handoff.attempt a SET request = a.request - 'body', response = a.response - 'body'"
            " FROM handoff.delivery told JOIN handoff.delivery one"
            " ON one.destination_id = told.destination_id AND one.extraction = told.extraction"
            " WHERE a.delivery_id = told.id AND told.event_type = $2 AND one.lead_id = ANY($1::text[])",
            ids,
            EXTRACTION_COMPLETED,
        )
        await self._conn.execute("DELETE FROM handoff.delivery WHERE lead_id = ANY($1::text[])", ids)

    async def erased_among(self, lead_ids: Collection[str]) -> set[str]:
        """Those of the leads that were judged once, and of which nothing is kept."""
        rows = await self._conn.fetch(
            "SELECT id FROM handoff.lead WHERE id = ANY($1::text[]) AND version > 0 AND state IS NULL"
            " AND merged_into IS NULL",
            list(lead_ids),
        )
        return {row[0] for row in rows}
