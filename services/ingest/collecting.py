"""What the page tag's requests go through: key, origin, activities, durability. And the tag itself."""

import gzip
import hashlib
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import structlog

from services.ingest.durable import Durable, NotDurable, OutgoingRecord, unavailable
from services.ingest.forms import JSON
from services.ingest.handlers import UNREAD, trace_of
from services.ingest.ids import new_id
from services.ingest.intake import record_of
from services.ingest.settings import IngestSettings
from services.ingest.site.beacons import Beacon, posted_of, read_beacon
from services.ingest.site.config import Tag
from services.ingest.site.origins import Readable, admitted, leave, origin_of, raw_headers
from services.ingest.site.senders import Senders
from shared.activity import Activity, parse_posted
from shared.clock import Clock
from shared.codec import check_json, encode
from shared.errors import FieldFault, ProblemError
from shared.posted import ActivityFaults
from shared.telemetry import INGEST_ACTIVITIES, INGEST_REJECTED, INGEST_REQUESTS, LATE
from shared.web import Answer, LeanRequest, read_body

TAG_FILE = Path(__file__).parent / "site" / "tag.js"
TAG_KEPT_S = 3_600
_TYPES = frozenset({"application/json", "text/plain", ""})
_requests, _activities = cache(INGEST_REQUESTS.labels), cache(INGEST_ACTIVITIES.labels)

log = structlog.get_logger()


class WriteKeys:
    """The sites by their public keys."""

    def __init__(self, tags: Mapping[str, Tag]) -> None:
        self._tags = {key: tag for tag in tags.values() if not tag.disabled for key in tag.write_keys}
        self._disabled = {name: tag.disabled for name, tag in tags.items() if tag.disabled}
        self._origins = frozenset(origin for tag in tags.values() for origin in tag.allowed_origins)

    def warn(self) -> None:
        """Say at the start which sites may not send."""
        for name, reason in self._disabled.items():
            log.warning("source_disabled", source=name, reason=reason)

    def tag(self, key: str) -> Tag:
        """The site of a key. Raises ProblemError 401."""
        tag = self._tags.get(key)
        if tag is None:
            challenge = {"WWW-Authenticate": 'Basic realm="write key"'}
            raise ProblemError(401, "unauthorized", "There is no such write key.", headers=challenge)
        return tag

    def leave(self, headers: Mapping[bytes, bytes], extra: str = "") -> dict[str, str]:
        """The answer to a browser's question, which names no key yet. Raises ProblemError 403."""
        return leave(headers, self._origins, extra)

    def readable(self, headers: Mapping[bytes, bytes]) -> dict[str, str]:
        """The headers of a refusal, if it goes to a page of any site, so that its developer can read it."""
        origin = origin_of(headers)
        allowed = origin is not None and origin in self._origins
        return {"Access-Control-Allow-Origin": origin or "", "Vary": "Origin"} if allowed else {}


