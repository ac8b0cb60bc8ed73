"""What `lead-lifecycle` tells of what people did to leads, and what of it a database has not been told."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import orjson
from aiokafka import ConsumerRecord

from services.scoring.core.entries import POINTS
from shared.clock import from_rfc3339
from shared.events import ERASED, MERGED, POINTS_GIVEN, UNMERGED
from shared.recovery import event_id

_INSTANT = {POINTS_GIVEN: "given_at", MERGED: "merged_at", UNMERGED: "unmerged_at", ERASED: "erased_at"}
WORDS = frozenset({MERGED, UNMERGED})


@dataclass(frozen=True, slots=True)
class Told:
    """Something that was done at an instant, as its event has it. Of a word about two leads `version` is the one that
    the lead of the event was published under.
    """

    type: str
    at: datetime
    body: Mapping[str, Any]
    version: int = 0

    @property
    def lead_id(self) -> str:
        return str(self.body["lead_id"])

    @property
    def about(self) -> set[str]:
        """The lead, and the keyed hashes by which the event names people."""
        anchors = self.body.get("anchors") or {"anchor": self.body.get("anchor", self.lead_id)}
        return {self.lead_id, *anchors.values()}

    @property
    def erased(self) -> set[str]:
        """The ids and keyed hashes that an erasure names."""
        return {self.lead_id, *self.body["lead_ids"], *self.body["identifier_hashes"]}


def read_told(record: "ConsumerRecord[bytes, bytes]") -> Told | None:
    """None for a record about anything else, such as a merge that activities brought about."""
    headers: Mapping[str, bytes] = dict(record.headers)
    type_ = headers.get("ce_type", b"").decode("utf-8", "replace")
    if record.value is None or type_ not in _INSTANT:
        return None
    body = orjson.loads(record.value)
    if type_ in WORDS and "anchors" not in body:
        return None
    version = int((event_id(record) or "").split(":")[1]) if type_ in WORDS else 0
    return Told(type_, from_rfc3339(body[_INSTANT[type_]]), body, version)


async def unknown(conn: asyncpg.Connection, told: Collection[Told]) -> list[Told]:
    """What the database has not been told, in the order in which it was done. Of people who were erased since nothing
    but the erasure; of words before an erasure that is unknown itself all, as they say whom it takes.
    """
    versions = dict(
        await conn.fetch(
            "SELECT id::text, version FROM scoring.lead WHERE id = ANY($1::uuid[])", [one.lead_id for one in told]
        )
    )
    given = await conn.fetch(
        "SELECT id FROM scoring.entry WHERE kind = $1 AND id = ANY($2::text[])",
        POINTS,
        [one.body["id"] for one in told if one.type == POINTS_GIVEN],
    )
    stored = await conn.fetch("SELECT hash::text, lead_id::text, erased_at FROM scoring.erasure")
    erasures, points = {(lead_id, at) for _, lead_id, at in stored}, {row[0] for row in given}
    before = _latest((hash_, at) for hash_, _, at in stored)
    in_the_end = _latest(
        [*before.items(), *((name, one.at) for one in told if one.type == ERASED for name in one.erased)]
    )

    def is_new(one: Told) -> bool:
        if one.type == ERASED:
            return (one.lead_id, one.at) not in erasures
        if one.type == POINTS_GIVEN:
            return one.body["id"] not in points and not _covers(in_the_end, one)
        return one.version > versions.get(one.lead_id, 0) and not _covers(before, one)

    return sorted(filter(is_new, told), key=lambda one: one.at)


def _latest(erased: Iterable[tuple[str, datetime]]) -> dict[str, datetime]:
    found: dict[str, datetime] = {}
    for name, at in erased:
        found[name] = max(found.get(name, at), at)
    return found


def _covers(erased: Mapping[str, datetime], one: Told) -> bool:
    return any(name in erased and one.at <= erased[name] for name in one.about)
