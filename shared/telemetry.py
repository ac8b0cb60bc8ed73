"""Logs and metrics: one JSON object per line on stdout, and every metric of the project in one list."""

import logging
import re
import sys
import time
from collections.abc import Callable, Iterable, MutableMapping
from contextvars import ContextVar
from typing import Any, Final

import orjson
import structlog
from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request in hand; stands in every log line written on its behalf."""

FAST_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
SLOW_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class LateCounts(Collector):
    """Counts and durations kept as plain numbers until the metrics are read.

    A metric's lock and its scan of buckets cost more than anything else a lean route does per request. Belongs to one
    event loop; asked first by the registry, it then hands everything over.
    """

    KEEP = 256
    """Durations kept at most; handing over many at once would hold up every request in hand for milliseconds."""

    def __init__(self) -> None:
        self._counts: dict[Counter, int] = {}
        self._durations: list[tuple[Histogram, float]] = []

    def count(self, counter: Counter, amount: int = 1) -> None:
        """Later: `counter.inc(amount)`."""
        self._counts[counter] = self._counts.get(counter, 0) + amount

    def observe(self, histogram: Histogram, seconds: float) -> None:
        """Later: `histogram.observe(seconds)`."""
        self._durations.append((histogram, seconds))
        if len(self._durations) >= self.KEEP:
            self.hand_over()

    def hand_over(self) -> None:
        """Move everything into the metrics themselves."""
        counts, self._counts = self._counts, {}
        for counter, amount in counts.items():
            counter.inc(amount)
        durations, self._durations = self._durations, []
        for histogram, seconds in durations:
            histogram.observe(seconds)

    def collect(self) -> Iterable[Metric]:
        """Hand over; has no metrics of its own."""
        self.hand_over()
        return ()


LATE: Final = LateCounts()
REGISTRY.register(LATE)

INGEST_REQUESTS: Final = Counter("kizashi_ingest_requests", "Requests with activities.", ("source", "outcome"))
INGEST_DURATION: Final = Histogram(
    "kizashi_ingest_request_duration_seconds", "From a request's arrival to its answer.", buckets=FAST_S
)
INGEST_REJECTED: Final = Counter("kizashi_ingest_rejected", "Requests not taken, by reason.", ("source", "reason"))
INGEST_ACTIVITIES: Final = Counter("kizashi_ingest_activities", "Accepted activities.", ("source",))
INGEST_DUPLICATES: Final = Counter(
    "kizashi_ingest_duplicates",
    "Activities of a webhook whose id was seen lately; the consumers count them once.",
    ("source",),
)
SOURCE_LAST_RECEIVED: Final = Gauge(
    "kizashi_source_last_received_timestamp_seconds", "When a webhook source last sent something.", ("source",)
)
SOURCE_FETCHES: Final = Counter(
    "kizashi_source_fetches",
    "Questions to a tool's API about what its webhooks leave out: completed, ignored, gone, failed.",
    ("source", "outcome"),
)
TRACKING_LOST: Final = Counter(
    "kizashi_ingest_tracking_lost",
    "Clicks and opens that were served but could not be kept: unavailable, invalid, failed.",
    ("type", "reason"),
)
INGEST_PENDING_BYTES: Final = Gauge("kizashi_ingest_pending_bytes", "Bytes that wait for Kafka's acknowledgement.")
SPOOL_BYTES: Final = Gauge("kizashi_ingest_spool_bytes", "Bytes on disk that wait for Kafka to come back.")
INGEST_SPOOLED: Final = Counter("kizashi_ingest_spooled", "Requests kept on disk because Kafka was away.")
INGEST_HELPERS_LOST: Final = Counter(
    "kizashi_ingest_helpers_lost", "Processes for long bodies that died, hung or could not be started."
)
PRODUCER_RESTARTS: Final = Counter(
    "kizashi_producer_restarts", "Times a Kafka producer was given up and made anew.", ("reason",)
)
CONSUMER_LAG: Final = Gauge(
    "kizashi_kafka_consumer_lag_records", "Records not yet handled.", ("topic", "partition", "group")
)
CONSUMER_RECORDS: Final = Counter("kizashi_consumer_records", "Handled records.", ("topic", "outcome"))
CONSUMER_BATCH_DURATION: Final = Histogram(
    "kizashi_consumer_batch_duration_seconds", "One batch, from its records to the commit.", buckets=FAST_S
)
DEAD_LETTERS: Final = Counter("kizashi_dead_letters", "Records put aside.", ("topic", "reason"))
ACTIVITIES_REMOVED: Final = Counter("kizashi_scoring_activities_removed", "Stored activities removed for their age.")
SCORING_DURATION: Final = Histogram(
    "kizashi_scoring_duration_seconds", "Scoring the leads of one batch.", buckets=FAST_S
)
QUALIFIED: Final = Counter("kizashi_qualified", "Qualified leads.", ("model", "grade"))
END_TO_END: Final = Histogram(
    "kizashi_end_to_end_seconds",
    "From an activity's receipt to the named stage, for the one of a batch that waited longest.",
    ("stage",),
    buckets=SLOW_S,
)
OUTBOX_PENDING: Final = Gauge("kizashi_outbox_pending_rows", "Rows that wait to be published.")
OUTBOX_AGE: Final = Gauge("kizashi_outbox_oldest_age_seconds", "Age of the oldest row that waits to be published.")
HANDOFF_ATTEMPTS: Final = Counter("kizashi_handoff_attempts", "Attempts at destinations.", ("destination", "outcome"))
HANDOFF_SLA_BREACHES: Final = Counter("kizashi_handoff_sla_breaches", "Handoffs not answered in the agreed time.")
HTTP_REQUESTS: Final = Counter("kizashi_http_requests", "Answered requests.", ("method", "route", "status"))
HTTP_DURATION: Final = Histogram(
    "kizashi_http_request_duration_seconds", "From a request's arrival to its answer.", ("route",), buckets=FAST_S
)
HTTP_CONNECTIONS: Final = Gauge("kizashi_http_connections", "Open connections.")
HTTP_CUT_OFF: Final = Counter(
    "kizashi_http_cut_off", "Connections ended by a limit: too slow, too large, too many, no HTTP.", ("reason",)
)
HTTP_IN_FLIGHT_BYTES: Final = Gauge("kizashi_http_in_flight_bytes", "Bytes of the bodies of all requests in hand.")
BUILD_INFO: Final = Gauge("kizashi_build_info", "The running version; always 1.", ("version",))

METRICS: Final[tuple[MetricWrapperBase, ...]] = (
    INGEST_REQUESTS,
    INGEST_DURATION,
    INGEST_REJECTED,
    INGEST_ACTIVITIES,
    INGEST_DUPLICATES,
    SOURCE_LAST_RECEIVED,
    SOURCE_FETCHES,
    TRACKING_LOST,
    INGEST_PENDING_BYTES,
    SPOOL_BYTES,
    INGEST_SPOOLED,
    INGEST_HELPERS_LOST,
    PRODUCER_RESTARTS,
    CONSUMER_LAG,
    CONSUMER_RECORDS,
    CONSUMER_BATCH_DURATION,
    DEAD_LETTERS,
    ACTIVITIES_REMOVED,
    SCORING_DURATION,
    QUALIFIED,
    END_TO_END,
    OUTBOX_PENDING,
    OUTBOX_AGE,
    HANDOFF_ATTEMPTS,
    HANDOFF_SLA_BREACHES,
    HTTP_REQUESTS,
    HTTP_DURATION,
    HTTP_CONNECTIONS,
    HTTP_CUT_OFF,
    HTTP_IN_FLIGHT_BYTES,
    BUILD_INFO,
)
"""Every metric that any service of this project exposes; counters are exposed with `_total` at the end."""


class BoundedLabels:
    """Label values that senders choose, kept few: the first `limit` as they are, all later ones as `other`."""

    OTHER = "other"

    def __init__(self, limit: int = 100) -> None:
        self._limit = limit
        self._known: set[str] = set()

    def __call__(self, value: str) -> str:
        """`value` if it is among the first ones, else `other`."""
        if value in self._known:
            return value
        if len(self._known) < self._limit:
            self._known.add(value)
            return value
        return self.OTHER


AIOKAFKA_EVERY_S = 10.0
# Bounded, so that one long word without an @ costs no square of its length.
_EMAIL = re.compile(r"[^\s\"'<>\\:/]{1,64}@[^\s\"'<>\\@]{1,255}")
# PostgreSQL and its driver quote there what was written or looked for; it may have lines of its own.
_QUOTED = re.compile(
    r"^(DETAIL: |[^\n]*?invalid input for query argument \$[0-9]+: ).*?"
    r"(?=^(?:HINT:|\[SQL|\(Background|The above exception|During handling)|\Z)",
    re.MULTILINE | re.DOTALL,
)
_NOISY = ("aiokafka", "uvicorn.error")


class RateLimit(logging.Filter):
    """Lets one line per place in the code and `every_s` seconds through.

    A Kafka client without its broker writes 75 lines a second. What was held back is counted on the next line.
    """

    def __init__(self, every_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._every_s = every_s
        self._monotonic = monotonic
        self._last: dict[tuple[str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this line passes."""
        place, now = (record.pathname, record.lineno), self._monotonic()
        last, held = self._last.get(place, (-self._every_s, 0))
        if now - last < self._every_s:
            self._last[place] = (last, held + 1)
            return False
        self._last[place] = (now, 0)
        if held:
            record.held_back = held
        return True


