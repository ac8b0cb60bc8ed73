"""What people did to leads, read back from `lead-lifecycle` into an empty database, before the activities come."""

from collections.abc import Mapping
from typing import Any

import asyncpg
import orjson
from aiokafka import ConsumerRecord

from services.scoring.core.entries import Entry, points_entry
from services.scoring.core.evaluation import ManualPoints
from services.scoring.entry_repository import EntryRepository
from shared.clock import from_rfc3339
from shared.events import POINTS_GIVEN
from shared.recovery import records_of
from shared.settings import KafkaSettings
from shared.topics import LEAD_LIFECYCLE


async def restore_entries(conn: asyncpg.Connection, kafka: KafkaSettings) -> int:
    """Store the points given by hand that the topic still holds; they wait for the activities of their leads.

    Recyclings need nothing of the kind: the service reads `handoff-outcomes` from its beginning. Returns how many.
    """
    entries = [
        read_points(orjson.loads(record.value))
        async for record in records_of(kafka, LEAD_LIFECYCLE.name)
        if record.value is not None and _type_of(record) == POINTS_GIVEN
    ]
    return len(await EntryRepository(conn).add((None, entry) for entry in entries))


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
