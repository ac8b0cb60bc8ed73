"""What a call of Segment's protocol goes through: write key, origin, calls, durability, and the answer its libraries
expect.
"""

import asyncio
from functools import cache
from typing import Any

from services.ingest.collecting import WriteKeys
from services.ingest.durable import Durable, NotDurable, unavailable
from services.ingest.forms import JSON
from services.ingest.handlers import UNREAD, trace_of
from services.ingest.intake import record_of
from services.ingest.settings import IngestSettings
from services.ingest.site.calls import CALLS, items_of, read_calls, write_key_of
from services.ingest.site.config import Tag
from services.ingest.site.origins import Readable, admitted, raw_headers
from services.ingest.site.senders import Senders
from shared.clock import Clock
from shared.codec import check_json, encode
from shared.errors import FieldFault, ProblemError
from shared.telemetry import INGEST_ACTIVITIES, INGEST_REJECTED, INGEST_REQUESTS, LATE
from shared.web import Answer, LeanRequest, inflated, read_body

MAX_REPORTED = 100
IN_THREAD = 200
"""A batch of more calls is read in a thread: on the event loop it would hold up every other request."""
_TYPES = frozenset({"application/json", "text/plain", ""})
_requests, _activities = cache(INGEST_REQUESTS.labels), cache(INGEST_ACTIVITIES.labels)


class Tracking:
    """Answers `/v1/track`, `/v1/identify`, `/v1/page` and `/v1/batch`."""

    def __init__(self, settings: IngestSettings, keys: WriteKeys, clock: Clock, durable: Durable) -> None:
        self._limits = settings.ingest
        self._region = settings.region
        self._identity_key = settings.identity_key
        self._senders = Senders(settings.identity_key)
        self._keys = keys
        self._clock = clock
        self._durable = durable

    async def options(self, request: LeanRequest) -> Answer:
        """A browser asks before it sends its key. Raises ProblemError 403."""
        return 204, raw_headers(self._keys.leave(request.headers, ", authorization")), b""

    async def post(self, request: LeanRequest) -> Answer:
        """Take the good calls and report the others. Raises ProblemError with the contract's codes."""
        label = UNREAD
        try:
            request.admit_stranger()
            call = request.path.rpartition("/")[2]
            body = check_json(await self._body(request, call))
            tag = self._keys.tag(write_key_of(request.header(b"authorization"), body))
            label = tag.name
            cors = admitted(request.headers, tag.allowed_origins)
            return await self._keep(request, items_of(call, body), tag, cors)
        except ProblemError as error:
            INGEST_REQUESTS.labels(label, "unavailable" if error.status == 503 else "rejected").inc()
            INGEST_REJECTED.labels(label, error.code).inc()
            error.headers.update(self._keys.readable(request.headers))
            raise

    async def _body(self, request: LeanRequest, call: str) -> bytes:
        assert call in CALLS
        media_type = request.header(b"content-type").partition(";")[0].strip().lower()
        encoding = request.header(b"content-encoding").strip().lower()
        if media_type not in _TYPES or encoding not in ("", "identity", "gzip"):
            accept = {"Accept-Encoding": "gzip, identity"}
            raise ProblemError(415, "unsupported_media_type", "Expected JSON, as it is or by gzip.", headers=accept)
        limit = self._limits.max_batch_bytes if call == "batch" else self._limits.max_body_bytes
        body = await read_body(request, limit)
        # The libraries of this protocol compress unless told otherwise.
        return inflated(request, body, limit) if encoding == "gzip" else body

    async def _keep(self, request: LeanRequest, items: list[Any], tag: Tag, cors: Readable) -> Answer:
        now = self._clock()
        if len(items) <= IN_THREAD:
            taken, refused = read_calls(items, tag, now, self._region)
        else:
            taken, refused = await asyncio.to_thread(read_calls, items, tag, now, self._region)
        if refused and not taken:
            reasons = "; ".join(f"call {one.position}: {one.reason}" for one in refused[:8])
            place = "/batch/{}" if request.path.endswith("/batch") else ""
            faults = [FieldFault(place.format(one.position), one.reason) for one in refused[:MAX_REPORTED]]
            raise ProblemError(422, "invalid_fields", reasons, faults)
        signals = self._senders.signals("POST", request.address, request.header(b"user-agent"))
        trace = trace_of(request)
        records = []
        for one in taken:
            one.activity.signals = signals
            records.append(record_of(one.activity, self._identity_key, trace))
        try:
            durability = await self._durable.publish(records) if records else "kafka"
        except NotDurable as error:
            raise unavailable(error, self._limits.retry_after_s) from None
        LATE.count(_requests(tag.name, "accepted"))
        LATE.count(_activities(tag.name), len(taken))
        report: dict[str, Any] = {
            "success": True,
            "accepted": len(taken),
            "ids": [one.activity.id for one in taken],
            "durability": durability,
        }
        if refused:
            report["refused"] = [{"item": one.position, "reason": one.reason} for one in refused[:MAX_REPORTED]]
        return 200, [JSON, *cors.lines], encode(report)
