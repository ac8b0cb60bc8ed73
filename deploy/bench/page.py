"""The measured blocks of the documents, written from results of `kizashi bench --json`.

    python -m deploy.bench.page

`docs/measurements/1.json` and `2.json` are two runs; what was measured apart from the rest joins its run by its name
(`1-growth.json`). Every figure in README, docs/performance and docs/scaling stands in such a block, so that none is
typed by hand.
"""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson
from rich.bar import Bar
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.bench import scaling
from deploy.bench.measuring import Goal, Line
from deploy.bench.registry import GOALS
from deploy.bench.report import number
from deploy.local.paths import ROOT
from shared.documents import read_document
from shared.errors import KizashiError

Language = Literal["en", "ja"]
WHAT: Mapping[str, Mapping[Language, str]] = read_document(
    Path(__file__).with_name("lines.yaml").read_text(encoding="utf-8")
).tree
MEASUREMENTS = ROOT / "docs" / "measurements"
PLOT = ROOT / "docs" / "performance.svg"
SHORT = (
    "ingest_single",
    "ingest_batch",
    "scoring",
    "refold",
    "relay",
    "end_to_end_p99_20",
    "end_to_end_p99_80",
    "memory_ingest",
    "memory_scoring",
    "memory_handoff",
    "start_warm",
    "start_cold",
)
PAGES: Mapping[str, tuple[Language, tuple[str, ...]]] = {
    "README.md": ("en", ("short",)),
    "README.ja.md": ("ja", ("short",)),
    "docs/performance.md": ("en", ("machine", "table")),
    "docs/performance.ja.md": ("ja", ("machine", "table")),
    "docs/scaling.md": ("en", ("sizes", "connections")),
    "docs/scaling.ja.md": ("ja", ("sizes", "connections")),
}
HEADINGS = {
    "en": ("line", "what, and against which limit", "needed"),
    "ja": ("行", "内容と比較対象", "必要値"),
}
FULL = 3.0
"""Times its bound at which a bar of the plot is full."""


@dataclass(frozen=True, slots=True)
class Run:
    """One `kizashi bench --json`."""

    machine: Mapping[str, Any]
    lines: Mapping[str, Line]


def read_run(path: Path) -> Run:
    """A stored result. Raises KizashiError for a file that holds none."""
    try:
        raw = orjson.loads(path.read_bytes())
        return Run(raw["machine"], {one["name"]: Line.from_json(one) for one in raw["lines"]})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KizashiError(f"{path}: expected what `kizashi bench --json` prints ({error!r})") from None


def blocks(runs: Sequence[Run], language: Language) -> Mapping[str, str]:
    """The Markdown of every block, by its name."""
    return {
        "machine": _machine(runs),
        "table": _table(runs, [name for name in WHAT if any(name in run.lines for run in runs)], language),
        "short": _table(runs, [name for name in SHORT if name in runs[0].lines], language),
        "sizes": scaling.table(runs[-1].lines, language),
        "connections": scaling.connections(runs[-1].lines, language),
    }


def _machine(runs: Sequence[Run]) -> str:
    first = runs[0].machine
    when = ", ".join(str(run.machine["measured_at"]) for run in runs)
    return (
        f"`kizashi bench --json`, {len(runs)} ×, {when}; {first['processor']}, {first['cores']} cores,"
        f" {first['memory_gib']} GiB, {first['system']}, Python {first['python']}\n"
    )


def _table(runs: Sequence[Run], names: Sequence[str], language: Language) -> str:
    line, what, needed = HEADINGS[language]
    shown = [str(position) for position in range(1, len(runs) + 1)]
    rows = [f"| {line} | {what} | {' | '.join(shown)} | {needed} |", f"|---|---|{'--:|' * len(runs)}---|"]
    for name in names:
        goals = GOALS[name]
        cells = [_cell(run.lines.get(name), goals) for run in runs]
        rows.append(f"| `{name}` | {WHAT[name][language]} | {' | '.join(cells)} | {_needed(goals)} |")
    return "\n".join(rows) + "\n"


def _cell(line: Line | None, goals: Sequence[Goal]) -> str:
    """The figure with its unit, then ratio and factor, then whether it is enough."""
    if line is None:
        return "–"
    parts = [f"{number(line.value)} {line.unit}"]
    if line.ratio is not None:
        parts.append(f"**{line.ratio:.2f}**")
    if line.factor is not None and any(goal.of == "factor" for goal in goals):
        parts.append(f"×{line.factor:.1f}")
    if line.problem:
        parts.append(line.problem)
    verdict = "" if not goals else " ✓" if all(goal.met_by(line.figure(goal.of)) for goal in goals) else " ✗"
    return ", ".join(parts) + verdict


def _needed(goals: Sequence[Goal]) -> str:
    return ", ".join(map(str, goals))


def plot(runs: Sequence[Run]) -> str:
    """An SVG: how far each line is from what it has to reach, the worst of its goals, in the last run."""
    table = Table(box=None, show_header=False, padding=(0, 1))
    for name, line in runs[-1].lines.items():
        if GOALS.get(name):
            reached = min(goal.reach(line.figure(goal.of)) for goal in GOALS[name])
            color = "green" if reached >= 1 else "red"
            table.add_row(name, Bar(FULL, 0, min(reached, FULL), width=60, color=color), Text(f"{reached:.2f} ×"))
    console = Console(record=True, width=100, file=io.StringIO(), force_terminal=True)
    console.print(table)
    title = f"times what is needed (1 = just enough; full bar = {FULL:g} or more)"
    # Rich's frame loads a font from a foreign host.
    return re.sub(r"@font-face\s*\{.*?\}\s*", "", console.export_svg(title=title, unique_id="kizashi"), flags=re.DOTALL)


def written(text: str, made: Mapping[str, str], wanted: Sequence[str], where: str) -> str:
    """`text` with its blocks replaced. Raises KizashiError where a block is missing."""
    for name in wanted:
        pattern = re.compile(rf"(<!-- measured: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, count = pattern.subn(lambda found, name=name: found[1] + made[name] + found[2], text)  # type: ignore[misc]
        if count != 1:
            raise KizashiError(f"{where}: expected one block between <!-- measured: {name} --> and <!-- end -->")
    return text


def stored_runs(folder: Path = MEASUREMENTS) -> list[Run]:
    """All runs of a folder in their order. Raises KizashiError for a file that holds none."""
    runs: dict[str, Run] = {}
    for path in sorted(folder.glob("*.json"), key=lambda path: (len(path.stem), path.stem)):
        name, found = path.stem.partition("-")[0], read_run(path)
        runs[name] = Run(runs[name].machine, {**runs[name].lines, **found.lines}) if name in runs else found
    return list(runs.values())


def main() -> None:
    """Write all pages and the plot."""
    runs = stored_runs()
    for page, (language, wanted) in PAGES.items():
        path, made = ROOT / page, blocks(runs, language)
        path.write_text(written(path.read_text(encoding="utf-8"), made, wanted, page), encoding="utf-8")
    PLOT.write_text(plot(runs), encoding="utf-8")


if __name__ == "__main__":
    main()
