"""Questions to the scoring service over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpx2
import orjson

from deploy.demo.grouping import SHARED
from shared.errors import KizashiError, reason

_IN_FLIGHT = 8
_PAGE = 1_000


class LeadsApi:
    """`GET /v1/leads` of a running scoring service. Use as `async with LeadsApi(url, key) as leads`."""

    def __init__(self, url: str, key: str) -> None:
        # A proxy of the environment is for the world outside.
        self._client = httpx2.AsyncClient(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30.0, trust_env=False
        )
        self._gate = asyncio.Semaphore(_IN_FLIGHT)

    async def __aenter__(self) -> "LeadsApi":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def pages(self) -> AsyncIterator[dict[str, Any]]:
        """Every lead there is, without reasons."""
        url: str | None = f"/v1/leads?limit={_PAGE}"
        while url:
            response = await self._get(url)
            for item in orjson.loads(response.content)["items"]:
                yield item
            url = response.links.get("next", {}).get("url")

    async def full(self, wanted: Iterable[tuple[str, str | None]]) -> dict[str, dict[str, Any] | None]:
        """Leads with their reasons, by label: found by its e-mail, or else by the id given beside it."""
        pairs = list(wanted)
        found = await asyncio.gather(*(self._one(label, lead_id) for label, lead_id in pairs))
        return {label: lead for (label, _), lead in zip(pairs, found, strict=True)}

    async def _one(self, label: str, lead_id: str | None) -> dict[str, Any] | None:
        if "@" in label and label.partition("@")[0] not in SHARED:
            items = orjson.loads((await self._get("/v1/leads", email=label)).content)["items"]
            if len(items) > 1:
                raise KizashiError(f"the API shows {len(items)} leads with one address")
            lead_id = items[0]["id"] if items else None
        if lead_id is None:
            return None
        lead: dict[str, Any] = orjson.loads((await self._get(f"/v1/leads/{lead_id}")).content)
        return lead

    async def _get(self, url: str, **query: str) -> httpx2.Response:
        async with self._gate:
            try:
                response = await self._client.get(url, params=query or None)
            except httpx2.TransportError as error:
                raise KizashiError(f"scoring does not answer: {reason(error)}") from None
        if not response.is_success:
            raise KizashiError(f"scoring answered GET {response.url.path} with {response.status_code}")
        return response
