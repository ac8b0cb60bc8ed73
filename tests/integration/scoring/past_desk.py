"""A desk with a long past: leads whose old activities are to be removed."""

from datetime import UTC, datetime, timedelta
from typing import Any

from services.scoring.retention import Retention
from shared.clock import to_rfc3339
from shared.identity import EMAIL
from tests.integration.scoring.desk import NOW, Desk, id_for, lead_of
from tests.integration.scoring.model_desk import fold

JANUARY = datetime(2026, 1, 10, 9, 0, tzinfo=UTC)
DAYS = 31
TARO = lead_of(EMAIL, "taro@example.co.jp")


def did(id_: str, at: datetime, kind: str = "document_downloaded", **more: Any) -> dict[str, Any]:
    properties = more.pop("properties", {"document": id_})
    lead = more.pop("lead", {"email": "taro@example.co.jp"})
    return {"id": id_, "type": kind, "occurred_at": to_rfc3339(at), "lead": lead, "properties": properties, **more}


async def receive(desk: Desk, at: datetime, *raw: dict[str, Any]) -> None:
    """As told at an instant."""
    desk.now = at
    await desk.receive(*raw)


async def remove(desk: Desk, days: int = DAYS) -> None:
    """All that is too old now, once the models that were published are those of every lead."""
    await fold(desk)
    await turns(desk, days)


async def turns(desk: Desk, days: int = DAYS) -> None:
    """As many as there are to do."""
    worker = Retention(desk.pool, desk.models, id_for, lambda: desk.now)
    while await worker.some(days):
        pass


async def counts(desk: Desk) -> tuple[int, int, int]:
    """Stored activities, openings, taken keys."""
    row = await desk.pool.fetchrow(
        "SELECT (SELECT count(*) FROM scoring.activity), (SELECT count(*) FROM scoring.entry WHERE kind = 'opening'),"
        " (SELECT count(*) FROM scoring.activity_key)"
    )
    return row[0], row[1], row[2]


async def busy_year(desk: Desk) -> None:
    """A lead with a past and a present."""
    await receive(
        desk,
        JANUARY,
        did("d1", JANUARY - timedelta(days=3), attributes={"job_title": "製造部 課長", "company": "Sample KK"}),
        did("d1-again", JANUARY - timedelta(days=2), properties={"document": "d1"}),
        did("s1", JANUARY - timedelta(days=1), "seminar_attended"),
        did("v1", JANUARY, "page_viewed", lead={"email": "taro@example.co.jp", "anonymous_id": "b1"}),
        did("c1", JANUARY, "email_clicked", properties={"link": "https://example.com/a", "email_id": "m"}),
    )
    await receive(desk, NOW - timedelta(days=2), did("d2", NOW - timedelta(days=2)))
    desk.now = NOW
