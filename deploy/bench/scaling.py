"""What a larger load needs, calculated from measured lines."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from deploy.bench.measuring import Line
from shared.errors import KizashiError
from shared.topics import LEAD_ACTIVITIES

FACTORS = (1, 10, 100, 1_000)
LOAD = 0.5
"""The part of its highest rate that a process or server is planned for: the rest is for peaks and for catching up."""
PEAK_HOURS = 3
"""A day brings as many activities as so many hours at the peak."""
PARTITIONS_PER_PROCESS = 2
FEWEST_PARTITIONS = 12
KAFKA_COPIES = 3
POOLS, BESIDE_POOLS = (8, 4), 2
"""Sizes of the two pools of a process of scoring or handoff, and the connections that it may hold beside them."""
GIB, TIB = 1 << 30, 1 << 40
Row = tuple[str, str, Sequence[str]]
"""Its name in English and in Japanese, and what stands in it."""
NEEDED = (
    "end_to_end_rate",
    "ingest_single",
    "scoring",
    "judging",
    "stored_postgres",
    "stored_kafka",
)


@dataclass(frozen=True, slots=True)
class Size:
    """What one load needs. `rate` activities a second at the peak, `per_day` on a day; disks in bytes."""

    factor: int
    rate: float
    per_day: float
    ingest: int
    scoring: int
    handoff: int
    partitions: int
    postgres: int
    postgres_year: float
    kafka: float


def size(factor: int, lines: Mapping[str, Line]) -> Size:
    """What `factor` times half of a small machine's highest rate needs. Raises KizashiError for a missing line."""
    missing = [name for name in NEEDED if name not in lines]
    if missing:
        raise KizashiError(f"sizes need the lines {', '.join(missing)}")
    rate = factor * LOAD * lines["end_to_end_rate"].value
    per_day = rate * 3_600 * PEAK_HOURS
    scoring = _servers(rate, lines["scoring"].value)
    return Size(
        factor=factor,
        rate=rate,
        per_day=per_day,
        ingest=_servers(rate, lines["ingest_single"].value),
        scoring=scoring,
        handoff=_servers(rate, lines["judging"].value),
        partitions=max(FEWEST_PARTITIONS, _round_up(scoring * PARTITIONS_PER_PROCESS)),
        postgres=_servers(rate, lines["scoring"].limit or lines["scoring"].value),
        postgres_year=per_day * 365 * lines["stored_postgres"].value,
        kafka=per_day * LEAD_ACTIVITIES.retention_days * lines["stored_kafka"].value * KAFKA_COPIES,
    )


def _servers(rate: float, highest: float) -> int:
    return math.ceil(rate / (highest * LOAD))


def _round_up(partitions: int) -> int:
    return math.ceil(partitions / FEWEST_PARTITIONS) * FEWEST_PARTITIONS


def table(lines: Mapping[str, Line], language: Literal["en", "ja"]) -> str:
    """All sizes as a Markdown table."""
    sizes = [size(factor, lines) for factor in FACTORS]
    rows: list[Row] = [
        ("activities/s at the peak", "ピーク時の活動/秒", [f"{one.rate:,.0f}" for one in sizes]),
        ("activities a day", "1 日の活動数", [f"{one.per_day / 1e6:,.0f} M" for one in sizes]),
        ("ingest processes", "ingest プロセス", [f"{one.ingest:,}" for one in sizes]),
        ("scoring processes", "scoring プロセス", [f"{one.scoring:,}" for one in sizes]),
        ("handoff processes", "handoff プロセス", [f"{one.handoff:,}" for one in sizes]),
        ("partitions of every topic", "各トピックのパーティション", [f"{one.partitions:,}" for one in sizes]),
        ("PostgreSQL servers of 2 cores", "PostgreSQL（2 コア換算の台数）", [f"{one.postgres:,}" for one in sizes]),
        ("PostgreSQL disk per year", "PostgreSQL ディスク/年", [_bytes(one.postgres_year) for one in sizes]),
        (
            f"Kafka disk, {LEAD_ACTIVITIES.retention_days} days × {KAFKA_COPIES} copies",
            f"Kafka ディスク（{LEAD_ACTIVITIES.retention_days} 日 × {KAFKA_COPIES} 複製）",
            [_bytes(one.kafka) for one in sizes],
        ),
    ]
    return _markdown(rows, language)


def connections(lines: Mapping[str, Line], language: Literal["en", "ja"]) -> str:
    """The connections to PostgreSQL that every size needs at most, as a Markdown table."""
    processes = [one.scoring + one.handoff for one in (size(factor, lines) for factor in FACTORS)]
    rows: list[Row] = [
        ("processes of scoring and handoff", "scoring と handoff のプロセス", [f"{count:,}" for count in processes])
    ]
    for pool in POOLS:
        needed = [f"{count * (2 * pool + BESIDE_POOLS):,}" for count in processes]
        rows.append((f"connections, pools of {pool}", f"接続数（プール {pool}）", needed))
    return _markdown(rows, language)


def _markdown(rows: Sequence[Row], language: Literal["en", "ja"]) -> str:
    head = f"| | {' | '.join(f'{factor:,} ×' for factor in FACTORS)} |\n|---|{'--:|' * len(FACTORS)}\n"
    place = 0 if language == "en" else 1
    return head + "".join(f"| {row[place]} | {' | '.join(row[2])} |\n" for row in rows)


def _bytes(count: float) -> str:
    return f"{count / GIB:,.0f} GiB" if count < TIB else f"{count / TIB:,.1f} TiB"
