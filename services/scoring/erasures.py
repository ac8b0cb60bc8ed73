"""Who was erased: keyed hashes of identifiers with instants, and what follows from them for what still comes in."""

from collections.abc import Iterable
from datetime import datetime

import asyncpg

from services.scoring.core.linking import LeadIdFor
from shared.activity import Activity
from shared.identity import EMAIL, Identifier

LOCK = "hashtext('scoring.erasure')"
"""Held shared by whoever stores activities and alone by whoever erases, so that neither overtakes the other."""


class Erasures:
    """What one process knows of erasures; asks only for what is new."""

    def __init__(self, named: LeadIdFor) -> None:
        self._named = named
        self._seen = 0
        self._known: dict[str, tuple[int, datetime]] = {}

    async def refresh(self, conn: asyncpg.Connection) -> None:
        """Bring it up to date, inside the caller's transaction; until its end nobody is erased."""
        await conn.execute(f"SELECT pg_advisory_xact_lock_shared({LOCK})")
        await self.read(conn)

    async def read(self, conn: asyncpg.Connection) -> None:
        """Take what was erased since the last time. Not for two at once."""
        rows = await conn.fetch(
            "SELECT seq, hash::text, erased_at FROM scoring.erasure WHERE seq > $1 ORDER BY seq", self._seen
        )
        for seq, hash_, erased_at in rows:
            count, _ = self._known.get(hash_, (0, erased_at))
            self._known[hash_], self._seen = (count + 1, erased_at), seq

    def lead_id_for(self, identifier: Identifier) -> str:
        """The lead id an identifier names: after an erasure it is another one, of a lead that begins anew."""
        hash_ = self._named(identifier)
        known = self._known.get(hash_) if self._known else None
        if known is None:
            return hash_
        return self._named(Identifier(identifier.kind, f"{identifier.value}\x1f{known[0]}"))

    def hashes(self, identifiers: Iterable[Identifier]) -> list[str]:
        """What is kept of erased identifiers."""
        return sorted({self._named(identifier) for identifier in identifiers})

    def forgets(self, activity: Activity) -> bool:
        """Whether an activity happened or was received before the erasure of the one it names.

        An address that was not erased is somebody else's, whatever else it appears with.
        """
        if not self._known:
            return False
        if activity.identifiers[0].kind == EMAIL:
            return self._is_before(activity, activity.identifiers[0])
        return any(self._is_before(activity, identifier) for identifier in activity.identifiers)

    def _is_before(self, activity: Activity, identifier: Identifier) -> bool:
        known = self._known.get(self._named(identifier))
        if known is None:
            return False
        return min(activity.occurred_at, activity.received_at or activity.occurred_at) <= known[1]
