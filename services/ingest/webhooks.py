"""What a tool's request goes through: source, size, signature, activities, durability, the answer its tool needs."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from urllib.parse import quote

import structlog

from services.ingest.durable import Durable, NotDurable, OutgoingRecord
from services.ingest.handlers import trace_of
from services.ingest.helper import LONG_BYTES, Helpers
from services.ingest.intake import Intake
from services.ingest.reading import read_delivery
from services.ingest.settings import IngestSettings
from services.ingest.sources import hubspot, mandrill
from services.ingest.sources.base import Delivery, Headers, Reply
from services.ingest.sources.config import Source, is_miswritten
from services.ingest.sources.receive import Received
from services.ingest.sources.rejected import parts_of
from services.ingest.sources.traffic import Traffic
from shared.clock import Clock
from shared.codec import encode
from shared.errors import ProblemError
from shared.telemetry import (
    INGEST_ACTIVITIES,
    INGEST_DUPLICATES,
    INGEST_REJECTED,
    INGEST_REQUESTS,
    SOURCE_LAST_RECEIVED,
)
from shared.topics import REJECTED_WEBHOOKS
from shared.web import Answer, LeanRequest, read_body, too_large

PREFIX = "/v1/webhooks/"
NEEDS_PUBLIC_URL = frozenset({hubspot.NAME, mandrill.NAME})
"""Tools that sign the address they call."""
MAX_REPORTED = 100
JSON = (b"content-type", b"application/json")

log = structlog.get_logger()


@dataclass(slots=True)
class Station:
    """A source with what it has sent."""

    source: Source
    traffic: Traffic = field(default_factory=Traffic)


class Webhooks:
    """Answers `/v1/webhooks/{source}`, and `/v1/webhooks/{source}/{secret}`."""

    def __init__(
        self, settings: IngestSettings, sources: Mapping[str, Source], clock: Clock, durable: Durable, helpers: Helpers
    ) -> None:
        self._limits = settings.ingest
        self._identity_key = settings.identity_key
        self._clock = clock
        self._durable = durable
        self._helpers = helpers
        self.stations = {name: Station(source) for name, source in sources.items()}

    def count_fetch(self, name: str, outcome: str) -> None:
        """Note what became of a question to a source's tool."""
        self.stations[name].traffic.fetched[outcome] += 1

    def warn(self) -> None:
        """Say at the start which sources will not work as configured."""
        for name, station in self.stations.items():
            source = station.source
            if source.disabled:
                log.warning("source_disabled", source=name, reason=source.disabled)
            elif source.adapter.name in NEEDS_PUBLIC_URL and source.public_url is None:
                log.warning("source_without_public_url", source=name, adapter=source.adapter.name)
            if any(is_miswritten(secret) for secret in source.secrets):
                # It may be a secret all the same, so it is not shown.
                log.warning("secret_is_no_variable", source=name, expected="${NAME}")

    async def handle(self, request: LeanRequest) -> Answer:
        """Take what is genuine. Raises ProblemError with the contract's codes."""
        station = self.station(request.path)
        try:
            return await self._handle(request, station)
        except ProblemError as error:
            self._refuse(station, error.code)
            raise

    def station(self, path: str) -> Station:
        """The source of an address. Raises ProblemError 404."""
        name, step = _steps(path)
        station = self.stations.get(name)
        if station is None or not (step is None or (step and station.source.adapter.secret_in_path)):
            raise ProblemError(404, "not_found", "There is no such source.")
        return station

    async def _handle(self, request: LeanRequest, station: Station) -> Answer:
        source = station.source
        if source.disabled:
            # Not 404, upon which some tools switch the webhook off for good.
            raise self._unavailable("source_disabled", "This source is not fully configured yet.", source)
        delivery = await self._delivery(request, source)
        now = self._clock()
        received, intake = await self._read(station, delivery, now)
        station.traffic.last_received_at = now
        SOURCE_LAST_RECEIVED.labels(source.name).set(now.timestamp())
        station.traffic.show(received, delivery.method, len(delivery.body), now, time.monotonic())
        if received.reply is not None:
            if not received.verdict.valid:
                raise ProblemError(received.reply.status, "handshake_refused", received.reply.body.decode())
            return _sent(received.reply)
        if not received.verdict.valid:
            challenge = {"WWW-Authenticate": 'Signature realm="webhook"'}
            raise ProblemError(401, _code(received.verdict.reason), received.verdict.reason, headers=challenge)
        request.admit(PREFIX + station.source.name)
        return await self._keep(request, station, delivery, received, intake, now)

    async def _delivery(self, request: LeanRequest, source: Source) -> Delivery:
        encoding = request.header(b"content-encoding").strip().lower()
        if encoding not in ("", "identity"):
            # No tool compresses; what a signature covers would be a guess.
            accept = {"Accept-Encoding": "identity"}
            raise ProblemError(415, "unsupported_media_type", "Compressed bodies are not taken.", headers=accept)
        body = await read_body(request, self._limits.max_batch_bytes)
        if len(body) > self._limits.max_batch_bytes:
            raise too_large(self._limits.max_batch_bytes)
        headers = Headers((_text(name), _text(value)) for name, value in request.lines)
        return Delivery(request.method, _public_url(request, source), headers, body, _own_url(request))

    async def _read(self, station: Station, delivery: Delivery, now: datetime) -> tuple[Received, Intake]:
        source = station.source
        read = partial(
            read_delivery,
            source.adapter.name,
            delivery,
            source.secrets,
            source.options,
            now,
            self._identity_key,
            shown=station.traffic.watched(time.monotonic()),
        )
        size = len(delivery.body)
        return read() if size < LONG_BYTES else await self._helpers.run(read, size=size)

    async def _keep(
        self,
        request: LeanRequest,
        station: Station,
        delivery: Delivery,
        received: Received,
        intake: Intake,
        now: datetime,
    ) -> Answer:
        source, trace = station.source, trace_of(request)
        records = intake.records(trace)
        if received.refused:
            records += self._rejected(source, delivery, received, now, trace)
        durability = "kafka"
        if records:
            try:
                durability = await self._durable.publish(records)
            except NotDurable as error:
                raise self._unavailable("unavailable", f"Nothing can be kept safely now: {error}.", source) from None
        self._count(station, received, intake.ids)
        return _answer(source, received, intake.ids, durability)

    def _rejected(
        self, source: Source, delivery: Delivery, received: Received, now: datetime, trace: list[tuple[str, bytes]]
    ) -> list[OutgoingRecord]:
        part_bytes = self._limits.record_batch_bytes // 2
        parts = parts_of(source, delivery, received.verdict, received.refused, now, part_bytes)
        key = dict(trace)["x-request-id"]
        records = []
        for part in parts:
            headers = [*((name, value.encode("utf-8", "replace")) for name, value in part.headers.items()), *trace]
            size = len(part.value) + sum(len(name) + len(value) for name, value in headers)
            records.append(OutgoingRecord(REJECTED_WEBHOOKS.name, key, part.value, headers, size))
        return records

    def _count(self, station: Station, received: Received, ids: list[str]) -> None:
        name, traffic = station.source.name, station.traffic
        repeated = traffic.repeated(ids)
        traffic.accepted += len(ids)
        traffic.duplicates += repeated
        traffic.ignored += len(received.ignored)
        INGEST_REQUESTS.labels(name, "accepted").inc()
        INGEST_ACTIVITIES.labels(name).inc(len(ids))
        INGEST_DUPLICATES.labels(name).inc(repeated)
        if received.refused:
            traffic.rejected["not_understood"] += len(received.refused)
            INGEST_REJECTED.labels(name, "not_understood").inc(len(received.refused))
            log.warning("webhook_not_understood", source=name, items=len(received.refused))

    def _refuse(self, station: Station, reason: str) -> None:
        station.traffic.rejected[reason] += 1
        outcome = "unavailable" if reason in ("unavailable", "source_disabled") else "rejected"
        INGEST_REQUESTS.labels(station.source.name, outcome).inc()
        INGEST_REJECTED.labels(station.source.name, reason).inc()

    def _unavailable(self, code: str, detail: str, source: Source) -> ProblemError:
        wait = self._limits.retry_after_s
        # HubSpot's workflows are said to read the number as milliseconds; to others of its senders more does no harm.
        retry = wait * 1_000 if source.adapter.name == hubspot.NAME else wait
        return ProblemError(503, code, detail, headers={"Retry-After": str(retry)})


