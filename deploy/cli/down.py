"""`kizashi down`: end the stack of a data folder."""

import sys

import typer

from deploy.cli.common import DEFAULT_DATA_DIR, DataDir, progress
from deploy.local.end import end_stack
from deploy.local.paths import DataFolder

app = typer.Typer()


@app.command()
def down(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """End the stack within ten seconds; the data stays. Without one there is nothing to do, which is no failure."""
    data = DataFolder.at(data_dir)
    with progress().part("Stack", "stopped"):
        ended = end_stack(data)
    if not ended:
        print(f"no stack runs on {data.path}", file=sys.stderr)