class Collecting:
    """Answers `POST /v1/collect` and `GET /v1/tag.js`."""

    def __init__(self, settings: IngestSettings, keys: WriteKeys, clock: Clock, durable: Durable) -> None:
        self._limits = settings.ingest
        self._region = settings.region
        self._identity_key = settings.identity_key
        self._senders = Senders(settings.identity_key)
        self._keys = keys
        self._clock = clock
        self._durable = durable
        self._tag = shortened(TAG_FILE.read_text(encoding="utf-8"))
        self._packed = gzip.compress(self._tag, 9, mtime=0)
        self._etag = f'"{hashlib.sha256(self._tag).hexdigest()[:16]}"'.encode()

    async def script(self, request: LeanRequest) -> Answer:
        """The tag, compressed where the browser takes that."""
        headers = [
            (b"content-type", b"text/javascript; charset=utf-8"),
            (b"cache-control", b"public, max-age=%d" % TAG_KEPT_S),
            (b"etag", self._etag),
            (b"vary", b"Accept-Encoding"),
            (b"access-control-allow-origin", b"*"),
            (b"cross-origin-resource-policy", b"cross-origin"),
            (b"x-content-type-options", b"nosniff"),
        ]
        if self._etag in request.headers.get(b"if-none-match", b""):
            return 304, headers, b""
        if b"gzip" in request.headers.get(b"accept-encoding", b""):
            return 200, [*headers, (b"content-encoding", b"gzip")], self._packed
        return 200, headers, self._tag

    async def options(self, request: LeanRequest) -> Answer:
        """A browser asks before it sends JSON. Raises ProblemError 403."""
        return 204, raw_headers(self._keys.leave(request.headers)), b""

    async def post(self, request: LeanRequest) -> Answer:
        """Take the good activities and report the others. Raises ProblemError with the contract's codes."""
        label = UNREAD
        try:
            request.admit_stranger()
            now = self._clock()
            beacon = await self._beacon(request)
            tag = self._keys.tag(beacon.write_key)
            label = tag.name
            cors = admitted(request.headers, tag.allowed_origins)
            return await self._keep(request, beacon, tag, cors, now)
        except ProblemError as error:
            INGEST_REQUESTS.labels(label, "unavailable" if error.status == 503 else "rejected").inc()
            INGEST_REJECTED.labels(label, error.code).inc()
            error.headers.update(self._keys.readable(request.headers))
            raise

    async def _beacon(self, request: LeanRequest) -> Beacon:
        media_type = request.header(b"content-type").partition(";")[0].strip().lower()
        if media_type not in _TYPES or request.header(b"content-encoding").strip().lower() not in ("", "identity"):
            raise ProblemError(
                415, "unsupported_media_type", "Expected JSON, as application/json or text/plain, not compressed."
            )
        body = await read_body(request, self._limits.max_body_bytes)
        key = ""
        if request.query:
            key = parse_qs(request.query.decode("latin-1")).get("write_key", [""])[0]
        return read_beacon(check_json(body), key)

    async def _keep(self, request: LeanRequest, beacon: Beacon, tag: Tag, cors: Readable, now: datetime) -> Answer:
        signals = self._senders.signals("POST", request.address, request.header(b"user-agent"))
        trace = trace_of(request)
        ids: list[str] = []
        records: list[OutgoingRecord] = []
        refused: list[dict[str, Any]] = []
        faults: list[FieldFault] = []
        for number, item in enumerate(beacon.activities):
            try:
                activity = self._activity(item, beacon, tag, now)
            except ActivityFaults as error:
                refused.append({"item": number, "reason": str(error)})
                faults += [FieldFault(f"/activities/{number}{one.pointer}", one.detail) for one in error.faults]
                continue
            activity.signals = signals
            ids.append(activity.id)
            records.append(record_of(activity, self._identity_key, trace))
        if refused and not records:
            reasons = "; ".join(f"activity {one['item']}: {one['reason']}" for one in refused[:8])
            raise ProblemError(422, "invalid_fields", reasons, faults)
        try:
            durability = await self._durable.publish(records) if records else "kafka"
        except NotDurable as error:
            raise unavailable(error, self._limits.retry_after_s) from None
        LATE.count(_requests(tag.name, "accepted"))
        LATE.count(_activities(tag.name), len(ids))
        report = {"accepted": len(ids), "ids": ids, "durability": durability}
        return 202, [JSON, *cors.lines], encode({**report, "refused": refused} if refused else report)

    def _activity(self, item: Any, beacon: Beacon, tag: Tag, now: datetime) -> Activity:
        """Raises ActivityFaults."""
        raw, limit = posted_of(item, beacon, tag, now), self._limits.max_activity_bytes
        if len(encode(raw)) > limit:
            raise ActivityFaults([FieldFault("", f"is larger than {limit:,} bytes")])
        return parse_posted(
            raw, id_if_absent=new_id(now), source_if_absent=tag.name, received_at=now, region=self._region
        )


def shortened(script: str) -> bytes:
    """A script without its comments on lines of their own and its indentation."""
    lines = (line.strip() for line in script.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//")).encode()