def configure_logging(service: str, level: str = "INFO") -> None:
    """Write every log line of the process, the libraries' too, as one JSON object on stdout.

    Fields: `event`, `level`, `time` (UTC), `logger`, `service`, `request_id` inside of requests, and what the caller
    adds. What looks like an e-mail address is masked, also inside of exceptions, and what PostgreSQL quotes in them.
    """

    def add_context(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        line["service"] = service
        if (request_id := REQUEST_ID.get()) is not None:
            line.setdefault("request_id", request_id)
        return line

    common: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        add_context,
    ]
    structlog.configure(
        processors=[*common, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_formatter(common))
    limit = RateLimit(AIOKAFKA_EVERY_S)
    handler.addFilter(lambda record: not record.name.startswith(_NOISY) or record.levelno < 30 or limit.filter(record))
    # A broken pipe on stdout must not print the line, with its raw values, to stderr.
    logging.raiseExceptions = False
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        library = logging.getLogger(name)
        library.handlers = []
        library.propagate = True
    logging.getLogger("uvicorn.access").disabled = True


def _formatter(common: list[structlog.typing.Processor]) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(allow={"held_back"}), *common],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _unquoted,
            _render,
        ],
    )


def _unquoted(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if (text := line.get("exception")) is not None:
        line["exception"] = _QUOTED.sub(r"\1[masked]\n", text)
    return line


def _render(_: Any, __: str, line: MutableMapping[str, Any]) -> str:
    return mask(orjson.dumps(dict(line), default=repr, option=orjson.OPT_NON_STR_KEYS).decode())


def mask(text: str) -> str:
    """`text` without what looks like an e-mail address or the credentials of a URL."""
    return _EMAIL.sub("[masked]", text) if "@" in text else text