_CODES = {"missing header": "signature_missing", "timestamp": "signature_expired", "secret": "wrong_secret"}


def _code(reason: str) -> str:
    """The stable code of a verdict's reason."""
    return _CODES.get(reason.partition(":")[0], "invalid_signature")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _public_url(request: LeanRequest, source: Source) -> str:
    """The address the tool requested: as configured, with the query of this request in place of a configured one."""
    base = source.public_url or f"https://{request.header(b'host') or 'localhost'}{PREFIX}{source.name}"
    return f"{base.partition('?')[0]}?{_text(request.query)}" if request.query else base


def _own_url(request: LeanRequest) -> str:
    """What the request adds to the source's address, which everyone knows: a secret step, and the query."""
    return f"/{quote(_steps(request.path)[1] or '', safe='')}?{_text(request.query)}"


def _steps(path: str) -> tuple[str, str | None]:
    """Source and secret of an address, None where it ends with the source."""
    name, slash, secret = path.removeprefix(PREFIX).partition("/")
    return name, secret if slash else None


def _answer(source: Source, received: Received, ids: list[str], durability: str) -> Answer:
    understood = bool(ids or received.ignored or not received.refused)
    special = source.adapter.answer
    if special is not None:
        return _sent(special, special.status if understood else 202)
    report = {
        "accepted": len(ids),
        "ids": ids,
        "durability": durability,
        "ignored": len(received.ignored),
        "refused": [{"item": item.position, "reason": item.reason} for item in received.refused[:MAX_REPORTED]],
    }
    return 202, [JSON], encode(report)


def _sent(reply: Reply, status: int | None = None) -> Answer:
    headers = [(b"content-type", reply.content_type.encode()), (b"x-content-type-options", b"nosniff")]
    headers += [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in reply.headers]
    return status or reply.status, headers, reply.body
