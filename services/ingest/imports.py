"""What a posted card list goes through: key, upload, layout, records, durability, report."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, BinaryIO

import structlog

from services.ingest.cards.listing import Listing, NoList, count_records, read_layout
from services.ingest.cards.notes import Language
from services.ingest.cards.options import CardOptions, OptionFaults, read_options
from services.ingest.cards.report import Rendering, accepted_type, preview_of, record_of, summary_of
from services.ingest.durable import Durable, NotDurable, OutgoingRecord, Overloaded
from services.ingest.handlers import SCOPE, trace_of
from services.ingest.intake import record_of as outgoing
from services.ingest.settings import IngestSettings
from services.ingest.uploads import Upload
from shared.clock import Clock
from shared.codec import encode
from shared.errors import ProblemError
from shared.keys import ApiKey, KeyStore
from shared.telemetry import INGEST_ACTIVITIES, INGEST_DUPLICATES, INGEST_REJECTED, INGEST_REQUESTS, BoundedLabels
from shared.web import Answer, LeanRequest, StreamedAnswer
from shared.web.problems import prefers_japanese

PREFIX = "/v1/imports/"
BATCH = 500
"""Records that are read at a time, in a thread, and published together."""
PART_BYTES = 262_144
OVERLOAD_TRIES, OVERLOAD_PAUSE_S = 100, 0.1
UNREAD = "unread"
TOO_MANY = "too_many_records"

log = structlog.get_logger()


@dataclass(slots=True)
class Progress:
    """How far an import is: `bytes` of `size` are read, `records` are safe."""

    state: str = "receiving"
    size: int = 0
    bytes: int = 0
    records: int = 0


@dataclass(slots=True)
class Taken:
    """Some records, read: those to publish, and their part of the report."""

    count: int
    records: list[OutgoingRecord]
    report: bytes


class Imports:
    """Answers `POST /v1/imports/business-cards` and tells how far an import is."""

    def __init__(self, settings: IngestSettings, keys: KeyStore, clock: Clock, durable: Durable) -> None:
        self._settings, self._limits = settings, settings.ingest
        self._keys, self._clock, self._durable = keys, clock, durable
        self._label = BoundedLabels()
        self._running: dict[str, Progress] = {}

    async def post(self, request: LeanRequest) -> StreamedAnswer:
        """Take the good records and report the bad ones. Raises ProblemError with the contract's codes."""
        label = UNREAD
        try:
            now = self._clock()
            request.admit(self._authorize(request, now).id)
            with self._slot(request) as progress, ExitStack() as held:
                file, report = held.enter_context(self._scratch()), held.enter_context(self._scratch())
                options, rendering = await self._receive(request, file, progress)
                label = self._label(options.source)
                listing = await self._open(file, options, now)
                progress.state = "working"
                summary = await self._run(request, listing, options, report, rendering, file, progress)
                report.write(rendering.end(summary))
                size = report.tell()
                self._count(label, summary)
                held.pop_all()
                file.close()
        except OSError as error:
            # The disk is full or broken; what was published so far is found again by its ids.
            log.warning("import_not_kept", error=type(error).__name__, errno=error.errno)
            INGEST_REQUESTS.labels(label, "unavailable").inc()
            raise self._unavailable("The disk takes no list now; send it again later.") from None
        except ProblemError as error:
            outcome = "unavailable" if error.status == 503 else "rejected"
            INGEST_REQUESTS.labels(label, outcome).inc()
            INGEST_REJECTED.labels(label, error.code).inc()
            raise
        headers = [(b"content-type", rendering.content_type.encode()), (b"x-content-type-options", b"nosniff")]
        return StreamedAnswer(200 if options.dry_run else 202, headers, size, _parts(report))

    async def progress(self, request: LeanRequest) -> Answer:
        """How far the import with this request id is; 404 once its report is on the way."""
        self._authorize(request, self._clock())
        found = self._running.get(request.path.removeprefix(PREFIX))
        if found is None:
            raise ProblemError(404, "not_found", "No such import is under way in this process.")
        body = {"state": found.state, "size": found.size, "bytes": found.bytes, "records": found.records}
        return 200, [(b"content-type", b"application/json")], encode(body)

    def _authorize(self, request: LeanRequest, now: datetime) -> ApiKey:
        key = self._keys.authorize(request.header(b"authorization"), SCOPE, now)
        request.admit(key.id)
        return key

    @contextmanager
    def _slot(self, request: LeanRequest) -> Iterator[Progress]:
        if len(self._running) >= self._limits.max_imports or request.request_id in self._running:
            raise self._unavailable("Other imports are under way; nothing of this one was taken.")
        progress = self._running[request.request_id] = Progress()
        try:
            yield progress
        finally:
            del self._running[request.request_id]

    def _scratch(self) -> BinaryIO:
        """A file without a name, gone with the process: not in /tmp, which may be memory."""
        folder = self._limits.spool_dir or self._settings.data_dir
        folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=folder, prefix="import-")

    async def _receive(self, request: LeanRequest, file: BinaryIO, progress: Progress) -> tuple[CardOptions, Rendering]:
        if request.header(b"content-encoding").strip().lower() not in ("", "identity"):
            accept = {"Accept-Encoding": "identity"}
            raise ProblemError(415, "unsupported_media_type", "Compressed bodies are not taken.", headers=accept)
        media_type = accepted_type(request.header(b"accept"))
        if media_type is None:
            raise ProblemError(406, "not_acceptable", "Reports are JSON lines, JSON or CSV.")
        upload = Upload(request.header(b"content-type"), file, self._limits.max_import_bytes)
        fields = await upload.read(request)
        progress.size = upload.size
        language: Language = "ja" if prefers_japanese(request.header(b"accept-language")) else "en"
        try:
            options = read_options(fields, region=self._settings.region, language=language)
        except OptionFaults as error:
            detail = "Some options are not as expected; nothing was taken."
            raise ProblemError(422, "invalid_fields", detail, error.faults) from None
        return options, Rendering(media_type, options.report_encoding, options.language)

    async def _open(self, file: BinaryIO, options: CardOptions, now: datetime) -> Listing:
        limit = self._limits.max_import_records
        try:
            layout = await asyncio.to_thread(read_layout, file, options)
        except NoList as error:
            raise ProblemError(422, error.code, str(error)) from None
        if await asyncio.to_thread(count_records, file, layout, limit) > limit:
            raise ProblemError(413, TOO_MANY, f"At most {limit:,} records go into one import; nothing was taken.")
        return Listing(file, layout, options, now=now, max_activity_bytes=self._limits.max_activity_bytes)

    async def _run(
        self,
        request: LeanRequest,
        listing: Listing,
        options: CardOptions,
        report: BinaryIO,
        rendering: Rendering,
        file: BinaryIO,
        progress: Progress,
    ) -> Mapping[str, Any]:
        report.write(rendering.begin())
        # The preview comes first: reading records moves the file.
        more: dict[str, Any] = {"preview": preview_of(file, listing.layout)} if options.dry_run else {}
        durability = "kafka"
        take = self._taking(listing, options, rendering, trace_of(request))
        while (taken := await asyncio.to_thread(take)).count:
            if taken.records and await self._publish(taken.records, progress) == "spool":
                durability = "spool"
            report.write(taken.report)
            progress.records += taken.count
            progress.bytes = file.tell()
        if not options.dry_run:
            more["durability"] = durability
        return summary_of(listing, options, **more)

    def _taking(
        self, listing: Listing, options: CardOptions, rendering: Rendering, trace: list[tuple[str, bytes]]
    ) -> "partial[Taken]":
        outcomes = listing.outcomes()

        def take() -> Taken:
            some = list(islice(outcomes, BATCH))
            records = [
                outgoing(outcome.activity, self._settings.identity_key, trace)
                for outcome in some
                if outcome.activity is not None and not outcome.duplicate and not options.dry_run
            ]
            return Taken(len(some), records, rendering.records([record_of(one, options.language) for one in some]))

        return partial(take)

    async def _publish(self, records: list[OutgoingRecord], progress: Progress) -> str:
        for _ in range(OVERLOAD_TRIES):
            try:
                return await self._durable.publish(records)
            except Overloaded:
                await asyncio.sleep(OVERLOAD_PAUSE_S)
            except NotDurable as error:
                raise self._stopped(str(error), progress) from None
        raise self._stopped("too much waits for Kafka's acknowledgement", progress)

    def _stopped(self, reason: str, progress: Progress) -> ProblemError:
        return self._unavailable(
            f"Nothing can be kept safely now: {reason}. {progress.records:,} records of the list are safe; send the"
            " whole list again, nothing counts twice."
        )

    def _unavailable(self, detail: str) -> ProblemError:
        return ProblemError(503, "unavailable", detail, headers={"Retry-After": str(self._limits.retry_after_s)})

    @staticmethod
    def _count(label: str, summary: Mapping[str, Any]) -> None:
        INGEST_REQUESTS.labels(label, "accepted").inc()
        if not summary["dry_run"]:
            INGEST_ACTIVITIES.labels(label).inc(summary["accepted"] - summary["duplicates"])
            INGEST_DUPLICATES.labels(label).inc(summary["duplicates"])
            INGEST_REJECTED.labels(label, "not_understood").inc(summary["refused"])


async def _parts(report: BinaryIO) -> AsyncGenerator[bytes, None]:
    with report:
        report.seek(0)
        while part := report.read(PART_BYTES):
            yield part
