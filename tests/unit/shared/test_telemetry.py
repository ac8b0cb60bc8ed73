import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram

from shared import telemetry
from shared.telemetry import (
    METRICS,
    REQUEST_ID,
    BoundedLabels,
    LateCounts,
    RateLimit,
    configure_logging,
    mask,
)


@pytest.fixture
def logging_kept() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.handlers, root.level, logging.raiseExceptions)
    yield
    root.handlers, root.level, logging.raiseExceptions = before
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_every_line_is_one_json_object(logging_kept: None, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("ingest", "INFO")
    token = REQUEST_ID.set("r-1")
    structlog.get_logger("x").info("taken", count=2)
    structlog.get_logger("x").debug("unseen")
    logging.getLogger("library").warning("old %s", "style")
    REQUEST_ID.reset(token)
    first, second = lines(capsys)
    assert {
        "event": "taken",
        "count": 2,
        "service": "ingest",
        "request_id": "r-1",
        "level": "info",
    }.items() <= first.items()
    assert str(first["time"]).endswith("Z")
    assert (second["event"], second["level"], second["logger"]) == ("old style", "warning", "library")


def test_no_address_reaches_a_line(logging_kept: None, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("ingest")
    log = structlog.get_logger()
    try:
        raise ValueError("cannot parse taro.yamada@example.co.jp")
    except ValueError:
        log.exception("failed", where="postgresql://user:secret@127.0.0.1/db", who=["hanako@example.com"])
    out = capsys.readouterr().out
    assert "example" not in out
    assert "secret@" not in out
    assert "ValueError: cannot parse [masked]" in out


@pytest.mark.parametrize(
    "said",
    [
        "duplicate key\nDETAIL:  Key (name)=(山田 太郎\n花子) already exists.",
        "null value\nDETAIL:  Failing row contains (1, 山田 太郎).\nHINT:  none",
        "invalid input for query argument $1: '山田 太郎' (an integer is required)\n[SQL: SELECT $1]",
    ],
)
def test_nothing_that_the_database_quotes_reaches_a_line(
    said: str, logging_kept: None, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("scoring")
    try:
        try:
            raise ValueError(said)
        except ValueError as error:
            raise RuntimeError("while looking for a lead") from error
    except RuntimeError:
        structlog.get_logger().exception("failed")
    out = capsys.readouterr().out
    assert not [word for word in ("山田", "太郎", "花子") if word in out]
    assert "RuntimeError: while looking for a lead" in out
    assert said.partition("\n")[0][:20] in out


def test_masking_leaves_the_rest() -> None:
    assert mask("a <b@example.com> c, d") == "a <[masked]> c, d"
    assert mask("no address here") == "no address here"


def test_a_noisy_place_is_heard_once_in_a_while() -> None:
    now = 0.0
    limit = RateLimit(10.0, lambda: now)

    def record(line: int) -> logging.LogRecord:
        return logging.LogRecord("aiokafka", logging.ERROR, "conn.py", line, "lost", (), None)

    assert [limit.filter(record(1)) for _ in range(3)] == [True, False, False]
    assert limit.filter(record(2))
    now = 10.0
    again = record(1)
    assert limit.filter(again)
    assert vars(again)["held_back"] == 2


def test_label_values_stay_few() -> None:
    label = BoundedLabels(limit=2)
    assert [label(name) for name in ("a", "b", "c", "a", "d")] == ["a", "b", "other", "a", "other"]


def test_late_counts_are_there_when_metrics_are_read() -> None:
    registry = CollectorRegistry()
    late = LateCounts()
    registry.register(late)
    counter = Counter("seen", "x", registry=registry)
    histogram = Histogram("took_seconds", "x", registry=registry, buckets=(1.0,))
    late.count(counter)
    late.count(counter, 2)
    for _ in range(LateCounts.KEEP + 1):
        late.observe(histogram, 0.5)
    found = {sample.name: sample.value for metric in registry.collect() for sample in metric.samples}
    assert found["seen_total"] == 3
    assert found["took_seconds_count"] == LateCounts.KEEP + 1


def test_every_metric_is_fed() -> None:
    """One that nobody feeds stands at zero for ever, and whoever watches it is told that all is well."""
    names = [name for name, value in vars(telemetry).items() if any(value is metric for metric in METRICS)]
    assert len(names) == len(METRICS)
    sources = [*Path("services").rglob("*.py"), *Path("shared").rglob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources if path.name != "telemetry.py")
    # Once where it is imported, and where it is fed.
    assert not [name for name in names if len(re.findall(rf"\b{name}\b", text)) < 2]


def test_metrics_have_unique_names_with_the_prefix() -> None:
    names = [next(iter(metric.describe())).name for metric in METRICS]
    assert len(set(names)) == len(names)
    assert all(name.startswith("kizashi_") for name in names)
    assert not [label for metric in METRICS for label in metric._labelnames if label.endswith("id")]
