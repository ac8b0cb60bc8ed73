"""Sizes follow from measured lines by plain arithmetic."""

import pytest

from deploy.bench.measuring import Line
from deploy.bench.scaling import connections, size, table
from shared.errors import KizashiError

LINES = {
    line.name: line
    for line in (
        Line("end_to_end_rate", 2_000.0, "activities/s"),
        Line("ingest_single", 10_000.0, "requests/s"),
        Line("scoring", 8_000.0, "activities/s", limit=32_000.0),
        Line("judging", 10_000.0, "states/s"),
        Line("stored_postgres", 1_000.0, "bytes"),
        Line("stored_kafka", 2_000.0, "bytes"),
    )
}


def test_half_of_a_small_machine_needs_one_of_each() -> None:
    one = size(1, LINES)
    assert (one.rate, one.per_day) == (1_000.0, 10_800_000.0)
    assert (one.ingest, one.scoring, one.handoff, one.postgres, one.partitions) == (1, 1, 1, 1, 12)


def test_a_hundred_times_as_much() -> None:
    one = size(100, LINES)
    assert (one.ingest, one.scoring, one.handoff, one.postgres) == (20, 25, 20, 7)
    assert one.partitions == 60
    assert one.postgres_year == 100 * 10_800_000 * 365 * 1_000
    assert one.kafka == 100 * 10_800_000 * 30 * 2_000 * 3


def test_what_was_not_measured_is_named() -> None:
    with pytest.raises(KizashiError, match="judging"):
        size(1, {name: line for name, line in LINES.items() if name != "judging"})


def test_both_languages_show_the_same_figures() -> None:
    english, japanese = table(LINES, "en").splitlines(), table(LINES, "ja").splitlines()
    assert [row.split("|")[2:] for row in english] == [row.split("|")[2:] for row in japanese]
    assert english[2].startswith("| activities/s at the peak | 1,000 | 10,000 | 100,000 | 1,000,000 |")


def test_each_process_holds_two_pools_and_two_connections_more() -> None:
    rows = [line.split(" | ") for line in connections(LINES, "en").splitlines()]
    assert rows[2][1:] == ["2", "5", "45", "450 |"]
    assert rows[3] == ["| connections, pools of 8", "36", "90", "810", "8,100 |"]
    assert rows[4] == ["| connections, pools of 4", "20", "50", "450", "4,500 |"]
