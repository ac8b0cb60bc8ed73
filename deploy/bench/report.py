"""The table for people."""

from collections.abc import Sequence

from rich.table import Table

from deploy.bench.measuring import Goal, Line


def table(lines: Sequence[Line], goals: dict[str, tuple[Goal, ...]]) -> Table:
    """All lines, with what each had to reach."""
    made = Table(box=None, header_style="bold")
    made.add_column("name")
    for heading in ("value", "unit", "limit", "ratio", "naive", "factor", "±", "goal"):
        made.add_column(heading, justify="left" if heading in {"unit", "goal"} else "right")
    for line in lines:
        made.add_row(*_cells(line, goals.get(line.name, ())))
    return made


def markdown(lines: Sequence[Line], goals: dict[str, tuple[Goal, ...]]) -> str:
    """The same as a Markdown table."""
    head = (
        "| name | value | unit | limit | ratio | naive | factor | ± | goal |\n|---|--:|---|--:|--:|--:|--:|--:|---|\n"
    )
    return head + "".join(f"| {' | '.join(_cells(line, goals.get(line.name, ())))} |\n" for line in lines)


def summary(line: Line, goals: Sequence[Goal]) -> str:
    """One line as soon as it is measured."""
    figures = [f"{of} {figure:.2f}" for of in ("ratio", "factor") if (figure := line.figure(of)) is not None]
    return "  ".join(
        [f"{line.name:<26}{number(line.value)} {line.unit}", *figures, line.problem or _verdicts(line, goals)]
    )


def _verdicts(line: Line, goals: Sequence[Goal]) -> str:
    return ", ".join(f"{'✓' if goal.met_by(line.figure(goal.of)) else '✗'} {goal}" for goal in goals)


def _cells(line: Line, goals: Sequence[Goal]) -> list[str]:
    return [
        line.name,
        number(line.value),
        line.unit,
        number(line.limit),
        "" if line.ratio is None else f"{line.ratio:.2f}",
        number(line.naive),
        "" if line.factor is None else f"{line.factor:.1f}",
        f"{line.spread:.0%}",
        line.problem or _verdicts(line, goals),
    ]


def number(figure: float | None) -> str:
    """A figure as tables show it; nothing for none."""
    if figure is None:
        return ""
    return f"{figure:,.0f}" if figure >= 1000 else f"{figure:.1f}"
