"""What a posted form goes through: origin, size, encoding, fields, durability, and back to the company's own page."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

import structlog

from services.ingest.durable import Durable, NotDurable, unavailable
from services.ingest.handlers import UNREAD, trace_of
from services.ingest.intake import record_of
from services.ingest.settings import IngestSettings
from services.ingest.site.bodies import PLAIN_POSTS, fields_of
from services.ingest.site.config import Form
from services.ingest.site.origins import NO_BROWSER, Readable, admitted, leave, raw_headers
from services.ingest.site.pages import thanks
from services.ingest.site.senders import Senders
from services.ingest.site.submission import FormReader, Submission, located
from shared.activity import Activity, parse_posted
from shared.clock import Clock
from shared.codec import encode, nul_in, nul_problem
from shared.errors import FieldFault, ProblemError
from shared.posted import ActivityFaults
from shared.telemetry import INGEST_ACTIVITIES, INGEST_REJECTED, INGEST_REQUESTS, LATE
from shared.web import Answer, LeanRequest, read_body, too_large

PREFIX = "/v1/forms/"
JSON = (b"content-type", b"application/json")
OWN_BYTES = 16_384
HTML = (b"content-type", b"text/html; charset=utf-8")

_requests, _activities = cache(INGEST_REQUESTS.labels), cache(INGEST_ACTIVITIES.labels)

log = structlog.get_logger()


class Forms:
    """Answers `/v1/forms/{form_key}`."""

    def __init__(self, settings: IngestSettings, forms: Mapping[str, Form], clock: Clock, durable: Durable) -> None:
        self._limits = settings.ingest
        self._identity_key = settings.identity_key
        self._senders = Senders(settings.identity_key)
        self._forms = {key: (form, FormReader(form)) for key, form in forms.items()}
        self._clock = clock
        self._durable = durable

    def warn(self) -> None:
        """Say at the start which forms take nothing."""
        for key, (form, _) in self._forms.items():
            if form.disabled:
                log.warning("source_disabled", source=key, reason=form.disabled)

    async def options(self, request: LeanRequest) -> Answer:
        """A browser asks before it sends JSON. Raises ProblemError 403, 404."""
        form, _ = self._found(request)
        return 204, raw_headers(leave(request.headers, form.allowed_origins)), b""

    async def post(self, request: LeanRequest) -> Answer:
        """Take one form. Raises ProblemError with the contract's codes, readable for the form's own page."""
        form, reader = self._found(request)
        cors = NO_BROWSER
        try:
            cors = admitted(request.headers, form.allowed_origins)
            request.admit_stranger()
            return await self._post(request, form, reader, cors)
        except ProblemError as error:
            outcome = "unavailable" if error.status == 503 else "rejected"
            INGEST_REQUESTS.labels(form.key, outcome).inc()
            INGEST_REJECTED.labels(form.key, error.code).inc()
            error.headers.update(cors.headers)
            raise

    def _found(self, request: LeanRequest) -> tuple[Form, FormReader]:
        found = self._forms.get(request.path.removeprefix(PREFIX))
        if found is None:
            INGEST_REJECTED.labels(UNREAD, "not_found").inc()
            raise ProblemError(404, "not_found", "There is no such form; its key stands in sources.yaml under forms.")
        return found

    async def _post(self, request: LeanRequest, form: Form, reader: FormReader, cors: Readable) -> Answer:
        if form.disabled:
            retry = {"Retry-After": str(self._limits.retry_after_s)}
            raise ProblemError(503, "source_disabled", "This form is not fully configured yet.", headers=retry)
        content_type = request.header(b"content-type")
        now = self._clock()
        _check_encoding(request)
        body = await read_body(request, self._limits.max_body_bytes)
        submission = reader.read(fields_of(content_type, body), request.header(b"referer"), now)
        activity = self._activity(submission, form, body, now)
        activity.flags += submission.flags
        activity.signals = self._senders.signals("POST", request.address, request.header(b"user-agent"))
        if submission.honeypot:
            activity.signals["honeypot"] = True
        if submission.test:
            return _tested(submission, activity, cors)
        try:
            durability = await self._durable.publish([record_of(activity, self._identity_key, trace_of(request))])
        except NotDurable as error:
            raise unavailable(error, self._limits.retry_after_s) from None
        LATE.count(_requests(form.key, "accepted"))
        LATE.count(_activities(form.key))
        if _is_plain_post(request, content_type):
            if form.thank_you is not None:
                return 303, [(b"location", form.thank_you.encode()), *cors.lines], b""
            if b"text/html" in request.headers.get(b"accept", b""):
                return 202, [HTML, *cors.lines], thanks(request.header(b"accept-language"))
        return 202, [JSON, *cors.lines], encode({"accepted": 1, "ids": [activity.id], "durability": durability})

    def _activity(self, submission: Submission, form: Form, body: bytes, now: datetime) -> Activity:
        raw, limit = submission.activity, self._limits.max_activity_bytes
        # A byte of an older encoding becomes three at most; what a form adds of its own is small.
        if len(body) * 3 + OWN_BYTES > limit and len(encode(raw)) > limit:
            raise too_large(limit)
        if (b"%00" in body or b"\x00" in body) and (place := nul_in(raw)) is not None:
            raise nul_problem(located(place, submission.places))
        try:
            return parse_posted(raw, id_if_absent="", source_if_absent="", received_at=now, region=form.region)
        except ActivityFaults as error:
            faults = [FieldFault(located(one.pointer, submission.places), one.detail) for one in error.faults]
            raise ProblemError(422, "invalid_fields", "The form cannot be taken as it is.", faults) from None


def _check_encoding(request: LeanRequest) -> None:
    encoding = request.headers.get(b"content-encoding")
    if encoding is not None and encoding.strip().lower() not in (b"", b"identity"):
        raise ProblemError(415, "unsupported_media_type", "Compressed bodies are not taken.")


def _is_plain_post(request: LeanRequest, content_type: str) -> bool:
    """Whether a browser sends the form by itself and goes where the answer sends it; scripts say what they are."""
    mode = request.headers.get(b"sec-fetch-mode")
    if mode is not None:
        return mode == b"navigate"
    if content_type.partition(";")[0].strip().lower() not in PLAIN_POSTS:
        return False
    accepted = request.headers.get(b"accept", b"")
    return b"x-requested-with" not in request.headers and (b"json" not in accepted or b"text/html" in accepted)


def _tested(submission: Submission, activity: Activity, cors: Readable) -> Answer:
    """What would have been kept. Nothing is."""
    report: dict[str, Any] = {
        "test": True,
        "accepted": 0,
        "activity": submission.activity,
        "identifiers": [identifier.kind for identifier in activity.identifiers],
        "fields": submission.places,
        "notes": submission.notes,
    }
    return 200, [JSON, *cors.lines], encode(report)
