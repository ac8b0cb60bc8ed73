"""A sender of deliveries on its own, between a real database and receivers in processes of their own."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import orjson

from services.handoff.app import HandoffService
from services.handoff.channels import Channels
from services.handoff.core.delivery import Event, Wish
from services.handoff.delivery_repository import DeliveryRepository
from services.handoff.managing import Destinations
from services.handoff.sending import Sender
from services.handoff.settings import HandoffSettings
from services.handoff.tables import SCHEMA
from services.handoff.vault import Vault
from shared import schemas
from shared.clock import system_clock, to_rfc3339
from shared.events import QUALIFIED
from shared.migrate import upgrade
from shared.postgres import create_pool
from shared.settings import DatabaseSettings, OutgoingSettings

SECRET = "the identity secret of the measurements"  # noqa: S105 - of a database that is thrown away
WITHIN_S = 120.0
_numbers = itertools.count(1)
_LEAD = next(iter(schemas.examples(QUALIFIED).values()))


def event() -> Event:
    """A qualified lead that nobody has seen yet."""
    number, now = next(_numbers), system_clock()
    lead_id = f"lead-{number}"
    data = {**_LEAD, "lead": {**_LEAD["lead"], "id": lead_id}}
    id_ = f"{lead_id}:hot:1"
    return Event(id_, "bench", QUALIFIED, to_rfc3339(now), "qualified-leads", lead_id, now, orjson.dumps(data), data)


@dataclass(frozen=True, slots=True)
class Desk:
    """A migrated database, and what makes and serves destinations on it."""

    pool: asyncpg.Pool
    settings: HandoffSettings
    channels: Channels
    destinations: Destinations

    async def make(self, url: str) -> UUID:
        """A webhook destination."""
        view, _ = await self.destinations.make({"kind": "webhook", "name": f"d-{next(_numbers)}", "url": url})
        return UUID(view["id"])

    async def remove(self) -> None:
        """Every destination with all that belongs to it."""
        await self.pool.execute("DELETE FROM handoff.destination")

    async def publish(self, events: Sequence[Event]) -> None:
        """Deliveries of these events to every destination, as the consumer writes them."""
        async with self.pool.acquire() as conn, conn.transaction():
            repository = DeliveryRepository(conn)
            wishes: list[Wish] = await repository.wishes()
            made = [(wish, one, "waiting") for one in events for wish in wishes]
            await repository.add(made, system_clock())  # type: ignore[arg-type]

    async def delivered(self, ids: Sequence[UUID], count: int) -> None:
        """Wait until so many deliveries to these destinations are made. Raises TimeoutError."""
        async with asyncio.timeout(WITHIN_S):
            while count > await self.pool.fetchval(  # noqa: ASYNC110 - it stands in the database
                "SELECT count(*) FROM handoff.delivery WHERE destination_id = ANY($1::uuid[]) AND state = 'delivered'",
                list(ids),
            ):
                await asyncio.sleep(0.02)

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[Sender]:
        """The sender while the body runs."""
        sender = Sender(self.pool, self.settings, self.channels, system_clock)
        task = asyncio.create_task(sender.run())
        try:
            yield sender
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@asynccontextmanager
async def desk(database_url: str, folder: Path, receivers: Sequence[str]) -> AsyncIterator[Desk]:
    """A desk that may send to `receivers`."""
    settings = HandoffSettings(
        data_dir=folder,
        identity_secret=SECRET,
        database=DatabaseSettings(url=database_url),
        outgoing=OutgoingSettings(allow=",".join(urlsplit(url).netloc for url in receivers)),
    )
    await upgrade(settings.database, HandoffService.migrations, SCHEMA)
    pool = await create_pool(settings.database, name="bench")
    vault = Vault(settings)
    channels = Channels(settings, vault, {})
    try:
        yield Desk(pool, settings, channels, Destinations(pool, settings, vault, channels, system_clock))
    finally:
        await pool.close()
