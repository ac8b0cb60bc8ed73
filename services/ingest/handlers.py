"""What a posted request goes through: key, media type, size, JSON, activities, durability, answer."""

import os
import re
import time
from collections import Counter
from datetime import datetime
from functools import partial

from services.ingest import cloudevents
from services.ingest.durable import Durable, NotDurable
from services.ingest.ids import uuid7
from services.ingest.intake import JSON_TYPE, Arrival, Intake, Terms, take
from services.ingest.settings import IngestLimits, IngestSettings
from shared.clock import Clock
from shared.codec import encode
from shared.errors import ProblemError
from shared.keys import KeyStore
from shared.telemetry import INGEST_ACTIVITIES, INGEST_DURATION, INGEST_REJECTED, INGEST_REQUESTS, BoundedLabels
from shared.web import Answer, LeanRequest, check_json, read_body, too_large

SCOPE = "activities:write"
MEDIA_TYPES = frozenset({JSON_TYPE, cloudevents.STRUCTURED_TYPE, cloudevents.BATCH_TYPE})
SEVERAL, UNREAD = "several", "unread"
"""Labels for a request with activities of more than one source, and for one refused before its source was known."""

_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_RETRY_KEY = re.compile(r"[\x20-\x7e]{1,255}")
_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii"})


class Activities:
    """Answers `POST /v1/activities`."""

    def __init__(self, settings: IngestSettings, keys: KeyStore, clock: Clock, durable: Durable) -> None:
        limits = settings.ingest
        self._limits: IngestLimits = limits
        self._terms = Terms(limits.max_activity_bytes, limits.max_items, settings.identity_key, settings.region)
        self._keys = keys
        self._clock = clock
        self._durable = durable
        self._label = BoundedLabels()

    async def post(self, request: LeanRequest) -> Answer:
        """Take the request whole or refuse it whole. Raises ProblemError with the contract's codes."""
        source = UNREAD
        try:
            now = self._clock()
            self._keys.authorize(request.headers.get(b"authorization", b"").decode("latin-1"), SCOPE, now)
            intake = await self._take(request, now)
            source = self._source(intake)
            durability = await self._durable.publish(intake.records) if intake.records else "kafka"
        except NotDurable as error:
            self._count(source, "unavailable", "unavailable")
            retry = {"Retry-After": str(self._limits.retry_after_s)}
            raise ProblemError(503, "unavailable", f"Nothing can be kept safely now: {error}.", headers=retry) from None
        except ProblemError as error:
            self._count(source, "rejected", error.code)
            raise
        self._count(source, "accepted")
        for name, count in Counter(intake.sources).items():
            INGEST_ACTIVITIES.labels(self._label(name)).inc(count)
        INGEST_DURATION.observe(time.perf_counter() - request.started)
        answer = {"accepted": len(intake.ids), "ids": intake.ids, "durability": durability}
        return 202, [(b"content-type", b"application/json")], encode(answer)

    async def _take(self, request: LeanRequest, now: datetime) -> Intake:
        media_type = media_type_of(request)
        retry_key = retry_key_of(request)
        body = await read_body(request, self._limits.max_batch_bytes)
        if len(body) > self._limits.max_body_bytes and not body.lstrip()[:1] == b"[":
            raise too_large(self._limits.max_body_bytes)
        arrival = Arrival(
            media_type=media_type,
            headers=request.headers,
            idempotency_key=retry_key,
            received_at=now,
            new_id=partial(_new_id, now),
            trace=trace_of(request),
        )
        return take(check_json(body), len(body), arrival, self._terms)

    def _source(self, intake: Intake) -> str:
        names = set(intake.sources)
        return self._label(names.pop()) if len(names) == 1 else SEVERAL

    def _count(self, source: str, outcome: str, reason: str | None = None) -> None:
        INGEST_REQUESTS.labels(source, outcome).inc()
        if reason is not None:
            INGEST_REJECTED.labels(source, reason).inc()


def media_type_of(request: LeanRequest) -> str:
    """The body's media type. Raises ProblemError 415 for one that is not taken, another charset, or compression."""
    if request.headers.get(b"content-encoding", b"identity").strip().lower() not in (b"", b"identity"):
        # Inflating would need a second set of limits; senders of JSON this small gain little by it.
        raise ProblemError(
            415, "unsupported_media_type", "Compressed bodies are not taken.", headers={"Accept-Encoding": "identity"}
        )
    media_type, _, parameters = request.header(b"content-type").partition(";")
    media_type = media_type.strip().lower()
    if media_type not in MEDIA_TYPES:
        raise ProblemError(415, "unsupported_media_type", f"Expected Content-Type {', '.join(sorted(MEDIA_TYPES))}.")
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in _CHARSETS:
            raise ProblemError(415, "unsupported_media_type", "JSON is taken in UTF-8 only.")
    return media_type


def retry_key_of(request: LeanRequest) -> str | None:
    """The `Idempotency-Key`, if any. Raises ProblemError 400 for one beyond 255 printable ASCII characters."""
    if b"idempotency-key" not in request.headers:
        return None
    key = request.header(b"idempotency-key").strip()
    if not _RETRY_KEY.fullmatch(key):
        raise ProblemError(400, "invalid_header", "An Idempotency-Key is 1 to 255 printable ASCII characters.")
    return key


def trace_of(request: LeanRequest) -> list[tuple[str, bytes]]:
    """Record headers that lead from a record back to its request."""
    trace = [("x-request-id", request.request_id.encode())]
    traceparent = request.headers.get(b"traceparent")
    if traceparent is not None and _TRACEPARENT.fullmatch(traceparent):
        trace.append(("traceparent", traceparent))
    return trace


def _new_id(now: datetime) -> str:
    return uuid7(int(now.timestamp() * 1_000), os.urandom(10))
