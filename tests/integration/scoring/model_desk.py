"""Scoring models by API, as the tests use it: the service's routes on a desk's database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx2

from services.scoring.app import ROUTER
from services.scoring.models import ModelsInForce
from services.scoring.reading import LeadReader
from services.scoring.refold import refold_some
from shared.clock import to_rfc3339
from shared.documents import read_document
from shared.identity import EMAIL
from shared.keys import create_key
from shared.postgres import create_engine
from shared.web import create_app
from tests.integration.scoring.desk import MODEL, NOW, Desk, lead_of

TREE: dict[str, Any] = read_document(MODEL).tree
TARO, HANAKO = lead_of(EMAIL, "taro@example.co.jp"), lead_of(EMAIL, "hanako@example.co.jp")


def worth(points: float, **more: Any) -> dict[str, Any]:
    """The test's model with another worth of a download."""
    rules = [rule | {"points": points} if rule["id"] == "download" else rule for rule in TREE["engagement"]["rules"]]
    return {**TREE, **more, "engagement": {**TREE["engagement"], "rules": rules}}


@asynccontextmanager
async def open_api(desk: Desk) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the routes, with the rights of marketing operations."""

    async def ready() -> dict[str, str | None]:
        return {}

    settings = desk.settings.model_copy(update={"data_dir": desk.settings.config_dir})
    app = create_app(title="t", version="0", settings=settings, lifespan=None, readiness=ready, clock=lambda: desk.now)
    app.include_router(ROUTER)
    engine = create_engine(settings.database, name="test-api")
    app.state.pool, app.state.models, app.state.reader = desk.pool, desk.models, LeadReader(engine, desk.models)
    key = create_key(settings.key_store_path, "marketing", ["models:write", "leads:read"], NOW)
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://scoring", headers={"Authorization": f"Bearer {key}"}
    ) as client:
        yield client
    await engine.dispose()


def download(id_: str, email: str = "taro@example.co.jp", days: float = 3) -> dict[str, Any]:
    return {
        "id": id_,
        "type": "document_downloaded",
        "occurred_at": to_rfc3339(NOW - timedelta(days=days)),
        "lead": {"email": email},
        "properties": {"document": id_},
    }


async def fold(desk: Desk, models: ModelsInForce | None = None) -> int:
    """Let the background work until nothing is left to do at this instant; returns how many turns it took."""
    turns = 0
    while await refold_some(desk.pool, desk.settings, models or desk.models, lambda: desk.now):
        turns += 1
    return turns


async def draft(api: httpx2.AsyncClient, tree: dict[str, Any]) -> tuple[str, str]:
    """The address and ETag of a new draft."""
    made = await api.post("/v1/models", json=tree)
    assert made.status_code == 201, made.text
    return made.headers["Location"], made.headers["ETag"]


async def publish(api: httpx2.AsyncClient, address: str, **body: Any) -> dict[str, Any]:
    answer = await api.post(f"{address}/publish", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def scores(desk: Desk) -> list[tuple[str, str, bool | None, int, float]]:
    """What was published: lead, cause, silent, version of the model, score."""
    return [
        (key, value["cause"], value.get("silent"), value["models"]["test"]["version"], value["models"]["test"]["score"])
        for key, value in await desk.published()
        if value
    ]
