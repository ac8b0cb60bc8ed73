"""Tracked links and open pixels: served in any case, recorded where that is possible."""

import asyncio
import base64
from datetime import datetime
from typing import Any

import structlog

from services.ingest.durable import Durable, NotDurable
from services.ingest.handlers import trace_of
from services.ingest.ids import new_id
from services.ingest.intake import record_of
from services.ingest.settings import IngestSettings
from services.ingest.site.senders import Senders
from services.ingest.site.tokens import BadToken, Mark, Tokens
from shared.activity import parse_posted
from shared.clock import Clock
from shared.errors import ProblemError
from shared.posted import ActivityFaults
from shared.telemetry import INGEST_ACTIVITIES, INGEST_REJECTED, INGEST_REQUESTS, LATE, TRACKING_LOST
from shared.web import Answer, LeanRequest, RawHeaders

SOURCE = "links"
CLICK, OPEN = "/v1/c/", "/v1/o/"
PATIENCE_S = 1.0
"""How long a person who clicked waits for what they did to be kept; it goes on being kept afterwards."""
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
"""A GIF of one transparent pixel."""
_UNCACHED: RawHeaders = [
    (b"cache-control", b"no-store, max-age=0"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-robots-tag", b"noindex, nofollow"),
]

log = structlog.get_logger()


class Links:
    """Answers `/v1/c/{token}` and `/v1/o/{token}.gif`."""

    def __init__(self, settings: IngestSettings, clock: Clock, durable: Durable) -> None:
        limits = settings.ingest
        self._identity_key = settings.identity_key
        self._region = settings.region
        self._tokens = Tokens(settings.identity_key, limits.link_key_version, limits.link_key_oldest)
        self._senders = Senders(settings.identity_key)
        self._clock = clock
        self._durable = durable
        self._keeping: set[asyncio.Task[None]] = set()

    async def click(self, request: LeanRequest) -> Answer:
        """On to the address inside the token, and to no other. Raises ProblemError 404 for a token that is not ours."""
        mark = self._mark(request.path.removeprefix(CLICK))
        if mark is None or mark.url is None:
            raise ProblemError(404, "not_found", "This link was not made here, or is no longer valid.")
        await self._keep(request, mark, "email_clicked" if mark.email_id else "link_clicked")
        return 302, [(b"location", mark.url.encode()), *_UNCACHED], b""

    async def open(self, request: LeanRequest) -> Answer:
        """The pixel, also for a token that is not ours: a mail shows no broken picture."""
        mark = self._mark(request.path.removeprefix(OPEN).removesuffix(".gif"))
        if mark is not None:
            await self._keep(request, mark, "email_opened")
        return 200, [(b"content-type", b"image/gif"), *_UNCACHED], PIXEL

    def _mark(self, token: str) -> Mark | None:
        try:
            return self._tokens.open(token)
        except BadToken:
            INGEST_REQUESTS.labels(SOURCE, "rejected").inc()
            INGEST_REJECTED.labels(SOURCE, "invalid_token").inc()
            return None

    async def _keep(self, request: LeanRequest, mark: Mark, type_: str) -> None:
        """Never raises for what cannot be kept; the loss is counted."""
        task = asyncio.ensure_future(self._publish(request, mark, type_))
        self._keeping.add(task)
        task.add_done_callback(self._keeping.discard)
        await asyncio.wait({task}, timeout=PATIENCE_S)

    async def _publish(self, request: LeanRequest, mark: Mark, type_: str) -> None:
        now = self._clock()
        try:
            raw = posted_of(mark, type_, now)
            activity = parse_posted(raw, id_if_absent="", source_if_absent=SOURCE, received_at=now, region=self._region)
            activity.signals = self._signals(request, mark, now)
            await self._durable.publish([record_of(activity, self._identity_key, trace_of(request))])
        except NotDurable:
            TRACKING_LOST.labels(type_, "unavailable").inc()
        except ActivityFaults:
            TRACKING_LOST.labels(type_, "invalid").inc()
        except Exception:
            TRACKING_LOST.labels(type_, "failed").inc()
            log.exception("tracking_failed", type=type_)
        else:
            LATE.count(INGEST_REQUESTS.labels(SOURCE, "accepted"))
            LATE.count(INGEST_ACTIVITIES.labels(SOURCE))

    def _signals(self, request: LeanRequest, mark: Mark, now: datetime) -> dict[str, Any]:
        signals = self._senders.signals(request.method, request.address, request.header(b"user-agent"))
        if mark.sent_at is not None:
            signals["since_sent_s"] = round(max(0.0, now.timestamp() - mark.sent_at), 3)
        if mark.link is not None:
            signals["link"] = mark.link
        if mark.honeypot:
            signals["honeypot"] = True
        return signals


def posted_of(mark: Mark, type_: str, now: datetime) -> dict[str, Any]:
    """What a hit on a token means, as an activity as posted."""
    lead: dict[str, Any] = {}
    if mark.email:
        lead["email"] = mark.email
    if mark.external_id:
        system, _, known_as = mark.external_id.partition(":")
        lead["external_ids"] = {system: known_as}
    about = {"email_id": mark.email_id, "campaign": mark.campaign, "link": mark.url, "link_id": mark.link}
    properties = {name: value for name, value in about.items() if value is not None}
    return {"id": new_id(now), "source": SOURCE, "type": type_, "lead": lead, "properties": properties}
