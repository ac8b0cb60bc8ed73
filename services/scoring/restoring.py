"""What people did to leads, read back from `lead-lifecycle` into an empty database, before the activities come."""

from collections.abc import Mapping
from typing import Any

import asyncpg
import orjson
from aiokafka import ConsumerRecord

from services.scoring.core.entries import Entry, points_entry
from services.scoring.core.evaluation import ManualPoints
from services.scoring.core.links import JOINED, PARTED, Link
from services.scoring.entry_repository import EntryRepository
from shared.clock import from_rfc3339
from shared.events import ERASED, MERGED, POINTS_GIVEN, UNMERGED
from shared.recovery import records_of
from shared.settings import KafkaSettings
from shared.topics import LEAD_LIFECYCLE


async def restore_entries(conn: asyncpg.Connection, kafka: KafkaSettings) -> None:
    """Store the points given and the words about leads that the topic still holds; they wait for the activities.

    Recyclings need nothing of the kind: the service reads `handoff-outcomes` from its beginning.
    """
    told = [
        (_type_of(record), record.timestamp, orjson.loads(record.value))
        async for record in records_of(kafka, LEAD_LIFECYCLE.name)
        if record.value is not None and _type_of(record) in (POINTS_GIVEN, MERGED, UNMERGED, ERASED)
    ]
    repository = EntryRepository(conn)
    await repository.add((None, read_points(body)) for type_, _, body in told if type_ == POINTS_GIVEN)
    for type_, _, body in sorted(told, key=lambda one: one[1]):
        if type_ == ERASED:
            await forget(conn, body)
        elif "anchors" in body:
            kind = JOINED if type_ == MERGED else PARTED
            await repository.add_link(Link(kind, **body["anchors"]), body["author"])


async def forget(conn: asyncpg.Connection, body: Mapping[str, Any]) -> None:
    """Note an erasure that a `lead.erased.v1` tells of."""
    hashes, erased_at = body["identifier_hashes"], from_rfc3339(body["erased_at"])
    await conn.execute(
        "INSERT INTO scoring.erasure (hash, lead_id, erased_at)"
        " SELECT hash, $2::uuid, $3 FROM unnest($1::uuid[]) AS h(hash)",
        sorted({*hashes, *body["lead_ids"]}),
        body["lead_id"],
        erased_at,
    )
    anchors = [*hashes, *body["lead_ids"]]
    await conn.execute("DELETE FROM scoring.entry WHERE anchor = ANY($1::uuid[]) AND at <= $2", anchors, erased_at)
    await conn.execute("DELETE FROM scoring.link WHERE survivor = ANY($1::uuid[]) OR other = ANY($1::uuid[])", anchors)


def read_points(body: Mapping[str, Any]) -> Entry:
    """The entry that a `lead.points-given.v1` tells of."""
    given_at, expires = from_rfc3339(body["given_at"]), body["expires_at"]
    points = ManualPoints(
        points=round(float(body["points"]) * 100),
        given_at=given_at,
        author=body["author"],
        reason=body["reason"],
        expires_at=from_rfc3339(expires) if expires else None,
    )
    return points_entry(body["id"], body["anchor"], given_at, points)


def _type_of(record: "ConsumerRecord[bytes, bytes]") -> str:
    headers: Mapping[str, bytes] = dict(record.headers)
    return headers.get("ce_type", b"").decode("utf-8", "replace")
