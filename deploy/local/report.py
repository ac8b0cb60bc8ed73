"""What the user sees while parts are set up or started: bars on a terminal, lines or nothing elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol


class Part(Protocol):
    """One part while it is under way."""

    def advance(self, done: int, total: int) -> None:
        """How far it is."""

    def note(self, text: str) -> None:
        """Something the user should know about it."""


class Report(Protocol):
    """Where progress goes."""

    def part(self, name: str, action: str, total: int | None = None) -> Any:
        """A context manager giving a Part: shown as under way inside, as done (with its seconds) after."""

    def say(self, text: str) -> None:
        """A message that is no progress (a restart, another port): shown everywhere."""


class Lines:
    """One line per part, when it is done, and messages as they come; `parts=False` leaves the messages only."""

    def __init__(self, parts: bool = True) -> None:
        self._parts = parts

    @contextmanager
    def part(self, name: str, action: str, total: int | None = None) -> Iterator[Part]:
        """See Report."""
        started = time.monotonic()
        line = _LinePart(total)
        yield line
        if self._parts:
            count = f" {line.total}" if line.total else ""
            _print(f"{name}: {action}{count}, {time.monotonic() - started:.1f} s{line.notes}")

    def say(self, text: str) -> None:
        """See Report."""
        _print(text)


class _LinePart:
    def __init__(self, total: int | None) -> None:
        self.total = total
        self.notes = ""

    def advance(self, done: int, total: int) -> None:  # noqa: ARG002 - lines show the end only
        self.total = total

    def note(self, text: str) -> None:
        self.notes += f" ({text})"


class Bars:
    """Bars and spinners of rich, on stderr."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - only a terminal pays for it

        self._console = Console(stderr=True, highlight=False)

    @contextmanager
    def part(self, name: str, action: str, total: int | None = None) -> Iterator[Part]:
        """See Report."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn  # noqa: PLC0415

        started = time.monotonic()
        counted = [BarColumn(bar_width=24), MofNCompleteColumn()] if total else []
        columns = [SpinnerColumn(), TextColumn("{task.description}"), *counted]
        with Progress(*columns, console=self._console, transient=True) as progress:
            bar = _BarPart(progress, progress.add_task(f"{name:<11} {action}", total=total))
            yield bar
        self._console.print(
            f"[green]✓[/] {name:<11} {action} [dim]{time.monotonic() - started:.1f} s[/]"
            + (f" [yellow]{bar.notes}[/]" if bar.notes else "")
        )

    def say(self, text: str) -> None:
        """See Report."""
        with suppress(OSError):
            self._console.print(text, markup=False)


class _BarPart:
    def __init__(self, progress: Any, task: Any) -> None:
        self._progress = progress
        self._task = task
        self.notes = ""

    def advance(self, done: int, total: int) -> None:
        self._progress.update(self._task, completed=done, total=total)

    def note(self, text: str) -> None:
        self.notes = text


class Silent:
    """Shows nothing: for tests, and for callers with a display of their own."""

    @contextmanager
    def part(self, name: str, action: str, total: int | None = None) -> Iterator[Part]:  # noqa: ARG002
        """See Report."""
        yield _LinePart(total)

    def say(self, text: str) -> None:
        """See Report."""


def for_stderr(plain: bool) -> Report:
    """Bars on a terminal; elsewhere lines where `plain`, else the messages alone."""
    return Bars() if sys.stderr.isatty() else Lines(parts=plain)


def _print(text: str) -> None:
    # A closed terminal must not end a supervisor.
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)
