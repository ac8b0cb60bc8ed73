from collections.abc import AsyncIterator

import httpx2
import pytest

from services.ingest.settings import IngestSettings
from tests.unit.ingest.conftest import ListedRecords
from tests.unit.ingest.site.desk import site_client


@pytest.fixture
async def page(settings: IngestSettings, durable: ListedRecords) -> AsyncIterator[httpx2.AsyncClient]:
    """What a page's requests go to."""
    async with site_client(settings, durable) as client:
        yield client
