"""The demo's words: the table of qualified leads, the rates, the verdict."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from deploy.demo.judging import label_of
from deploy.demo.run import Outcome

_WIDTH = 150
_MOST_DIFFERENCES = 40


def show_outcome(outcome: Outcome) -> None:
    """The leads, how fast it went, and the verdict."""
    if outcome.records:
        show_leads(outcome.records, outcome.most)
    print(
        f"{outcome.sent:,} activities sent in {outcome.sent_s:.1f} s ({outcome.sent / outcome.sent_s:,.0f} a second), "
        f"counted after {outcome.counted_s:.1f} s ({outcome.sent / outcome.counted_s:,.0f} a second)"
    )
    handed = f"{len(outcome.records):,} handed over, each once" if outcome.records else "none handed over"
    show_verdict(
        outcome.differences,
        f"as expected: {outcome.activities:,} activities counted, {outcome.leads:,} leads, {handed} "
        f"({outcome.took_s:.1f} s in all)",
    )


def show_leads(records: Sequence[Mapping[str, Any]], most: int | None = None) -> None:
    """Qualified leads as handed over, highest score first; `most` cuts the table."""
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - a fifth of a second, and only the end needs it
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=SIMPLE_HEAD, pad_edge=False, title="qualified-leads", title_justify="left")
    for column, options in _COLUMNS:
        table.add_column(column, no_wrap=True, overflow="ellipsis", **options)
    ordered = sorted(records, key=lambda record: (-record["score"], label_of(record["lead"])))
    for record in ordered[:most]:
        table.add_row(*row_of(record))
    console = Console(highlight=False, markup=False)
    # Neither a pipe nor a log file has a width of its own.
    Console(highlight=False, markup=False, width=console.width if console.is_terminal else _WIDTH).print(table)
    if most is not None and len(ordered) > most:
        print(f"… and {len(ordered) - most:,} more\n")


# Only the last column gives way on a narrow terminal.
_COLUMNS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("lead", {"min_width": 16, "max_width": 24}),
    ("company", {"min_width": 18, "max_width": 28}),
    ("score", {"justify": "right", "min_width": 6}),
    ("cell", {"min_width": 4}),
    ("stage", {"min_width": 10}),
    ("because of", {"ratio": 1}),
)


def row_of(record: Mapping[str, Any]) -> tuple[str, ...]:
    """The cells of one record."""
    lead = record["lead"]
    attributes = lead.get("attributes") or {}
    return (
        str(attributes.get("name") or label_of(lead)),
        str(attributes.get("company") or ""),
        f"{record['score']:.2f}",
        str(record["cell"]),
        str(record["stage"] or "-"),
        ", ".join(f"{one['rule']} {one['points']:+g}" for one in top_reasons(record["reasons"])),
    )


def top_reasons(reasons: Sequence[Mapping[str, Any]], most: int = 4) -> list[Mapping[str, Any]]:
    """The reasons that weigh most."""
    return sorted(reasons, key=lambda reason: (-abs(reason["points"]), reason["rule"]))[:most]


def show_verdict(differences: Sequence[str], fine: str) -> None:
    """Say whether all is as expected."""
    if not differences:
        print(f"✓ {fine}")
        return
    for difference in differences[:_MOST_DIFFERENCES]:
        print(f"✗ {difference}", file=sys.stderr)
    more = len(differences) - _MOST_DIFFERENCES
    print(
        f"✗ not as expected: {len(differences)} differences" + (f", {more} not shown" if more > 0 else ""),
        file=sys.stderr,
    )
