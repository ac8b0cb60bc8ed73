"""`kizashi backup`: the database and the secrets that belong to it, while everything runs."""

from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.common import DEFAULT_DATA_DIR, DataDir, Json, print_json, progress, stack_addresses
from deploy.local.backup import back_up

app = typer.Typer(add_completion=False)


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder for the backup.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: Json = False,
) -> None:
    """Write a backup of the database, the API keys' hashes and the identity secret to FOLDER.

    It holds personal data and secrets: only its owner may enter the folder.
    """
    stack = stack_addresses(data_dir)
    with progress().part("Backup", "written"):
        dump = back_up(stack.data, stack.database_url, folder)
    size = dump.stat().st_size
    if as_json:
        print_json({"dump": str(dump), "bytes": size})
    else:
        print(f"{dump}: {size / 1_048_576:,.1f} MiB")
