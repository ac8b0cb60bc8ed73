"""`kizashi up`: the whole stack, in the foreground or detached."""

import shlex
import time
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.common import DEFAULT_DATA_DIR, WRONG_USE, ConfigDir, DataDir, fail, progress
from deploy.local.paths import DataFolder
from deploy.local.ports import SIZE
from deploy.local.run import detach, run_until_ended
from deploy.local.stack import StackOptions
from deploy.local.state import Addresses

app = typer.Typer()

PortBase = Annotated[
    int | None,
    typer.Option("--port-base", min=1, max=65_536 - SIZE, help="The first port of the stack's block of seven."),
]
Detach = Annotated[bool, typer.Option("--detach", help="Return when all is ready and leave it running.")]


@app.command()
def up(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    port_base: PortBase = None,
    config_dir: ConfigDir = None,
    in_background: Detach = False,
) -> None:
    """Start Kafka, PostgreSQL and the services, and keep them running until Ctrl-C or `kizashi down`."""
    began = time.monotonic()
    data = DataFolder.at(data_dir)
    _check_ours(data)
    options = StackOptions(data_dir=data_dir, config_dir=config_dir, port_base=port_base)
    if in_background:
        reached = detach(options, progress())
        show_box(reached.addresses, data, time.monotonic() - began, _down(data_dir, data))
        return
    code = run_until_ended(
        options,
        progress(),
        lambda stack: show_box(stack.addresses, data, time.monotonic() - began, "Ctrl-C"),
    )
    raise typer.Exit(code)


def _check_ours(data: DataFolder) -> None:
    # Starting over means to remove the folder, so it must hold nothing of anybody else's.
    try:
        foreign = data.foreign()
    except OSError as error:
        raise fail(f"the data folder {data.path} cannot be read: {error.strerror}") from None
    if foreign:
        raise fail(
            f"{data.path} is no data folder: it holds {foreign[0]}, which no stack put there; "
            "name an empty or new folder by --data-dir",
            WRONG_USE,
        )


def _down(data_dir: Path, data: DataFolder) -> str:
    return "kizashi down" if data_dir == DEFAULT_DATA_DIR else f"kizashi down --data-dir {shlex.quote(str(data.path))}"


def show_box(addresses: Addresses, data: DataFolder, took_s: float, stop: str) -> None:
    """Where everything is, how to stop it and how to start over: a frame on a terminal, lines elsewhere."""
    from rich.box import ROUNDED  # noqa: PLC0415 - only this end of a start needs it
    from rich.console import Console  # noqa: PLC0415
    from rich.markup import escape  # noqa: PLC0415
    from rich.panel import Panel  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    rows = box_rows(addresses, data, stop)
    title = f"Kizashi is ready ({took_s:.1f} s)"
    console = Console(highlight=False)
    if not console.is_terminal:
        print("\n".join([title, *(f"{name:<12} {text}" for name, text in rows)]), flush=True)
        return
    grid = Table.grid(padding=(0, 2))
    for name, text in rows:
        grid.add_row(f"[bold]{name}[/]", escape(text))
    console.print(Panel(grid, title=title, box=ROUNDED, expand=False))


def box_rows(addresses: Addresses, data: DataFolder, stop: str) -> list[tuple[str, str]]:
    """The lines of the box."""
    return [
        *((name, f"{url}   docs {url}/docs") for name, url in addresses.services.items()),
        ("Kafka", addresses.bootstrap_servers),
        ("PostgreSQL", addresses.database_url),
        ("data", str(data.path)),
        ("logs", str(data.logs)),
        ("API key", f"in {data.cli_key}"),
        ("stop", stop),
        ("start over", f"stop it, then rm -r {shlex.quote(str(data.path))}"),
    ]
