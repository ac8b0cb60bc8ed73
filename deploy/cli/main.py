"""The `kizashi` command: a list of sub-commands, each in a module of its own that is imported only when it is used."""

import importlib
import io
import os
import sys
from contextlib import suppress
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from shared.errors import KizashiError, reason

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""
# One line per command: its name, the module whose `app` it is, and what `kizashi --help` says of it.
COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("deploy.cli.up", "Start Kafka, PostgreSQL and the services."),
    "down": ("deploy.cli.down", "End the stack of a data folder."),
    "status": ("deploy.cli.status", "Show where everything is and whether it is healthy."),
    "doctor": ("deploy.cli.doctor", "Check this machine and the set-up; say what to do."),
    "keys": ("deploy.cli.keys", "Create, list, rotate, revoke and expire API keys."),
    "tail": ("deploy.cli.tail", "Print the records of a topic."),
    "dead-letters": ("deploy.cli.dead_letters", "List, show and replay what could not be processed."),
    "send": ("deploy.cli.send", "Post a file of activities to the ingest service."),
    "import": ("deploy.cli.import_cards", "Import a list of business cards."),
    "schedule": ("deploy.cli.schedule", "Show when scheduled hand-overs take place."),
    "model": ("deploy.cli.model", "Check a scoring model, or read it in plain words."),
    "preview": ("deploy.cli.preview", "Show who would newly qualify or drop out by a model."),
    "backtest": ("deploy.cli.backtest", "Judge a model by what became of leads."),
    "score": ("deploy.cli.score", "Score leads from files, without a stack."),
    "explain": ("deploy.cli.explain", "Say why a lead has its score, now or at a past instant."),
    "report": ("deploy.cli.report", "Show what hand-overs and mails have brought."),
    "backup": ("deploy.cli.backup", "Write a backup while everything runs."),
    "restore": ("deploy.cli.restore", "Put a backup back and catch up with Kafka."),
    "replay": ("deploy.cli.replay", "Fold all leads again and compare with what is stored."),
    "retention": ("deploy.cli.retention", "Remove old activities, or count what would go."),
    "webhook": ("deploy.cli.webhook", "Check a webhook offline, or listen to a source."),
    "forms": ("deploy.cli.forms", "Print the HTML of a form; check a page's form."),
    "links": ("deploy.cli.links", "Make tracked links for mails."),
    "demo": ("deploy.cli.demo", "Run the whole chain on sample activities and check what comes out."),
    "chaos": ("deploy.cli.chaos", "Break everything under load, then check the books."),
    "bench": ("deploy.cli.bench", "Measure how close this machine's limits are."),
    "setup": ("deploy.cli.setup", "Fetch what the local stack still lacks."),
}


class _Commands(TyperGroup):
    """Lists the commands without importing them: `kizashi --help` answers in a quarter of a second."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the signature of the base
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the signature of the base
        entry = COMMANDS.get(cmd_name)
        return TyperCommand(cmd_name, help=entry[1]) if entry else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        if name in COMMANDS:
            command = typer.main.get_command(importlib.import_module(COMMANDS[name][0]).app)
            command.name = name
        return name, command, rest


app = typer.Typer(
    cls=_Commands,
    help="Kizashi: event-driven lead scoring. Activities in, explained scores, qualified leads out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def _root() -> None:
    """Makes `app` a group; the help text is the one above."""


def main() -> None:
    """The console script. Exit codes: 0 done, 1 failed, 2 wrong use."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A locale that lacks a letter shows it escaped, rather than nothing at all.
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            app(prog_name="kizashi")
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except (KizashiError, OSError) as error:
        # Whoever closed the pipe has seen enough.
        if not isinstance(error, BrokenPipeError):
            with suppress(OSError):
                print(f"kizashi: {reason(error)}", file=sys.stderr)
        _give_up_output()
        sys.exit(1)


def _give_up_output() -> None:
    """What could not be written is not tried once more when Python ends, which would be an error of its own."""
    with suppress(OSError):
        sys.stdout.flush()
        return
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
