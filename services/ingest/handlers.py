"""What a posted request goes through: key, media type, size, JSON, activities, durability, answer."""

import re
from collections import Counter
from datetime import datetime
from functools import cache, lru_cache

from services.ingest import cloudevents
from services.ingest.durable import Durability, Durable, NotDurable
from services.ingest.helper import LONG_BYTES, Helpers
from services.ingest.ids import new_id
from services.ingest.intake import JSON_TYPE, Arrival, Intake, Terms
from services.ingest.reading import read_posted
from services.ingest.settings import IngestLimits, IngestSettings
from shared.clock import Clock
from shared.codec import encode
from shared.errors import ProblemError
from shared.keys import KeyStore
from shared.telemetry import INGEST_ACTIVITIES, INGEST_REJECTED, INGEST_REQUESTS, LATE, BoundedLabels
from shared.web import Answer, LeanRequest, read_body, too_large

SCOPE = "activities:write"
MEDIA_TYPES = frozenset({JSON_TYPE, cloudevents.STRUCTURED_TYPE, cloudevents.BATCH_TYPE})
SEVERAL, UNREAD = "several", "unread"
"""Labels for a request with activities of more than one source, and for one refused before its source was known."""

_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_RETRY_KEY = re.compile(r"[\x20-\x7e]{1,255}")
# Label values are few (see BoundedLabels), and finding a metric's child costs more than using it.
_requests, _rejected, _activities = (
    cache(metric.labels) for metric in (INGEST_REQUESTS, INGEST_REJECTED, INGEST_ACTIVITIES)
)
_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii"})


class Activities:
    """Answers `POST /v1/activities`."""

    def __init__(
        self, settings: IngestSettings, keys: KeyStore, clock: Clock, durable: Durable, helpers: Helpers
    ) -> None:
        limits = settings.ingest
        self._limits: IngestLimits = limits
        self._terms = Terms(limits.max_activity_bytes, limits.max_items, settings.identity_key, settings.region, new_id)
        self._keys = keys
        self._clock = clock
        self._durable = durable
        self._helpers = helpers
        self._label = BoundedLabels()

    async def post(self, request: LeanRequest) -> Answer:
        """Take the request whole or refuse it whole. Raises ProblemError with the contract's codes."""
        label = UNREAD
        durability: Durability = "kafka"
        try:
            now = self._clock()
            key = self._keys.authorize(request.headers.get(b"authorization", b"").decode("latin-1"), SCOPE, now)
            request.admit(key.id)
            intake = await self._take(request, now)
            if intake.sources:
                label = self._label_of(intake.sources)
                durability = await self._durable.publish(intake.records(trace_of(request)))
        except NotDurable as error:
            raise self._unavailable(error, label) from None
        except ProblemError as error:
            _requests(label, "rejected").inc()
            _rejected(label, error.code).inc()
            raise
        LATE.count(_requests(label, "accepted"))
        if intake.sources:
            self._count(intake.sources, label)
        answer = {"accepted": len(intake.ids), "ids": intake.ids, "durability": durability}
        return 202, [(b"content-type", b"application/json")], encode(answer)

    async def _take(self, request: LeanRequest, now: datetime) -> Intake:
        media_type = media_type_of(request)
        retry_key = retry_key_of(request)
        body = await read_body(request, self._limits.max_batch_bytes)
        if len(body) > self._limits.max_body_bytes and body.lstrip()[:1] != b"[":
            raise too_large(self._limits.max_body_bytes)
        if len(body) < LONG_BYTES:
            return read_posted(body, Arrival(media_type, request.headers, retry_key, now), self._terms)
        headers = {name: text for name, text in request.headers.items() if name.startswith(b"ce-")}
        arrival = Arrival(media_type, headers, retry_key, now)
        return await self._helpers.run(read_posted, body, arrival, self._terms, size=len(body))

    def _label_of(self, sources: list[str]) -> str:
        return self._label(sources[0]) if sources.count(sources[0]) == len(sources) else SEVERAL

    def _count(self, sources: list[str], label: str) -> None:
        if label != SEVERAL:
            LATE.count(_activities(label), len(sources))
            return
        for source, count in Counter(sources).items():
            _activities(self._label(source)).inc(count)

    def _unavailable(self, error: NotDurable, label: str) -> ProblemError:
        _requests(label, "unavailable").inc()
        _rejected(label, "unavailable").inc()
        retry = {"Retry-After": str(self._limits.retry_after_s)}
        return ProblemError(503, "unavailable", f"Nothing can be kept safely now: {error}.", headers=retry)


def media_type_of(request: LeanRequest) -> str:
    """The body's media type. Raises ProblemError 415 for one that is not taken, another charset, or compression."""
    headers = request.headers
    if b"content-encoding" in headers and headers[b"content-encoding"].strip().lower() not in (b"", b"identity"):
        # Inflating would need limits of its own; bodies this small gain little by it.
        accept = {"Accept-Encoding": "identity"}
        raise ProblemError(415, "unsupported_media_type", "Compressed bodies are not taken.", headers=accept)
    return _media_type(headers.get(b"content-type", b""))


@lru_cache(maxsize=64)
def _media_type(content_type: bytes) -> str:
    media_type, _, parameters = content_type.decode("latin-1").partition(";")
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
